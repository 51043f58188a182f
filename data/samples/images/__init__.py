"""Crops of a fluorescence micrograph; labels.csv counts their nuclei, ../images.md explains."""
