"""`kagaku evaluate` and `kagaku release`: figures of pretrained weights, and what is published."""

import json
import re
import shutil
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
from kagaku.pretraining import evaluation as pretrain_evaluation
from kagaku.pretraining.card import write_pretrain_card
from kagaku.pretraining.evaluation import EvaluationWishes, evaluate_weights
from kagaku.pretraining.measures import reference_molecules
from kagaku.pretraining.recipe import load_pretrain_recipe
from kagaku.pretraining.release import halved, refresh, release_weights, thinned, verify_release
from kagaku.pretraining.verb import run_pretraining
from kagaku.terminal import Terminal


@pytest.fixture(scope="module")
def released(run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return release_weights(run, tmp_path_factory.mktemp("release") / "made-up")


@pytest.fixture(scope="module")
def pairs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("pairs") / "pairs.csv"
    smiles = ["CCO", "CCCO", "CCCCO", "CCCCCO", "c1ccccc1O", "CC(=O)OC"]
    text = [f"a molecule that is written as number {place} of a list" for place in range(6)]
    # The last two rows are no new pairs: one stands above, one is no molecule.
    table = {
        "number": range(8),
        "smiles": [*smiles, "CCO", "C1CC("],
        "told": [*text, text[0], "a broken one"],
    }
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
        "table: pairs.csv",
        "generated",
    }
    counted = evaluated["neighbours: protein"]
    assert 0 <= counted["accuracy"] <= 1
    # Twenty residues drawn evenly: nothing can be learnt beyond one in twenty, or about.
    assert counted["unigram loss"] == pytest.approx(3.0, abs=0.1)
    # The molecule that stands twice is asked for once.
    assert evaluated["table: pairs.csv"]["molecule to text"]["pairs"] == 6
    assert evaluated["table: pairs.csv"]["text to molecule"]["chance recall@1"] == pytest.approx(
        1 / 6
    )
    assert evaluated["generated"]["n_generated"] == 20


def test_an_evaluation_goes_on_and_measures_anew_what_changed(
    released: Path, bench: Any, pairs: Path, evaluated: dict[str, Any]
) -> None:
    path, corpus = released / "evaluation.json", bench.folder / "corpus"
    stored = json.loads(path.read_text())
    assert stored["parts"] == evaluated
    stored["parts"]["held-out"] = {"kept": 1.0}
    path.write_text(json.dumps(stored))
    assert evaluate_weights(released, corpus=corpus)["held-out"] == {"kept": 1.0}
    again = evaluate_weights(released, corpus=corpus, wishes=EvaluationWishes(n_molecules=10))
    assert again["generated"]["n_generated"] == 10
    before = pairs.read_text()
    pairs.write_text("".join(before.splitlines(keepends=True)[:5]))
    fewer = evaluate_weights(released, corpus=corpus, wishes=EvaluationWishes(pairs=(pairs,)))
    assert fewer["table: pairs.csv"]["molecule to text"]["pairs"] == 4
    pairs.write_text(before)
    path.write_text(json.dumps({"weights": "others", "parts": {}, "measured_on": {}}))
    wishes = EvaluationWishes(pairs=(pairs,), n_molecules=20)
    assert evaluate_weights(released, corpus=corpus, wishes=wishes) == evaluated
    verify_release(released)


def test_card_and_checksums_are_right_after_each_part(
    released: Path, bench: Any, monkeypatch: pytest.MonkeyPatch, evaluated: dict[str, Any]
) -> None:
    path = released / "evaluation.json"
    whole = path.read_bytes()
    path.unlink()

    def stopped(*_: object) -> dict[str, float]:
        raise KeyboardInterrupt

    monkeypatch.setattr(pretrain_evaluation, "neighbour_figures", stopped)
    with pytest.raises(KeyboardInterrupt):
        evaluate_weights(released, corpus=bench.folder / "corpus")
    verify_release(released)
    assert json.loads(path.read_text())["parts"].keys() == {"held-out"}
    assert evaluated
    path.write_bytes(whole)
    refresh(released)


def test_another_corpus_is_refused(run: Path, bench: Any, tmp_path: Path) -> None:
    bench.build_corpus(tmp_path / "other")
    manifest = tmp_path / "other/manifest.json"
    manifest.write_text(manifest.read_text().replace("CC0-1.0", "CC-BY-4.0"))
    with pytest.raises(InputError, match="another corpus than the weights were trained on"):
        evaluate_weights(run, corpus=tmp_path / "other")


def test_another_build_of_the_same_samples_is_measured_and_told(
    run: Path, bench: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(run, tmp_path / "run")
    bench.build_corpus(tmp_path / "other")
    path = tmp_path / "other/manifest.json"
    manifest = json.loads(path.read_text())
    source = manifest["sources"][0]
    source["train"][0]["sha256"] = "0" * 64
    manifest["descriptors"]["mean"][0] *= 1 + 1e-9
    path.write_text(json.dumps(manifest))
    found = evaluate_weights(tmp_path / "run", corpus=tmp_path / "other", terminal=Terminal())
    assert "held-out" in found
    said = re.sub(r"\s+", " ", capsys.readouterr().err)
    assert f"another build's bytes of {source['name']}: their figures may differ a little" in said


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
    summary = json.loads((released / "summary.json").read_text())
    each = summary["tokens"] / summary["parameters"]
    assert f"{each:,.2g} for each parameter; the usual rule is 20" in card
    assert "which is little" not in card
    assert "were shown several times" not in card
    assert "this model also sees the other part" in card
    assert "![Losses over training](losses.png)" in card
    assert "| masked/protein | proteins |" in card
    assert "## What was found later" not in card
    assert "(planning 5): another version may build another corpus" in card


def test_the_card_tells_what_was_found_later_and_of_what_no_curve_tells(
    released: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "later"
    shutil.copytree(released, folder)
    valid = pd.read_csv(folder / "valid.csv")
    rows = valid[valid["source"] == "proteins"].drop_duplicates("step")
    rows = rows.assign(loss="aligned/protein-text")
    is_aligned = valid["loss"].str.startswith("aligned/")
    pd.concat([valid[~is_aligned], rows]).to_csv(folder / "valid.csv", index=False)
    (folder / "found_later.md").write_text("- Its abstracts were torn.\n")
    provenance = json.loads((folder / "provenance.json").read_text()) | {"commit": "abc123"}
    (folder / "provenance.json").write_text(json.dumps(provenance))
    card = write_pretrain_card(folder).read_text()
    assert "## What was found later\n\n- Its abstracts were torn.\n\n## What it knows" in card
    assert "of each source it never was of named: no curve tells" in card
    assert "With kagaku as it was at commit `abc123` (planning 5)" in card


def test_the_card_of_an_older_run_tells_of_repeats_that_were_alike(
    released: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "older"
    shutil.copytree(released, folder)
    provenance = json.loads((folder / "provenance.json").read_text())
    provenance["identity"]["planning"] = 4
    (folder / "provenance.json").write_text(json.dumps(provenance))
    rows = load_pretrain_recipe(folder / "config.yaml").order.n_rows
    assert "were shown several times" not in write_pretrain_card(folder).read_text()
    text = (folder / "config.yaml").read_text()
    (folder / "config.yaml").write_text(text.replace(f"n_rows: {rows}", "n_rows: 41"))
    card = write_pretrain_card(folder).read_text()
    assert "A micro-batch has 41 rows of one source. Sources that fill fewer were shown" in card
    assert "count views that were alike: named" in card


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
    told = (released / "card.md").read_text()
    assert "ESOL" not in told
    assert "are of other weights" in told
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
    with pytest.raises(InputError, match="holds something other than a release"):
        release_weights(run, tmp_path / "mine")
    with pytest.raises(InputError, match="cannot be released into its own folder"):
        release_weights(run, run)
    shutil.copytree(run, tmp_path / "copied")
    with pytest.raises(InputError, match="holds something other than a release"):
        release_weights(run, tmp_path / "copied")
    summary = json.loads((run / "summary.json").read_text())
    (tmp_path / "copied/summary.json").write_text(json.dumps(summary | {"steps": 5}))
    with pytest.raises(InputError, match="5 of 6 steps are done"):
        release_weights(tmp_path / "copied", tmp_path / "new")
    with pytest.raises(InputError, match=r"beyond float16's range"):
        halved({"weight": torch.tensor([1e6])}, tmp_path)


def test_a_release_into_a_package_and_a_second_one_leave_what_is_python(
    run: Path, released: Path, tmp_path: Path
) -> None:
    package = tmp_path / "weights"
    package.mkdir()
    (package / "__init__.py").write_text('"""Weights."""')
    for _ in range(2):
        release_weights(run, package)
        verify_release(package)
        assert (package / "__init__.py").is_file()
    names = {one.name for one in released.iterdir()} - {"evaluation.json"}
    assert {one.name for one in package.iterdir()} - {"__init__.py"} == names
    assert [one.name for one in tmp_path.iterdir()] == ["weights"]


def test_a_release_that_fails_leaves_nothing(run: Path, tmp_path: Path) -> None:
    broken = tmp_path / "broken"
    shutil.copytree(run, broken)
    (broken / "manifest.json").write_text("{}")
    with pytest.raises(InputError, match="manifest is damaged"):
        release_weights(broken, tmp_path / "out")
    assert not (tmp_path / "out").exists()
    assert not (tmp_path / "out.partial").exists()


def test_weights_that_started_from_others_name_these_and_no_place(
    bench: Any, run: Path, tmp_path: Path
) -> None:
    started = run_pretraining(bench.written({"start": str(run), "training": {"max_steps": 2}}))
    folder = release_weights(started, tmp_path / "started")
    recipe = yaml.safe_load((folder / "config.yaml").read_text())
    assert recipe["start"] == run.name
    card = (folder / "card.md").read_text()
    assert "It started from the weights made-up (sha256 `" in card
    seen = json.loads((run / "summary.json").read_text())["tokens"]
    assert f"`), which had seen {seen:,} tokens, and whose corpus had" in card
    assert card.count("CC0-1.0") == 4  # two sources of its own, two of what it started from
    evaluate_weights(folder, corpus=bench.folder / "corpus")
    verify_release(folder)


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
    for n_molecules, message in ((5, "there is no such file"), (0, "none are asked for")):
        wishes = EvaluationWishes(n_molecules=n_molecules, reference=tmp_path / "none.csv")
        with pytest.raises(InputError, match=message):
            evaluate_weights(run, corpus=bench.folder / "corpus", wishes=wishes)


def test_a_reference_is_found_by_what_its_columns_hold(tmp_path: Path) -> None:
    path = tmp_path / "reference.csv"
    smiles = ["CCO", "c1ccccc1", "CC(=O)O", "CCN"]
    notes = ["one", "two", "three", "four"]
    pd.DataFrame({"note": notes, "structure": smiles}).to_csv(path)
    assert sorted(reference_molecules(path)) == sorted(smiles)
    pd.DataFrame({"note": notes}).to_csv(path, index=False)
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
