"""`kagaku scaling`: a ladder of small runs, the law fitted to it, and the page about both."""
