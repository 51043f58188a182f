"""`kagaku trace`: a value's training samples, with source, licence and step."""

import re
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import PIL.Image
import pytest
from typer.testing import CliRunner

import kagaku
from kagaku.cli import app
from kagaku.data.corpora import TRAIN, Corpus
from kagaku.data.corpora.order import CorpusOrder
from kagaku.data.corpora.sources.images import Digits
from kagaku.errors import InputError
from kagaku.pretraining.prepared import row_lengths
from kagaku.pretraining.recipe import load_pretrain_recipe
from kagaku.speed import tracing
from kagaku.speed.part import Sizes, Wishes
from kagaku.terminal import Terminal
from kagaku.tracing.indexing import index_corpus


@pytest.fixture(scope="module")
def corpus(bench: Any) -> Corpus:
    index_corpus(bench.folder / "corpus", n_workers=0, terminal=Terminal(quiet=True))
    return Corpus.open(bench.folder / "corpus")


def told(*words: str) -> str:
    """Return what a command prints, on one line."""
    result = CliRunner(env={"COLUMNS": "200"}).invoke(app, list(words))
    assert result.exit_code == 0, result.output
    return re.sub(r"\s+", " ", result.output)


def test_matches_say_where_from_and_when(corpus: Corpus, run: Path, bench: Any) -> None:
    asked = "CCCCCCCCCCCCCCCCCCCCCCCCCCCCCCO"  # 30 carbons: among the training samples
    table = kagaku.trace(
        [asked], corpus=corpus.folder, weights=run, inputs=["molecule"], most=3, quiet=True
    )
    assert table["rank"].tolist() == [1, 2, 3]
    best = table.iloc[0]
    assert (best["is_same"], best["share"], best["found"]) == (True, 1.0, asked)
    assert best["source"] == "named"
    assert best["id"] == "named:29"
    assert best["licence"] == "CC0-1.0"
    assert best["origin"] == "made up 1"
    recipe = load_pretrain_recipe(bench.recipe)
    order = CorpusOrder(row_lengths(corpus, recipe, TRAIN), recipe.order)
    epochs = [order.step_of("named", 9, epoch) for epoch in range(10)]
    expected = [one + 1 for one in epochs if one is not None and one < 6]
    assert best["steps"] == expected
    assert expected


def test_an_unfinished_run_has_no_steps(
    corpus: Corpus, run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(run, tmp_path / "run")
    (tmp_path / "run" / "provenance.json").unlink()
    table = kagaku.trace(["CCCO"], corpus=corpus.folder, weights=tmp_path / "run", quiet=False)
    assert table["steps"].isna().all()
    said = re.sub(r"\s+", " ", capsys.readouterr().err)
    assert "cannot be told: the weights have no provenance.json beside them." in said


def test_other_weights_know_no_steps_of_this_corpus(corpus: Corpus) -> None:
    said = told("trace", "alcohol of 33 carbons", "--corpus", str(corpus.folder), "--number", "2")
    assert "cannot be told: the weights were trained on another corpus." in said
    assert "the same" in said
    assert "named:32: alcohol of 33 carbons" in said


def test_a_table_is_traced_and_written(corpus: Corpus, run: Path, tmp_path: Path) -> None:
    protein = corpus.read("proteins", 4).inputs["protein"]
    frame = pd.DataFrame({"smiles": ["CCCCCO", "c1ccccc1O"] * 2, "sequence": [protein] * 4})
    frame.to_csv(tmp_path / "made.csv", index=False)
    words = ["--corpus", str(corpus.folder), "--weights", str(run), "--number", "2"]
    output = tmp_path / "traces.csv"
    said = told("trace", str(tmp_path / "made.csv"), *words, "--output", str(output))
    assert "The nearest training sample of each value" in said
    assert "Wrote the matches of 8 values" in said
    found = pd.read_csv(output)
    best = found[found["rank"] == 1]
    assert best["row"].tolist() == [2, 2, 3, 3, 4, 4, 5, 5]  # as in the file, under its heading
    proteins = best[best["column"] == "sequence"]
    assert proteins["id"].tolist() == [corpus.read("proteins", 4).id] * 4
    assert proteins["is_same"].all()
    # Nothing aromatic is in the corpus, but its hydroxyl is.
    assert (best[best["value"] == "Oc1ccccc1"]["share"] < 0.3).all()
    kagaku.trace(frame, corpus=corpus.folder, weights=run)
    told("trace", str(tmp_path / "made.csv"), *words, "--output", str(tmp_path / "some.parquet"))
    stored = pd.read_parquet(tmp_path / "some.parquet")
    assert [int(one[0]) for one in stored["steps"] if len(one)]


def test_without_a_corpus_fingerprints_answer() -> None:
    # 2,3-dimethylindole is among what kagaku-tiny learnt from; the other one nobody has made.
    made_up = "FC1(F)CC2(CCN(CC#CC3=CSC(I)=N3)C2)OC1[Si](C)(C)CCBr"
    table = kagaku.trace(["CC1=C(C)C2=CC=CC=C2N1", made_up], inputs=["molecule"])
    assert table["trained_on"].tolist() == ["yes", "no"]
    said = told("trace", "CC1=C(C)C2=CC=CC=C2N1", made_up)
    assert "kagaku-tiny was trained on it" in said


def test_what_cannot_be_traced_is_refused(corpus: Corpus, tmp_path: Path, samples: Path) -> None:
    with pytest.raises(InputError, match=r"nothing here can be traced: 'x' is read as quantity"):
        kagaku.trace(pd.DataFrame({"x": [1.5, 2.5, 3.25]}))
    with pytest.raises(InputError, match="fields cannot be traced"):
        kagaku.trace(samples / "climate.nc")
    with pytest.raises(InputError, match="'C1CC'"):
        kagaku.trace(["CCO", "C1CC"], inputs=["molecule"], corpus=corpus.folder)
    left = kagaku.trace(
        ["CCO", "C1CC"], inputs=["molecule"], corpus=corpus.folder, skip_bad_rows=True
    )
    assert set(left["value"]) == {"CCO"}
    with pytest.raises(InputError, match="at least 1 training sample must be asked for, got 0"):
        kagaku.trace(["CCO"], most=0)
    for words, what in (("", "a value is empty"), ("nothere.csv", "there is no such file")):
        result = CliRunner().invoke(app, ["trace", words])
        assert isinstance(result.exception, InputError)
        assert what in str(result.exception)
    result = CliRunner().invoke(app, ["trace", "CCO", "--output", str(tmp_path / "some.txt")])
    assert isinstance(result.exception, InputError)


def test_a_corpus_without_an_index_says_how_to_make_one(bench: Any, tmp_path: Path) -> None:
    bench.build_corpus(tmp_path / "corpus")
    with pytest.raises(InputError, match=r"Make one with: kagaku corpus index"):
        kagaku.trace(["CCCO"], inputs=["molecule"], corpus=tmp_path / "corpus")
    said = told("corpus", "index", str(tmp_path / "corpus"), "--workers", "0")
    assert "Values that can be traced" in said
    again = told("corpus", "index", str(tmp_path / "corpus"), "--output", str(tmp_path / "apart"))
    assert "apart" in again
    table = kagaku.trace(
        ["CCCO"], inputs=["molecule"], corpus=tmp_path / "corpus", index=tmp_path / "apart"
    )
    assert table["source"].iloc[0] == "named"


def test_a_picture_on_disk_is_known_by_its_pixels(tmp_path: Path) -> None:
    # The corpus that kagaku-tiny learnt from has scikit-learn's digits, in grey.
    values = [one.inputs["image"] for one in Digits({}).read()]
    for number, one in enumerate(values[:40]):
        PIL.Image.fromarray(one.squeeze()).save(tmp_path / f"{number}.png")
    PIL.Image.fromarray(255 - values[0].squeeze()).save(tmp_path / "inverted.png")
    names = [*(f"{number}.png" for number in range(40)), "inverted.png"]
    pd.DataFrame({"image": names}).to_csv(tmp_path / "pictures.csv", index=False)
    *told, inverted = kagaku.trace(tmp_path / "pictures.csv")["trained_on"].tolist()
    assert told.count("yes") > 30  # the others are held out
    assert inverted == "no"


def test_long_sequences_are_values_and_no_files() -> None:
    assert re.search(r"MKTAYIAKQR\S* protein no", told("trace", "MKTAYIAKQRWW" * 40))


def test_tracing_is_timed_on_held_out_values(corpus: Corpus, bench: Any, tmp_path: Path) -> None:
    wishes = Wishes(turns=2, corpus=corpus.folder, sizes=Sizes(n_traced=5))
    found = tracing.measure(wishes, tmp_path)
    assert found.details["values"] == {"molecule": 5, "text": 5, "protein": 5}
    assert tracing.held_out(corpus, "text", wishes)[0] == "alcohol of 1 carbons"
    names = [one.name for one in found.comparisons]
    assert names[0] == "trace a value to its five nearest training samples, of 120 values: p50"
    assert [one.target is not None for one in found.comparisons] == [True] * 2 + [False] * 6
    assert all(min(one.ours) > 0 for one in found.comparisons)
    bench.build_corpus(tmp_path / "corpus")
    missing = tracing.measure(replace(wishes, corpus=tmp_path / "corpus"), tmp_path).not_run[0]
    assert missing.why == "the corpus has no index, so nothing can be traced into it"
    assert tracing.measure(Wishes(), tmp_path).not_run[0].why.startswith("there is no corpus")
