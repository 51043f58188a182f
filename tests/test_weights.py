"""The weights that ship: whole, small, documented, made by their recipe, and better than none."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from sklearn.linear_model import RidgeCV
from sklearn.model_selection import cross_val_score

import kagaku
from kagaku.bases import DEFAULT, SHIPPED, UNTRAINED, load_base, weights_folder
from kagaku.data.corpora.storage import load_manifest
from kagaku.errors import InputError
from kagaku.models import Encoder, untrained_encoder
from kagaku.models.pretraining.planning import PLANNING_VERSION
from kagaku.pretraining.generation import generate
from kagaku.pretraining.recipe import load_pretrain_recipe
from kagaku.pretraining.release import verify_release

ROOT = Path(__file__).parents[1]
LARGEST = 25_000_000
"""Bytes of weights that a package may carry."""

RECIPES = {"kagaku-tiny": ROOT / "configs" / "pretrain_tiny.yaml"}
NAMES = sorted(SHIPPED)


def test_every_shipped_name_has_its_recipe_and_one_is_the_default() -> None:
    assert set(RECIPES) == set(SHIPPED)
    assert DEFAULT in SHIPPED
    default = kagaku.load(DEFAULT)
    assert isinstance(default, Encoder)
    assert default.config.name == DEFAULT
    assert default.config.is_pretrained


@pytest.mark.parametrize("name", NAMES)
def test_every_file_has_the_checksum_that_was_published(name: str) -> None:
    verify_release(weights_folder(name))


@pytest.mark.parametrize("name", NAMES)
def test_the_weights_are_small_enough_for_a_package(name: str) -> None:
    size = sum(one.stat().st_size for one in weights_folder(name).glob("*.safetensors"))
    assert size <= LARGEST
    assert 5e6 <= sum(one.numel() for one in load_base(name).parameters()) <= 12e6


@pytest.mark.parametrize("name", NAMES)
def test_the_recipe_that_ships_made_them(name: str) -> None:
    made_by = load_pretrain_recipe(weights_folder(name) / "config.yaml")
    assert made_by.identity() == load_pretrain_recipe(RECIPES[name]).identity()
    assert made_by.name == name
    summary = json.loads((weights_folder(name) / "summary.json").read_text())
    assert summary["steps"] == summary["max_steps"] == made_by.training.max_steps
    # Where this version would make others of it, the card names the commit that made these.
    provenance = json.loads((weights_folder(name) / "provenance.json").read_text())
    card = (weights_folder(name) / "card.md").read_text(encoding="utf-8")
    if provenance["identity"]["planning"] != PLANNING_VERSION:
        assert f"With kagaku as it was at commit `{provenance['commit']}`" in card


@pytest.mark.parametrize("name", NAMES)
def test_the_card_names_every_source_with_its_licence(name: str) -> None:
    folder = weights_folder(name)
    card = (folder / "card.md").read_text(encoding="utf-8")
    summary = json.loads((folder / "summary.json").read_text())
    for source in load_manifest(folder).sources:
        if summary["epochs"].get(source.name):
            assert f"| {source.name} |" in card
            assert source.licence in card
    assert yaml.safe_load(card.split("---")[1])["library_name"] == "kagaku"


@pytest.mark.parametrize("name", NAMES)
def test_what_was_measured_was_measured_on_these_weights(name: str) -> None:
    folder = weights_folder(name)
    card = (folder / "card.md").read_text(encoding="utf-8")
    assert "Not measured yet" not in card
    assert "are of other weights" not in card
    checksum = json.loads((folder / "checksums.json").read_text())["encoder.safetensors"]
    for file in ("evaluation.json", "transfer.json"):
        assert json.loads((folder / file).read_text())["weights"] == checksum


def test_embeddings_of_molecules_tell_more_than_those_of_random_weights(tmp_path: Path) -> None:
    table = pd.read_csv(ROOT / "data" / "samples" / "molecules.csv").head(400)
    smiles = table["smiles"].tolist()
    untrained_encoder_folder = tmp_path / "untrained"
    from kagaku.models import save_encoder

    config = load_base(None).config
    save_encoder(untrained_encoder(config), untrained_encoder_folder)

    def error(model: str | None) -> float:
        vectors = kagaku.embed(smiles, inputs=["molecule"], model=model)
        scores = cross_val_score(
            RidgeCV(np.logspace(-3, 3, 13)),
            (vectors - vectors.mean(0)) / (vectors.std(0) + 1e-6),
            table.filter(like="logS").iloc[:, 0],
            scoring="neg_root_mean_squared_error",
        )
        return float(-scores.mean())

    assert error(None) < 0.9 * error(str(untrained_encoder_folder))


def test_molecules_written_from_nothing_are_mostly_molecules() -> None:
    drawn = generate("molecule", number=64)
    assert drawn["is_valid"].mean() > 0.5
    assert drawn["canonical"].nunique() > 30


def test_an_unknown_name_is_told_with_the_known_ones() -> None:
    with pytest.raises(InputError, match=r"no weights named 'kagaku-tinny'.*kagaku-tiny"):
        weights_folder("kagaku-tinny")
    assert load_base(UNTRAINED).config.name == UNTRAINED
