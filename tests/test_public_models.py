"""Public models by the commands: embedded tables, runs on frozen embeddings, names that are not."""

import json
import shutil
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import pandas as pd
import pytest
import torch
from transformers import BertConfig, BertForMaskedLM, EsmConfig, EsmForMaskedLM
from typer.testing import CliRunner

import kagaku
from kagaku.api import embed_to_file
from kagaku.cli import app
from kagaku.cost import estimate
from kagaku.data import Table, infer_schema, parse_records, read
from kagaku.embedding import windows as embedding_windows
from kagaku.embedding.bulk import Meter, embed_file
from kagaku.models.multitask import FinetuningConfig
from kagaku.models.public import ProteinLanguageModel, TextEncoder, load_public
from kagaku.science_tasks.full import fit_full
from kagaku.terminal import Terminal

# https://huggingface.co/facebook/esm2_t6_8M_UR50D/blob/main/vocab.txt
VOCABULARY = ["<cls>", "<pad>", "<eos>", "<unk>", *"LAGVSERTIDPKQNFYMHWCXBUZO.-"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small ESM-2 of random weights, in transformers' format."""
    torch.manual_seed(0)
    config = EsmConfig(
        vocab_size=33,
        mask_token_id=32,
        pad_token_id=1,
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=64,
        max_position_embeddings=1026,
        position_embedding_type="rotary",
        token_dropout=True,
        layer_norm_eps=1e-5,
    )
    path = tmp_path_factory.mktemp("models") / "esm2_small"
    EsmForMaskedLM(config).save_pretrained(path)
    (path / "vocab.txt").write_text("\n".join([*VOCABULARY, "<null_1>", "<mask>"]))
    return path


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    rng = np.random.default_rng(0)
    sequences = ["".join(rng.choice(list("ACDEFGHIKLMNPQRSTVWY"), 30)) for _ in range(80)]
    measured = [one.count("K") - one.count("E") + 0.1 * rng.normal() for one in sequences]
    path = tmp_path_factory.mktemp("tables") / "charge.csv"
    pd.DataFrame({"sequence": sequences, "charge": measured}).to_csv(path, index=False)
    return path


def test_a_table_is_embedded_by_a_public_model(folder: Path, table: Path, tmp_path: Path) -> None:
    encoder = kagaku.load(folder)
    assert isinstance(encoder, ProteinLanguageModel)
    sequences = pd.read_csv(table)["sequence"].tolist()
    asked = ["embed", str(table), "--input", "sequence", "--base", str(folder), "--output"]
    answer = CliRunner().invoke(app, [*asked, str(tmp_path / "v.npy")], catch_exceptions=False)
    assert answer.exit_code == 0
    np.testing.assert_allclose(np.load(tmp_path / "v.npy"), encoder.embed(sequences), atol=1e-5)
    twice = kagaku.embed([*sequences[:3], sequences[0]], inputs=["protein"], model=str(folder))
    np.testing.assert_array_equal(twice[0], twice[3])


def test_a_piece_goes_to_a_public_model_at_once_and_the_bar_counts_its_rows(
    folder: Path, table: Path, tmp_path: Path
) -> None:
    given, shown = list[int](), list[tuple[int, int]]()
    embed = ProteinLanguageModel.embed

    def watching(self: ProteinLanguageModel, sequences: Any, **named: Any) -> Any:
        given.append(len(sequences))
        return embed(self, sequences, **named)

    frame = pd.read_csv(table)
    frame["other"] = frame["sequence"].str[::-1]
    frame["other"] = frame["other"].where(frame.index % 2 == 0)
    frame.to_csv(tmp_path / "t.csv", index=False)

    def show(meter: Any, rows: int = 0, letters: int = 0) -> None:
        shown.append((meter.rows + rows, meter.tokens + letters))

    with (
        patch.object(ProteinLanguageModel, "embed", watching),
        patch.object(Meter, "show", show),
    ):
        done = embed_file(
            tmp_path / "t.csv",
            tmp_path / "v.npy",
            inputs=["sequence", "other"],
            model=str(folder),
            terminal=Terminal(quiet=True),
        )
    assert given == [80, 40], "one call for each column, whatever the number of records"
    assert "characters/s" in done.speed
    assert shown == sorted(shown)
    assert shown[-1] == (80, 120 * 30)


def test_a_public_model_runs_in_bfloat16_when_asked(folder: Path, table: Path) -> None:
    asked: dict[str, Any] = {"inputs": ["sequence"], "model": str(folder), "device": "cpu"}
    exact = kagaku.embed(table, **asked)
    rounded = kagaku.embed(table, **asked, precision="bfloat16")
    encoder = kagaku.load(folder)
    assert isinstance(encoder, ProteinLanguageModel)
    expected = encoder.to("cpu", "bfloat16").embed(pd.read_csv(table)["sequence"].tolist())
    np.testing.assert_array_equal(rounded, expected)
    assert 1e-4 < np.sqrt(np.square(rounded - exact).mean()) / exact.std() < 0.05


def test_records_for_a_public_model_are_bounded_in_letters(folder: Path, table: Path) -> None:
    whole = kagaku.embed(table, inputs=["sequence"], model=str(folder))
    with patch.object(embedding_windows, "LETTERS_AT_ONCE", 100):
        cut = kagaku.embed(table, inputs=["sequence"], model=str(folder))
    np.testing.assert_allclose(cut, whole, atol=1e-5)


def test_a_row_without_what_a_public_model_reads_is_a_bad_row(
    folder: Path, table: Path, tmp_path: Path
) -> None:
    frame = pd.read_csv(table)[["sequence"]].assign(smiles="CCO")
    frame.loc[[3, 70], "sequence"] = None
    frame.to_csv(tmp_path / "t.csv", index=False)

    def embedded(skip_bad_rows: bool) -> np.ndarray:
        embed_to_file(
            tmp_path / "t.csv",
            tmp_path / "v.npy",
            model=str(folder),
            skip_bad_rows=skip_bad_rows,
            terminal=Terminal(quiet=True),
        )
        return np.asarray(np.load(tmp_path / "v.npy"))

    told = r"2 of 80 rows .*\n.*row 5, column 'sequence': the row has no protein, which is all that"
    with pytest.raises(kagaku.InputError, match=told):
        embedded(skip_bad_rows=False)
    with pytest.raises(kagaku.InputError, match=told):
        kagaku.embed(tmp_path / "t.csv", model=str(folder))
    vectors = embedded(skip_bad_rows=True)
    assert np.flatnonzero(np.isnan(vectors).all(axis=1)).tolist() == [3, 70]
    assert list(pd.read_csv(tmp_path / "v.rejected.csv")["row"]) == [5, 72]
    assert kagaku.embed(tmp_path / "t.csv", model="untrained-tiny").shape == (80, 256)


def test_a_public_text_model_reads_texts_of_any_length(tmp_path: Path) -> None:
    words = ["solvent", "yield", "acid", "base", "##s"]
    vocabulary = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *words]
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=len(vocabulary),
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=32,
        max_position_embeddings=512,
    )
    BertForMaskedLM(config).save_pretrained(tmp_path / "bert")
    (tmp_path / "bert/vocab.txt").write_text("\n".join(vocabulary))
    long = " ".join(["solvents", "yields", "acids"] * 2_000)
    pd.DataFrame({"note": [long, "acid base"]}).to_csv(tmp_path / "t.csv", index=False)
    encoder = kagaku.load(tmp_path / "bert")
    assert isinstance(encoder, TextEncoder)
    expected = encoder.embed([long, "acid base"])
    asked: dict[str, Any] = {"inputs": ["note: text"], "model": str(tmp_path / "bert")}
    np.testing.assert_allclose(kagaku.embed(tmp_path / "t.csv", **asked), expected, atol=1e-5)
    embed_to_file(tmp_path / "t.csv", tmp_path / "v.npy", **asked, terminal=Terminal(quiet=True))
    np.testing.assert_allclose(np.load(tmp_path / "v.npy"), expected, atol=1e-5)
    with pytest.raises(kagaku.InputError, match=r"the text has [\d,]+ tokens, more than 4,096"):
        kagaku.embed(tmp_path / "t.csv", inputs=["note: text"], model="untrained-tiny")


def test_a_run_on_frozen_embeddings_predicts_without_the_folder(
    folder: Path, table: Path, tmp_path: Path, quickly: Callable[[], ExitStack]
) -> None:
    moved = tmp_path / "models" / "esm2_mine"
    shutil.copytree(folder, moved)
    with quickly():
        run = kagaku.finetune(
            table,
            "charge [dimensionless]",
            tmp_path / "run",
            inputs=["sequence"],
            method="readout",
            base=str(moved),
            quiet=True,
        )
    made = json.loads((run.folder / "provenance.json").read_text())
    encoder = kagaku.load(folder)
    assert isinstance(encoder, ProteinLanguageModel)
    assert made["base"] == {"name": "esm2_mine", "sha256": encoder.origin.checksum}
    assert run.model.encoder is not None
    before = run.predict(table)
    shutil.rmtree(moved)
    pd.testing.assert_frame_equal(kagaku.Run.load(run.folder).predict(table), before)
    sequences = pd.read_csv(table)["sequence"].tolist()[:4]
    again = kagaku.embed(sequences, inputs=["protein"], model=str(run.folder))
    np.testing.assert_allclose(again, encoder.embed(sequences), atol=1e-5)


def test_a_table_without_the_models_modality_is_refused(folder: Path) -> None:
    with pytest.raises(kagaku.InputError, match="esm2_small reads the modality 'protein'"):
        kagaku.embed(["CCO", "CCN"], inputs=["molecule"], model=str(folder))


def test_a_public_model_is_fine_tuned_in_full(folder: Path, table: Path, tmp_path: Path) -> None:
    moved = shutil.copytree(folder, tmp_path / "esm2_mine")
    run = kagaku.finetune(
        table,
        "charge",
        tmp_path / "run",
        base=str(moved),
        method="full",
        split="random",
        quiet=True,
        settings={"epochs": 12, "learning_rate": 3e-3},
    )
    assert run.model.full is not None
    losses = [train for train, _ in run.model.full.history]
    assert losses[-1] < losses[0]
    before = run.predict(table)
    measured = pd.read_csv(table)["charge"]
    assert np.corrcoef(before["charge"], measured)[0, 1] > 0.5
    # It predicts, and embeds with what it has learnt, without the folder that it came from.
    shutil.rmtree(moved)
    again = kagaku.Run.load(run.folder)
    pd.testing.assert_frame_equal(again.predict(table), before)
    sequences = pd.read_csv(table)["sequence"].tolist()[:4]
    learnt = kagaku.embed(sequences, inputs=["protein"], model=str(run.folder))
    encoder = kagaku.load(folder)
    assert isinstance(encoder, ProteinLanguageModel)
    assert not np.allclose(learnt, encoder.embed(sequences), atol=1e-2)
    tuned = again.model.encoder
    assert isinstance(tuned, ProteinLanguageModel)
    assert tuned.origin.checksum != encoder.origin.checksum
    np.testing.assert_allclose(tuned.embed(sequences), learnt, atol=1e-5)


def test_auto_blends_a_fine_tuned_public_model_with_its_frozen_embeddings(
    folder: Path, table: Path, tmp_path: Path, quickly: Callable[[], ExitStack]
) -> None:
    with (
        quickly(),
        patch("kagaku.science_tasks.candidates.CLASSICAL_READOUTS", ()),
        patch("kagaku.science_tasks.candidates.LEARNED_READOUTS", ("linear",)),
        patch("kagaku.science_tasks.blending.BLEND_GAIN", -10.0),
    ):
        run = kagaku.finetune(
            table,
            "charge",
            tmp_path / "run",
            inputs=["sequence"],
            base=str(folder),
            quiet=True,
            settings={"epochs": 12, "learning_rate": 3e-3, "max_seconds": 1000.0},
        )
    tried = {one["name"]: one for one in run.metrics["targets"]["charge"]["candidates"]}
    assert not np.isnan(tried["full fine-tuning"]["score"])
    chosen = run.metrics["targets"]["charge"]["chosen"]
    assert "full fine-tuning" in chosen
    assert "on embeddings" in chosen
    before = run.predict(table)
    again = kagaku.Run.load(run.folder)
    pd.testing.assert_frame_equal(again.predict(table), before)


def test_a_stopped_fine_tuning_of_a_public_model_goes_on(
    folder: Path, table: Path, tmp_path: Path
) -> None:
    encoder, source = load_public(folder), read(table)
    assert isinstance(source, Table)
    schema = infer_schema(source, targets=["charge"])
    records, _ = parse_records(source, schema, with_targets=True)
    config = FinetuningConfig(epochs=3)

    def stop(epoch: int, _of: int, _text: str) -> None:
        if epoch == 2:
            raise KeyboardInterrupt

    whole = fit_full(encoder, {}, records, config, folder=tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        fit_full(encoder, {}, records, config, folder=tmp_path / "cut", report=stop)
    resumed = fit_full(encoder, {}, records, config, folder=tmp_path / "cut")
    assert resumed.history == whole.history
    for name, weights in whole.network.state_dict().items():
        torch.testing.assert_close(resumed.network.state_dict()[name], weights)


def test_doctor_tells_what_fine_tuning_a_public_model_would_cost(folder: Path, table: Path) -> None:
    cost = estimate(table, ["charge"], base=str(folder))
    assert cost.tokens["sequence"] == 32  # 30 residues, start and end, as the model reads them
    assert cost.full_seconds > 0
    mixed = table.with_name("mixed.csv")
    frame = pd.read_csv(table)
    frame["temperature"] = np.linspace(280.0, 320.0, len(frame))
    frame.to_csv(mixed, index=False)
    asked = ["doctor", str(mixed), "--target", "charge", "--base", str(folder)]
    answer = CliRunner().invoke(app, asked)
    assert isinstance(answer.exception, kagaku.InputError)
    assert "fine-tuning it cannot be told: esm2_small reads the modality 'protein' only" in str(
        answer.exception
    )
    answer = CliRunner().invoke(app, [*asked, "--input", "sequence"], catch_exceptions=False)
    assert "method full" in answer.output


def test_a_public_model_is_not_fine_tuned_beside_what_it_cannot_read(
    folder: Path, table: Path, tmp_path: Path
) -> None:
    frame = pd.read_csv(table).assign(ligand="CCO")
    with pytest.raises(kagaku.InputError, match="its network would see nothing of molecule"):
        kagaku.finetune(
            frame,
            "charge",
            tmp_path / "run",
            inputs=["sequence", "ligand: molecule"],
            base=str(folder),
            method="full",
            quiet=True,
        )
    assert not (tmp_path / "run").exists()


def test_a_hub_id_is_looked_up_in_the_cache_only(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(
        kagaku.InputError,
        match=r"no model of that id in this machine's Hugging Face cache.*hf download lab/esm2",
    ):
        kagaku.load("lab/esm2")
    commit = "0123456789abcdef0123456789abcdef01234567"
    place = tmp_path / "models--lab--esm2" / "snapshots" / commit
    shutil.copytree(folder, place)
    (tmp_path / "models--lab--esm2" / "refs").mkdir()
    (tmp_path / "models--lab--esm2" / "refs" / "main").write_text(commit)
    loaded = kagaku.load("lab/esm2")
    assert isinstance(loaded, ProteinLanguageModel)
    assert loaded.name == "esm2"
