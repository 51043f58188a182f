"""`kagaku corpus build`: recipes, packages, and the verb."""
