"""Recipes: YAML files that say how to train; read by `kagaku.experiment`."""
