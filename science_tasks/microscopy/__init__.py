"""Microscopy and other images: intensity, texture and shapes."""
