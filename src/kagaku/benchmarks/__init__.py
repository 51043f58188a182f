"""`kagaku benchmark` and `kagaku compare`: the verbs, and the scoreboard."""
