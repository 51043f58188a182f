"""Pretraining, release, evaluation and generation: the verbs, and what they write."""
