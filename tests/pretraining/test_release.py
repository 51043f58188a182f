"""`kagaku evaluate` and `kagaku release`: figures of pretrained weights, and what is published."""

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch
import yaml
from safetensors.torch import load_file
from typer.testing import CliRunner

from kagaku.bases import load_base
from kagaku.cli import app
from kagaku.errors import InputError
from kagaku.models.pretraining.stored import load_pretrained
from kagaku.pretrain_evaluation import EvaluationWishes, evaluate_weights, reference_molecules
from kagaku.release import halved, refresh, release_weights, thinned, verify_release


@pytest.fixture(scope="module")
def released(run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return release_weights(run, tmp_path_factory.mktemp("release") / "made-up")


@pytest.fixture(scope="module")
def pairs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("pairs") / "pairs.csv"
    smiles = ["CCO", "CCCO", "CCCCO", "CCCCCO", "c1ccccc1O", "CC(=O)OC"]
    text = [f"a molecule that is written as number {place} of a list" for place in range(6)]
    table = {"number": range(7), "smiles": [*smiles, "CCO"], "told": [*text, text[0]]}
    pd.DataFrame(table).to_csv(path, index=False)
    return path


@pytest.fixture(scope="module")
def evaluated(released: Path, bench: Any, pairs: Path) -> dict[str, Any]:
    wishes = EvaluationWishes(pairs=(pairs,), n_molecules=20)
    return evaluate_weights(released, corpus=bench.folder / "corpus", wishes=wishes)


def test_a_release_holds_the_weights_in_half_the_bytes(run: Path, released: Path) -> None:
    for name in ("encoder.safetensors", "heads.safetensors"):
        whole, half = load_file(str(run / name)), load_file(str(released / name))
        assert {one.dtype for one in half.values()} == {torch.float16}
        for key, tensor in whole.items():
            # float16 keeps 11 bits of a number
            torch.testing.assert_close(half[key].float(), tensor, rtol=2**-11, atol=1e-7)
    encoder = load_base(str(released))
    assert {one.dtype for one in encoder.parameters()} == {torch.float32}
    assert encoder.config.name == "made-up"
    assert load_pretrained(released).descriptors is not None


def test_a_release_names_no_place_of_the_machine(released: Path, tmp_path: Path) -> None:
    stored = yaml.safe_load((released / "config.yaml").read_text())
    assert stored["corpus"] == "corpora/made-up"
    for path in released.iterdir():
        if path.suffix in {".json", ".yaml", ".md", ".csv"}:
            assert str(tmp_path.parent.parent) not in path.read_text()


def test_evaluation_gives_every_part_its_figures(evaluated: dict[str, Any]) -> None:
    assert set(evaluated) == {
        "held-out",
        "neighbours: molecule",
        "neighbours: protein",
        "pairs: named",
        "pairs: pairs.csv",
        "generated",
    }
    counted = evaluated["neighbours: protein"]
    assert 0 <= counted["accuracy"] <= 1
    # Twenty residues drawn evenly: nothing can be learnt beyond one in twenty, or about.
    assert counted["unigram loss"] == pytest.approx(3.0, abs=0.1)
    # The molecule that stands twice is asked for once.
    assert evaluated["pairs: pairs.csv"]["molecule to text"]["pairs"] == 6
    assert evaluated["pairs: pairs.csv"]["text to molecule"]["chance recall@1"] == pytest.approx(
        1 / 6
    )
    assert evaluated["generated"]["n_generated"] == 20


def test_an_evaluation_of_the_same_weights_goes_on(
    released: Path, bench: Any, evaluated: dict[str, Any]
) -> None:
    path = released / "evaluation.json"
    stored = json.loads(path.read_text())
    assert stored["parts"] == evaluated
    stored["parts"]["held-out"] = {"kept": 1.0}
    del stored["parts"]["pairs: named"]
    path.write_text(json.dumps(stored))
    again = evaluate_weights(released, corpus=bench.folder / "corpus")
    assert again["held-out"] == {"kept": 1.0}
    assert again["pairs: named"] == evaluated["pairs: named"]
    path.write_text(json.dumps({"weights": "others", "parts": {"held-out": {"kept": 1.0}}}))
    fresh = evaluate_weights(released, corpus=bench.folder / "corpus")
    assert fresh["held-out"] == evaluated["held-out"]


def test_the_card_tells_corpora_figures_and_limits(
    released: Path, evaluated: dict[str, Any]
) -> None:
    card = (released / "card.md").read_text()
    header = yaml.safe_load(card.split("---")[1])
    assert header["tags"][2:] == ["molecule", "protein", "text"]
    assert "| named | molecule, text | 40 |" in card
    assert "CC0-1.0" in card
    share = evaluated["neighbours: protein"]["accuracy"]
    assert f"| protein | {evaluated['neighbours: protein']['tokens']:,.0f} | {share:.1%}" in card
    assert "## What it cannot do" in card
    assert "![Losses over training](losses.png)" in card
    assert "| masked/protein | proteins |" in card


def test_the_card_leaves_out_what_other_weights_scored(released: Path) -> None:
    task = {"task": "ESOL", "metric": "RMSE", "is_cut": False} | {
        f"gp: {name}": value
        for name, value in {
            "classical": 0.5,
            "untrained": 0.7,
            "base": 0.6,
            "classical + untrained": 0.5,
            "classical + base": 0.55,
        }.items()
    }
    checksum = json.loads((released / "checksums.json").read_text())["encoder.safetensors"]
    (released / "transfer.json").write_text(json.dumps({"weights": checksum, "tasks": [task]}))
    refresh(released)
    told = (released / "card.md").read_text()
    assert "beat an untrained encoder's in 1 of 1 rows" in told
    assert "improve on these alone in 0 of 1" in told
    (released / "transfer.json").write_text(json.dumps({"weights": "x", "tasks": [task]}))
    refresh(released)
    assert "ESOL" not in (released / "card.md").read_text()
    (released / "transfer.json").unlink()
    refresh(released)


def test_damage_is_found_by_the_checksums(released: Path) -> None:
    verify_release(released)
    path = released / "summary.json"
    before = path.read_bytes()
    path.write_bytes(before + b" ")
    with pytest.raises(InputError, match=r"summary\.json has the checksum .* was published"):
        verify_release(released)
    path.write_bytes(before)
    verify_release(released)


def test_what_cannot_be_released_is_told(run: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no encoder\.json.*pretraining that has finished"):
        release_weights(tmp_path, tmp_path / "out")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/notes.txt").write_text("mine")
    with pytest.raises(InputError, match="holds other files"):
        release_weights(run, tmp_path / "mine")
    with pytest.raises(InputError, match=r"beyond float16's range"):
        halved({"weight": torch.tensor([1e6])}, tmp_path)


def test_a_thinned_log_ends_where_the_whole_one_does() -> None:
    log = pd.DataFrame({"step": range(1, 1_001), "loss": 1.0})
    kept = thinned(log)
    assert kept["step"].iloc[-1] == 1_000
    assert len(kept) == 200


def test_tables_that_are_no_pairs_are_refused(run: Path, bench: Any, tmp_path: Path) -> None:
    path = tmp_path / "one.csv"
    pd.DataFrame({"smiles": ["CCO", "CCC", "CCN"]}).to_csv(path, index=False)
    with pytest.raises(InputError, match="no two kinds of data to compare"):
        evaluate_weights(
            run, corpus=bench.folder / "corpus", wishes=EvaluationWishes(pairs=(path,))
        )
    with pytest.raises(InputError, match="there is no such file"):
        evaluate_weights(run, wishes=EvaluationWishes(reference=tmp_path / "none.csv"))


def test_a_reference_is_found_by_what_its_columns_hold(tmp_path: Path) -> None:
    path = tmp_path / "reference.csv"
    pd.DataFrame({"note": ["one", "two"], "structure": ["CCO", "c1ccccc1"]}).to_csv(path)
    assert sorted(reference_molecules(path)) == ["CCO", "c1ccccc1"]
    pd.DataFrame({"note": ["one", "two"]}).to_csv(path, index=False)
    with pytest.raises(InputError, match="no column holds molecules"):
        reference_molecules(path)


def test_the_verbs_do_the_same(run: Path, bench: Any, tmp_path: Path) -> None:
    runner, out = CliRunner(), tmp_path / "verb"
    done = runner.invoke(app, ["release", str(run), "--output", str(out)], catch_exceptions=False)
    assert done.exit_code == 0
    assert "MB of weights, with card and checksums" in done.stderr
    words = ["evaluate", str(out), "--corpus", str(bench.folder / "corpus")]
    done = runner.invoke(app, words, catch_exceptions=False)
    assert done.exit_code == 0
    assert "neighbours: protein" in done.stderr
    assert (out / "evaluation.json").is_file()
    verify_release(out)
