"""Tracing values back to the training data near them."""
