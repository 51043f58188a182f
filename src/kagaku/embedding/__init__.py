"""`kagaku embed`: any file in, vectors out, piece by piece."""
