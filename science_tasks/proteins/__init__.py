"""Proteins: the features that protein engineers compute from sequences."""
