"""Chemistry: the features that chemists compute from molecules."""
