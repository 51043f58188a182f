"""Activity cliffs: which pairs they are, how a model fares on them, and how they are drawn."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from kagaku.data.catalogue import FolderSource
from kagaku.data.records import EXACT, Records, TargetValues
from kagaku.data.schema import Input, Schema, Target
from kagaku.errors import InputError
from kagaku.reporting.cliffs import cliff_section, pair_svg
from kagaku.science_tasks.benchmark.files import frame
from kagaku.science_tasks.chemistry import cliffs
from kagaku.science_tasks.chemistry.cliffs import cliff_pairs
from kagaku.science_tasks.cliff_scores import FEWEST_MOLECULES, cliff_scores, step_of
from kagaku.science_tasks.prediction import Prediction
from kagaku.science_tasks.property import TargetPrediction

ANILIDE = "CC(=O)Nc1ccc({})cc1"
PHENYL = "c1ccc(CCCCCNC(=O)C{}CCCCCCCCCCO)cc1"
POTENCY = Target("pIC50", "pIC50", "regression", "dimensionless", "dimensionless")


def pairs_of(molecules: list[str], values: list[float], step: float = 1.0) -> list[tuple[Any, ...]]:
    found = cliff_pairs(molecules, np.array(values, dtype=np.float64), step)
    return list(zip(found.first.tolist(), found.second.tolist(), found.view, strict=True))


def test_twins_are_told_by_each_view() -> None:
    fluoride, chloride = ANILIDE.format("F"), ANILIDE.format("Cl")
    assert pairs_of([fluoride, "CCO", fluoride], [5, 5, 7]) == [(0, 2, "the same molecule")]
    assert pairs_of([fluoride, chloride], [5, 7]) == [(0, 1, "skeleton")]
    # One more atom in a long chain changes no group of atoms.
    assert pairs_of([PHENYL.format(""), PHENYL.format("C")], [5, 7]) == [(0, 1, "atoms")]
    # Another place on a ring is another skeleton, but hardly another spelling.
    long = "CCCCCCCCCCCCCCCCCCCCOc1ccc(F)c({})c1"
    moved = "CCCCCCCCCCCCCCCCCCCCOc1cc(F)cc({})c1"
    assert pairs_of([long.format("CN"), moved.format("CN")], [5, 7]) == [(0, 1, "spelling")]
    assert not pairs_of([fluoride, "CCCCCCO"], [5, 9])


def test_only_values_more_than_the_step_apart_count_whatever_their_rounding() -> None:
    one, other = ANILIDE.format("F"), ANILIDE.format("Cl")
    assert 2.2 - 1.2 > 1.0
    assert not pairs_of([one, other], [1.2, 2.2])
    assert pairs_of([one, other], [1.2, 2.21])
    assert not pairs_of([one, other], [52.0, 62.1], step=20.0)


def test_the_steepest_stand_first_and_no_pair_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    molecules = [ANILIDE.format(one) for one in ("F", "Cl", "Br", "I", "C")]
    values = [5.0, 7.0, 9.5, 5.1, 6.5]
    whole = pairs_of(molecules, values)
    assert whole[0][:2] == (0, 2)
    assert all(first < second for first, second, _ in whole)
    assert len({one[:2] for one in whole}) == len(whole) == 8
    monkeypatch.setattr(cliffs, "_CHUNK", 2)
    assert pairs_of(molecules, values) == whole
    monkeypatch.setattr(cliffs, "MOST_KEPT", 3)
    assert pairs_of(molecules, values) == whole[:3]
    found = cliff_pairs(molecules, np.array(values))
    assert found.n_pairs == 8
    assert found.on_cliff.all()


def test_molecules_without_groups_are_no_twins_of_each_other() -> None:
    assert not pairs_of(["[HH]", "[Na+]", "[2H][2H]"], [0, 5, 10])


def test_nothing_is_looked_for_among_too_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cliffs, "MOST_MOLECULES", 2)
    with pytest.raises(InputError, match="cliffs among 3 molecules are not looked for") as caught:
        cliff_pairs(["C", "CC", "CCC"], np.zeros(3))
    assert "Give at most 2" in str(caught.value)
    with pytest.raises(InputError, match="1 molecules have 2 values"):
        cliff_pairs(["C"], np.zeros(2))


@pytest.mark.parametrize(
    ("name", "unit", "step"),
    [
        ("logS", "log10(mol/L)", 1.0),
        ("rate", "ln(1/s)", np.log(10)),
        ("activity", "-log10(mol/L)", 1.0),
        ("pIC50", "dimensionless", 1.0),
        ("pKi", "dimensionless", 1.0),
        ("logP", "dimensionless", 1.0),
        ("log10 activity", "dimensionless", 1.0),
        ("logD7.4", "dimensionless", 1.0),
        ("pKinase", "dimensionless", 2.0),
        ("log2FC", "dimensionless", 2.0),
        ("log1p_counts", "dimensionless", 2.0),
        ("logit", "dimensionless", 2.0),
        ("logistic score", "dimensionless", 2.0),
        ("point", "dimensionless", 2.0),
        ("pIC50", "nmol/L", 2.0),
        ("melting", "degC", 2.0),
    ],
)
def test_logarithms_are_far_apart_tenfold_and_others_by_their_spread(
    name: str, unit: str, step: float
) -> None:
    found, why = step_of(Target(name, name, "regression", unit, unit), np.array([1.0, 5.0]))
    assert found == pytest.approx(step)
    assert why == ("one standard deviation of all values" if step == 2.0 else "tenfold")


def records_of(
    molecules: Sequence[str | None], values: list[float], *, more: bool = False
) -> Records:
    inputs: tuple[Input, ...] = (Input("smiles", "smiles", "molecule", None, ""),)
    if more:
        inputs += (Input("temp", "temp", "quantity", "degC", ""),)
    return Records(
        schema=Schema(inputs, (POTENCY,), ()),
        inputs={one.name: list(molecules) for one in inputs},
        targets={"pIC50": TargetValues(np.array(values), np.full(len(values), EXACT))},
        rows=np.arange(2, len(values) + 2),
        source="lab.csv",
    )


def given_for(means: list[float], half: float = 0.5) -> TargetPrediction:
    mean = np.array(means)
    return TargetPrediction(
        prediction=Prediction(mean=mean, spread=np.full(len(mean), half)),
        in_domain=np.ones(len(mean), dtype=bool),
        distance=np.zeros(len(mean)),
        lower=mean - half,
        upper=mean + half,
    )


TWINS = [ANILIDE.format("F"), ANILIDE.format("Cl")]
OTHERS = [f"{'C' * n}N(C){'C' * n}OC(=O)C{'C' * (n % 3)}S" for n in range(1, 21)]


def test_held_out_twins_are_scored_by_themselves() -> None:
    molecules: list[str | None] = [*TWINS, *OTHERS, None]
    values = [5.0, 8.0, *(6.0 for _ in OTHERS), 6.0]
    # Held out: one twin, one other, one without a molecule.
    found = cliff_scores(
        POTENCY, records_of(molecules, values), np.array([1, 2, 22]), given_for([6.0, 6.1, 0.0])
    )
    assert found is not None
    assert (found["n_molecules"], found["n_on"], found["n_pairs"]) == (22, 2, 1)
    assert found["on"]["n_test"] == 1
    assert found["on"]["rmse"] == pytest.approx(2.0)
    assert found["on"]["held"] == 0.0
    assert found["off"]["n_test"] == 1
    assert found["off"]["rmse"] == pytest.approx(0.1)
    assert found["off"]["held"] == 1.0
    (pair,) = found["steepest"]
    assert pair["difference"] == pytest.approx(3.0)
    assert [one["row"] for one in pair["molecules"]] == [2, 3]
    assert [one["side"] for one in pair["molecules"]] == ["training", "held out"]


def test_bounds_are_on_no_cliff() -> None:
    records = records_of([*TWINS, *OTHERS], [5.0, 8.0, *(6.0 for _ in OTHERS)])
    records.targets["pIC50"].censoring[1] = 1
    found = cliff_scores(POTENCY, records, np.array([1, 2]), given_for([6.0, 6.1]))
    assert found is not None
    assert found["n_pairs"] == 0
    assert found["off"]["n_test"] == 1  # the bound has no error to speak of
    assert cliff_section(POTENCY, {"cliffs": found}) is None


def test_other_inputs_few_rows_and_equal_values_tell_nothing() -> None:
    test, given = np.array([0]), given_for([6.0])
    values = [5.0, 8.0, *(6.0 for _ in OTHERS)]
    mixed = records_of([*TWINS, *OTHERS], values, more=True)
    assert cliff_scores(POTENCY, mixed, test, given) is None
    few = records_of([*TWINS, *OTHERS][: FEWEST_MOLECULES - 1], values[: FEWEST_MOLECULES - 1])
    assert cliff_scores(POTENCY, few, test, given) is None
    melting = Target("pIC50", "pIC50", "regression", "degC", "degC")
    equal = records_of([*TWINS, *OTHERS], [5.0] * 22)
    assert cliff_scores(melting, equal, test, given) is None
    binary = Target("pIC50", "pIC50", "binary", classes=("no", "yes"))
    assert cliff_scores(binary, equal, test, given) is None


def test_the_report_tells_both_sides_and_draws_the_steepest() -> None:
    molecules: list[str | None] = [*TWINS, *OTHERS]
    values = [5.0, 8.0, *(6.0 for _ in OTHERS)]
    found = cliff_scores(
        POTENCY, records_of(molecules, values), np.array([1, 2]), given_for([6.0, 6.1])
    )
    section = cliff_section(POTENCY, {"cliffs": found})
    assert section is not None
    counted, scored, *_ = section.sentences
    assert counted.startswith("2 of 22 rows (9%) have a near twin whose value differs by")
    assert "more than 1 (tenfold); 1 such pair in all" in counted
    assert "on cliffs (1 row) 2.00, and 0% (0% to 79%) lie in their intervals" in scored
    assert "the others (1 row) 0.1000, and 100%" in scored
    (pair,) = section.pairs
    assert pair.title == "The same skeleton, or nearly: 3.00 apart"
    assert pair.values == ("5.00 (row 2, training)", "8.00 (row 3, held out)")
    assert pair.svg.startswith("<svg")
    assert pair.svg.count("#F4C68C") >= 2  # what the other one lacks, on both sides


def test_what_rdkit_cannot_read_is_not_drawn() -> None:
    assert pair_svg("CCO", "<script>") == ""


def test_runs_before_cliffs_were_looked_for_have_no_section() -> None:
    assert cliff_section(POTENCY, {}) is None
    assert cliff_section(POTENCY, {"cliffs": None}) is None


@pytest.mark.benchmark_data
@pytest.mark.parametrize("target", ["CHEMBL1862_Ki", "CHEMBL2835_Ki", "CHEMBL4203_Ki"])
def test_cliffs_are_those_that_moleculeace_marks(target: str) -> None:
    source = FolderSource([Path(os.environ["KAGAKU_DATA"]).expanduser().resolve()])
    table = frame(source, f"molecules/moleculeace/{target}.csv")
    found = cliff_pairs(table["smiles"].tolist(), table["y [pEC50/pKi]"].to_numpy())
    assert (found.on_cliff == (table["cliff_mol"] == 1).to_numpy()).all()
