"""A modality that the shipped weights have never met, registered here in one class."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pandas as pd
import pytest
import torch

import kagaku
from kagaku.bases import DEFAULT, UNTRAINED, load_base
from kagaku.data import columns
from kagaku.errors import InputError
from kagaku.modalities import MODALITIES, Tokens
from kagaku.modalities.sequence import SequenceModality, sequence_tokens
from kagaku.run import Run

KEYS = "ABCDEFG"
TOLD = "kagaku-tiny was never trained on melody inputs"


class Melody(SequenceModality[str]):
    """Notes, one token each."""

    name: ClassVar[str] = "melody"
    vocabulary_size: ClassVar[int] = 3 + len(KEYS)

    def check(self, value: str) -> str:
        if set(value) - set(KEYS):
            raise InputError("these are no notes", fix="Write A to G.")
        return value

    def tokenize(self, value: str) -> Tokens:
        return sequence_tokens([0, *(3 + KEYS.index(one) for one in value), 1])

    def decode(self, ids: Sequence[int]) -> str:
        return "".join(KEYS[one - 3] for one in ids if one >= 3)


@pytest.fixture(autouse=True)
def melody(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(columns, "CELL_MODALITIES", [*columns.CELL_MODALITIES])
    monkeypatch.setattr("kagaku.data.inference.CELL_MODALITIES", columns.CELL_MODALITIES)
    monkeypatch.setattr("kagaku.embedding.verb.CELL_MODALITIES", columns.CELL_MODALITIES)
    MODALITIES.register("melody")(Melody)
    yield
    del MODALITIES._classes["melody"]


def melodies(n_rows: int) -> pd.DataFrame:
    random = np.random.default_rng(0)
    tunes = ["".join(random.choice(list(KEYS), random.integers(3, 12))) for _ in range(n_rows)]
    smiles = ["C" * int(one) + "O" for one in random.integers(1, 9, n_rows)]
    return pd.DataFrame(
        {"tune": tunes, "smiles": smiles, "joy": [float(one.count("C")) for one in tunes]}
    )


@pytest.mark.parametrize(
    ("inputs", "settings"),
    [
        (["tune: melody"], {"method": "readout"}),
        (["tune: melody", "smiles"], {"method": "readout"}),
        (["tune: melody"], {"method": "full", "settings": {"epochs": 1}}),
    ],
    ids=["alone", "beside molecules", "full"],
)
def test_a_table_with_it_is_fine_tuned_on_the_shipped_weights(
    tmp_path: Path,
    quickly: Any,
    inputs: Sequence[str],
    settings: dict[str, Any],
    capsys: pytest.CaptureFixture[str],
) -> None:
    table = melodies(80)
    with quickly():
        run = kagaku.finetune(
            table, "joy", tmp_path / "run", inputs=inputs, base=DEFAULT, **settings
        )
    assert " ".join(capsys.readouterr().err.split()).count(TOLD) == 1
    assert run.metrics["base"] == {"name": "kagaku-tiny", "not_trained_on": ["melody"]}
    for page in ("report.html", "card.md"):
        assert TOLD in (tmp_path / "run" / page).read_text().replace("\\", "")
    first = run.predict(table)
    assert np.isfinite(first["joy"]).all()
    again = kagaku.load(tmp_path / "run")
    assert isinstance(again, Run)
    pd.testing.assert_frame_equal(again.predict(table), first)


def test_it_is_embedded_with_a_warning() -> None:
    tunes = ["ABC", "GFE", "ABC"]
    with pytest.warns(UserWarning, match=TOLD):
        vectors = kagaku.embed(tunes, inputs=["melody"])
    assert vectors.shape == (3, 256)
    np.testing.assert_allclose(vectors[0], vectors[2], atol=1e-6)
    assert np.abs(vectors[0] - vectors[1]).max() > 0.01


def test_random_weights_read_it_and_keep_the_weights_that_they_had() -> None:
    del MODALITIES._classes["melody"]
    before = load_base(UNTRAINED).state_dict()
    MODALITIES.register("melody")(Melody)
    encoder = load_base(UNTRAINED)
    assert "melody" in encoder.config.modalities
    weights = encoder.state_dict()
    assert all(torch.equal(weights[name], one) for name, one in before.items())
    assert kagaku.embed(["ABC"], inputs=["melody"], model=UNTRAINED).shape == (1, 256)


def test_cells_that_it_refuses_are_told_with_their_row(tmp_path: Path) -> None:
    table = melodies(60)
    table.loc[3, "tune"] = "XYZ"
    with pytest.raises(InputError, match="these are no notes"):
        kagaku.finetune(table, "joy", tmp_path / "run", inputs=["tune: melody"], quiet=True)
