"""All questions of all domains: importing this module registers them in `TASKS`."""

from kagaku.science_tasks.benchmark.task import TASKS
from kagaku.science_tasks.chemistry import (
    denovo,
    descriptions,
    moleculeace,
    moleculenet,
    reaction_yields,
    reactions,
    solubility,
)

__all__ = [
    "TASKS",
    "denovo",
    "descriptions",
    "moleculeace",
    "moleculenet",
    "reaction_yields",
    "reactions",
    "solubility",
]
