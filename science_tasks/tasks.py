"""All questions of all domains: importing this module registers them in `TASKS`."""

from kagaku.science_tasks.benchmark.task import TASKS
from kagaku.science_tasks.chemistry import moleculenet
from kagaku.science_tasks.literature import named_entities, texts
from kagaku.science_tasks.microscopy import blood, xrays

__all__ = ["TASKS", "blood", "moleculenet", "named_entities", "texts", "xrays"]
