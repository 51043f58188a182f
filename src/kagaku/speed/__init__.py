"""`kagaku benchmark speed`: speed and memory beside their references, measured in turns."""
