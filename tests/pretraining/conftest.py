"""A small corpus, and a pretraining on it that takes a second."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import pytest
import torch
import yaml

from kagaku.data.corpora.encoding import encode_sample
from kagaku.data.corpora.manifest import DescriptorScale, Manifest, SourceInfo
from kagaku.data.corpora.shards import EncodedSample, write_shards
from kagaku.data.corpora.storage import save_manifest
from kagaku.modalities import MODALITIES
from kagaku.models.pretraining import throughput
from kagaku.pretraining.verb import run_pretraining

_RECIPE = """\
name: made-up
corpus: corpus
output: run
backbone: {dim: 32, depth: 2, heads: 2, hidden: 64}
order: {row_length: 96, n_rows: 4, micro_batches: 2}
optimiser: {warmup_steps: 2}
training:
  max_steps: 6
  precision: 32-true
  compile: never
  workers: 0
  valid_micro_batches: 1
  log_steps: 1
"""


@pytest.fixture(scope="package", autouse=True)
def quick_machine() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)  # on a busy machine, threads that wait for each other cost the most
    with patch.object(throughput, "SECONDS", 0.0):
        yield
    torch.set_num_threads(before)


def build_corpus(folder: Path) -> None:
    """Write a small corpus of named molecules with descriptors, and of proteins."""
    folder.mkdir()
    rng = np.random.default_rng(0)
    sources: dict[str, tuple[dict[str, str], list[dict[str, str]]]] = {
        "named": (
            {"molecule": "molecule", "name": "text"},
            [{"molecule": "C" * n + "O", "name": f"alcohol of {n} carbons"} for n in range(1, 61)],
        ),
        "proteins": (
            {"protein": "protein"},
            [
                {"protein": "".join(rng.choice(list("ACDEFGHIKLMNPQRSTVWY"), n))}
                for n in rng.integers(10, 90, 60)
            ],
        ),
    }
    infos = []
    for name, (inputs, values) in sources.items():
        modalities = {one: MODALITIES[modality]() for one, modality in inputs.items()}
        encoded = [
            EncodedSample(
                encode_sample(f"{index:06d}", f"{name}:{index}", name, value),
                np.array([len(modalities[one].tokenize(value[one])) for one in inputs], np.int32),
                np.array([index, 1.0], np.float32) if name == "named" else None,
            )
            for index, value in enumerate(values)
        ]
        infos.append(
            SourceInfo(
                name=name,
                origin="made up",
                version="1",
                licence="CC0-1.0",
                inputs=inputs,
                steps=(),
                n_tokens=int(sum(one.lengths.sum() for one in encoded[20:])),
                train=write_shards(iter(encoded[20:]), folder, f"{name}-train", 1 << 20),
                valid=write_shards(iter(encoded[:20]), folder, f"{name}-valid", 1 << 20),
            )
        )
    scale = DescriptorScale(("length", "one"), (30.0, 1.0), (15.0, 1.0))
    save_manifest(Manifest("made-up", 0, tuple(infos), scale), folder)


@dataclass(frozen=True)
class Bench:
    """A recipe beside its corpus."""

    folder: Path
    """Holds both."""

    recipe: Path
    """The recipe."""

    def changed(self, **training: object) -> Path:
        """Write a recipe with other settings of the training, and an output of its own."""
        return self.written({"training": training})

    def written(self, changes: dict[str, object]) -> Path:
        """Write a recipe with other settings, sections merged, and an output of its own."""
        values = self.settings()
        for key, value in changes.items():
            values[key] = {**values.get(key, {}), **value} if isinstance(value, dict) else value
        name = re.sub(r"\W+", "-", str(changes))
        values["output"] = f"run{name}"
        path = self.folder / f"recipe{name}.yaml"
        path.write_text(yaml.safe_dump(values))
        return path

    def settings(self) -> dict[str, Any]:
        """Return the recipe's settings."""
        values: dict[str, Any] = yaml.safe_load(_RECIPE)
        return values

    def build_corpus(self, folder: Path) -> None:
        """Build the same corpus in another folder."""
        build_corpus(folder)


@pytest.fixture(scope="package")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    folder = tmp_path_factory.mktemp("bench")
    build_corpus(folder / "corpus")
    (folder / "recipe.yaml").write_text(_RECIPE)
    return Bench(folder, folder / "recipe.yaml")


@pytest.fixture(scope="package")
def run(bench: Bench) -> Path:
    """A finished run."""
    return run_pretraining(bench.recipe)
