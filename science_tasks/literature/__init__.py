"""Literature: the features that text mining computes from abstracts and protocols."""
