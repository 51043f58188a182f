"""Retrosynthesis by local edits: known changes at known surroundings, ranked by a network."""
