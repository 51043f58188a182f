"""All questions of all domains: importing this module registers them in `TASKS`."""

from kagaku.science_tasks.benchmark.task import TASKS
from kagaku.science_tasks.chemistry import (
    moleculeace,
    moleculenet,
    reaction_yields,
    solubility,
)

__all__ = ["TASKS", "moleculeace", "moleculenet", "reaction_yields", "solubility"]
