"""Public models by the commands: embedded tables, runs on frozen embeddings, names that are not."""

import json
import shutil
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from transformers import EsmConfig, EsmForMaskedLM
from typer.testing import CliRunner

import kagaku
from kagaku.cli import app
from kagaku.models.public import ProteinLanguageModel

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
    asked = ["embed", str(table), "--input", "sequence", "--model", str(folder), "--output"]
    answer = CliRunner().invoke(app, [*asked, str(tmp_path / "v.npy")], catch_exceptions=False)
    assert answer.exit_code == 0
    np.testing.assert_allclose(np.load(tmp_path / "v.npy"), encoder.embed(sequences), atol=1e-5)
    twice = kagaku.embed([*sequences[:3], sequences[0]], inputs=["protein"], model=str(folder))
    np.testing.assert_array_equal(twice[0], twice[3])


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
            method="auto",
            base=str(moved),
            quiet=True,
        )
    made = json.loads((run.folder / "provenance.json").read_text())
    encoder = kagaku.load(folder)
    assert isinstance(encoder, ProteinLanguageModel)
    assert made["base"] == {"name": "esm2_mine", "sha256": encoder.origin.checksum}
    tried = run.metrics["targets"]["charge"]
    assert "public model" in json.dumps(tried)
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


def test_a_public_model_is_not_fine_tuned_in_full(
    folder: Path, table: Path, tmp_path: Path
) -> None:
    with pytest.raises(kagaku.InputError, match="esm2_small is a public model, whose embeddings"):
        kagaku.finetune(
            table, "charge", tmp_path / "run", base=str(folder), method="full", quiet=True
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
