"""Names of the files of a pretraining run, which releases and ladders read too."""

CONFIG_FILE, PROVENANCE_FILE, SUMMARY_FILE = "config.yaml", "provenance.json", "summary.json"

START_FILE = "start.json"
"""In the folder of a run that started from other weights: which, and what those learnt from."""
