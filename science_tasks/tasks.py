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
from kagaku.science_tasks.genomes import (
    enhancers,
    guides,
    lineages,
)
from kagaku.science_tasks.materials import (
    density_functional_sets,
    matbench,
)

__all__ = [
    "TASKS",
    "denovo",
    "density_functional_sets",
    "descriptions",
    "enhancers",
    "guides",
    "lineages",
    "matbench",
    "moleculeace",
    "moleculenet",
    "reaction_yields",
    "reactions",
    "solubility",
]
