"""All questions of all domains: importing this module registers them in `TASKS`."""

from kagaku.science_tasks.benchmark.task import TASKS
from kagaku.science_tasks.chemistry import moleculenet
from kagaku.science_tasks.climate import (
    downscaling,
    indices,
    nowcasting,
    scenarios,
    sea_surface,
    temperature,
)

__all__ = [
    "TASKS",
    "downscaling",
    "indices",
    "moleculenet",
    "nowcasting",
    "scenarios",
    "sea_surface",
    "temperature",
]
