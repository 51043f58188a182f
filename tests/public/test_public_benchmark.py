"""`kagaku benchmark` with a public protein model as base."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from kagaku.benchmarks.request import BenchmarkRequest
from kagaku.benchmarks.verb import benchmark
from kagaku.errors import InputError
from kagaku.models.public import load_public
from kagaku.models.public.proteins import ProteinLanguageModel
from kagaku.science_tasks.proteins.proteingym import ASSAYS, DOSE, LACTAMASE, LACTAMASE_ASSAY
from kagaku.terminal import Terminal

WILD_TYPE = "MKTAYIAKQRQISFVKSHFSRQLEERLGLIEVQ"
VARIANTS = ("K2R", "A4W", "Y5C", "R10L", "S13T", "F19A", "E25D", "Q33N")


def scan(key: str) -> bytes:
    """Return the files of the task with a short protein in place of beta-lactamase."""
    if key == LACTAMASE:
        measured = np.linspace(-2, 1, len(VARIANTS))
        table = pd.DataFrame({"mutant": VARIANTS, DOSE: measured})
        return table.to_csv(index=False).encode("utf-8-sig")
    assert key == ASSAYS
    told = {"DMS_id": LACTAMASE_ASSAY, "target_seq": WILD_TYPE, "DMS_binarization_cutoff": -0.5}
    return pd.DataFrame([told]).to_csv(index=False).encode()


def run(folder: Path, base: Path, method: str) -> dict[str, Any]:
    request = BenchmarkRequest(names=("beta-lactamase",), methods=(method,), base=str(base))
    return benchmark(request, folder, terminal=Terminal(quiet=True), source=scan)


def test_variants_are_scored_by_the_language_head_of_an_esm(small_esm: Any, tmp_path: Path) -> None:
    found = run(tmp_path / "bench", small_esm.folder, "masked-marginals")
    (row,) = [
        one for one in found["beta-lactamase"]["methods"] if one["name"] == "masked-marginals"
    ]
    assert row["base"] == small_esm.folder.name
    paths = (tmp_path / "bench" / "beta-lactamase").rglob("*.parquet")
    (path,) = (one for one in paths if "masked-marginals" in str(one))
    given = pd.read_parquet(path)["given"].to_numpy()
    model = load_public(small_esm.folder)
    assert isinstance(model, ProteinLanguageModel)
    np.testing.assert_allclose(given, model.score_variants(WILD_TYPE, VARIANTS), atol=1e-6)
    assert given.std() > 0


def test_a_public_model_of_texts_scores_no_variants(bert: Any, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="the base has no heads"):
        run(tmp_path / "bench", bert.folder, "masked-marginals")
