"""Genomes: the features that molecular biologists compute from DNA and RNA."""
