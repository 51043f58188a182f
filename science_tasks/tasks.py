"""All questions of all domains: importing this module registers them in `TASKS`."""

from kagaku.science_tasks.benchmark.task import TASKS
from kagaku.science_tasks.chemistry import moleculenet
from kagaku.science_tasks.proteins import (
    affinity,
    de_novo,
    fitness,
    localisation,
    proteingym,
    residue_labels,
)

__all__ = [
    "TASKS",
    "affinity",
    "de_novo",
    "fitness",
    "localisation",
    "moleculenet",
    "proteingym",
    "residue_labels",
]
