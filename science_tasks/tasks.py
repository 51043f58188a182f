"""All questions of all domains: importing this module registers them in `TASKS`."""

from kagaku.science_tasks.benchmark.task import TASKS
from kagaku.science_tasks.chemistry import moleculenet

__all__ = ["TASKS", "moleculenet"]
