"""The whole network fine-tuned on a cut of real data, one question per domain."""

import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from kagaku.bases import load_base
from kagaku.data.catalogue import FolderSource
from kagaku.models.multitask import FinetuningConfig
from kagaku.science_tasks.benchmark.base_use import BaseUse
from kagaku.science_tasks.benchmark.methods import Chosen
from kagaku.science_tasks.benchmark.results import Quick
from kagaku.science_tasks.benchmark.running import Plan, run_task
from kagaku.science_tasks.climate.field_learning import FineTuned
from kagaku.science_tasks.tasks import TASKS

BRIEF = FinetuningConfig(epochs=2)

NAMES = ("avgfp", "esol", "glass-abstracts", "ienhancer", "matbench-jdft2d", "pneumoniamnist")


@pytest.mark.benchmark_data
@pytest.mark.parametrize("name", [*NAMES, "era5-uk-downscaling"])
def test_a_network_is_fine_tuned_on_real_data(name: str, tmp_path: Path) -> None:
    source = FolderSource([Path(os.environ["KAGAKU_DATA"]).expanduser().resolve()])
    task = TASKS[name]
    full = task.methods["full"]
    assert isinstance(full, Chosen | FineTuned)
    how = {"network": BRIEF} if isinstance(full, Chosen) else {"config": BRIEF}
    brief = replace(task, methods={**task.methods, "full": replace(full, **how)})  # type: ignore[arg-type]
    first = next(iter(task.load(source)))
    plan = Plan(methods=("full",), splits=(first,), quick=Quick(60, 12))
    (one,) = run_task(brief, source, BaseUse(lambda: load_base(None)), plan, tmp_path)
    assert one.base_name == "kagaku-tiny"
    assert one.n_test == len(one.answers) == 12
    assert np.isfinite(task.leading.of(one.answers))
