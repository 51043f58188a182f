"""The report and the model card of a fine-tuning run."""
