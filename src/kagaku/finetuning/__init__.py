"""`kagaku finetune`: the verb, the run folder it fills, and the tables it prints."""
