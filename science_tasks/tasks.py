"""All questions of all domains: importing this module registers them in `TASKS`.

Every module of a domain's folder is imported, so a new task is one new file there.
"""

from importlib import import_module
from pkgutil import iter_modules

from kagaku.data.catalogue import DOMAINS
from kagaku.science_tasks.benchmark.task import TASKS

__all__ = ["TASKS"]

for _domain in DOMAINS:
    _package = import_module(f"kagaku.science_tasks.{_domain}")
    for _module in iter_modules(_package.__path__):
        import_module(f"{_package.__name__}.{_module.name}")
