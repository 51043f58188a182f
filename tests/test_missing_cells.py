"""Tables in which three inputs of ten are empty, of four kinds at once, train and predict."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import kagaku

INPUTS = ["smiles: molecule", "sequence: protein", "note: text", "temperature [degC]"]
EMPTY = 0.3


def mixed_table(samples: Path, n_rows: int) -> pd.DataFrame:
    """Return rows of four inputs, 30% of their cells empty, and a number that three move."""
    rng = np.random.default_rng(7)
    molecules = pd.read_csv(samples / "molecules.csv").sample(n_rows, replace=True, random_state=1)
    proteins = pd.read_csv(samples / "proteins.csv").sample(n_rows, replace=True, random_state=2)
    notes = pd.read_csv(samples / "text.csv").sample(n_rows, replace=True, random_state=3)
    temperature = rng.uniform(0, 100, n_rows).round(1)
    measured = (
        molecules["logS [log10(mol/L)]"].to_numpy()
        + 0.5 * proteins["fitness [dimensionless]"].to_numpy()
        + 0.02 * temperature
    )
    table = pd.DataFrame(
        {
            "smiles": molecules["smiles"].to_numpy(),
            "sequence": proteins["sequence"].to_numpy(),
            "note": notes["text"].str[:200].to_numpy(),
            "temperature [degC]": temperature,
        }
    )
    empty = rng.random(table.shape) < EMPTY
    empty[empty.all(axis=1), 0] = False
    table = table.astype(object).mask(empty, None)
    table["response [dimensionless]"] = measured.round(3)
    return table


def check(table: pd.DataFrame, folder: Path, quickly: Callable[[], Any]) -> None:
    share = table.iloc[:, :4].isna().to_numpy().mean()
    assert 0.28 < share < 0.32
    table.to_csv(folder / "lab.csv", index=False)
    with quickly():
        run = kagaku.finetune(
            folder / "lab.csv",
            "response",
            folder / "run",
            inputs=INPUTS,
            method="readout",
            quiet=True,
        )
    found = run.metrics["targets"]["response"]
    mean = next(one for one in found["baselines"] if one["name"] == "mean")
    assert found["test"]["RMSE"]["value"] < mean["test"]["RMSE"]["value"]
    answer = run.predict(folder / "lab.csv")
    assert isinstance(answer, pd.DataFrame)
    assert len(answer) == len(table)
    assert np.isfinite(answer[["response", "response_lower", "response_upper"]]).all(axis=None)
    one = table.iloc[[0]].copy()
    for column in table.columns[:4]:
        alone = one.copy()
        alone[[name for name in table.columns[:4] if name != column]] = None
        alone[column] = table[column].dropna().iloc[0]
        assert np.isfinite(run.predict(alone)["response"]).all(), column


def test_two_hundred_mixed_records_with_gaps_train_and_predict(
    samples: Path, tmp_path: Path, quickly: Callable[[], Any]
) -> None:
    check(mixed_table(samples, 200), tmp_path, quickly)


@pytest.mark.slow
def test_two_thousand_mixed_records_with_gaps_train_and_predict(
    samples: Path, tmp_path: Path, quickly: Callable[[], Any]
) -> None:
    check(mixed_table(samples, 2_000), tmp_path, quickly)


def test_a_row_without_any_input_is_a_bad_row(
    samples: Path, tmp_path: Path, quickly: Callable[[], Any]
) -> None:
    table = mixed_table(samples, 60)
    table.iloc[5, :4] = None
    table.to_csv(tmp_path / "lab.csv", index=False)
    with quickly(), pytest.raises(kagaku.InputError, match=r"row 7.*no input at all"):
        kagaku.finetune(tmp_path / "lab.csv", "response", tmp_path / "run", quiet=True)
