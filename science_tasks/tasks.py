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
from kagaku.science_tasks.climate import (
    downscaling,
    indices,
    nowcasting,
    scenarios,
    sea_surface,
    temperature,
)
from kagaku.science_tasks.genomes import (
    enhancers,
    guides,
    lineages,
)
from kagaku.science_tasks.literature import (
    named_entities,
    texts,
)
from kagaku.science_tasks.materials import (
    density_functional_sets,
    matbench,
)
from kagaku.science_tasks.microscopy import (
    blood,
    xrays,
)
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
    "blood",
    "de_novo",
    "denovo",
    "density_functional_sets",
    "descriptions",
    "downscaling",
    "enhancers",
    "fitness",
    "guides",
    "indices",
    "lineages",
    "localisation",
    "matbench",
    "moleculeace",
    "moleculenet",
    "named_entities",
    "nowcasting",
    "proteingym",
    "reaction_yields",
    "reactions",
    "residue_labels",
    "scenarios",
    "sea_surface",
    "solubility",
    "temperature",
    "texts",
    "xrays",
]
