"""Pretraining: objectives on packed batches, and the loop that learns from a corpus."""
