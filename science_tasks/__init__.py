"""Questions that scientists ask: properties with calibrated uncertainty, domain by domain."""
