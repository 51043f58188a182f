"""Pretrained weights that ship with the package, each in a folder with its card."""
