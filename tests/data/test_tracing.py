"""From a value to the training samples near it: exactly as comparing with all of them finds."""

import shutil
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import PIL.Image
import pytest
from rdkit import Chem, DataStructs
from rdkit.Chem import rdFingerprintGenerator

from kagaku.data.corpora import Corpus, Manifest, SourceInfo
from kagaku.data.corpora.encoding import encode_sample
from kagaku.data.corpora.order import CorpusOrder, OrderConfig
from kagaku.data.corpora.shards import EncodedSample, write_shards
from kagaku.data.corpora.storage import save_manifest
from kagaku.data.corpora.tracing import TraceIndex, build_index, indexed_modalities, postings
from kagaku.data.corpora.tracing import pieces as tracing_pieces
from kagaku.data.corpora.tracing.bits import BitColumns
from kagaku.data.corpora.tracing.features import (
    BITS,
    GRAMS,
    SHARES,
    image_bits,
    material_shares,
    protein_grams,
)
from kagaku.data.corpora.tracing.likeness import COMPARE, MOST_CELLS, SAME
from kagaku.data.corpora.tracing.postings import Postings
from kagaku.data.corpora.tracing.seen import SeenSteps, write_steps
from kagaku.data.corpora.tracing.shares import ShareColumns
from kagaku.errors import InputError
from kagaku.modalities import MODALITIES

RNG = np.random.default_rng(0)
COARSE = RNG.integers(0, 256, (6, 7, 6, 3), dtype=np.uint8)
PIXELS = np.stack(
    [np.asarray(PIL.Image.fromarray(one).resize((40, 48))) for one in COARSE]  # smooth, as photos
)
STEROID = "a steroid hormone that binds to the outer pocket of the nuclear receptor"


def pairs_of(samples: Path) -> list[dict[str, Any]]:
    smiles = [
        MODALITIES["molecule"]().check(one)
        for one in pd.read_csv(samples / "molecules.csv")["smiles"].dropna().head(90)
    ]
    texts = [f"molecule {n} of a list of many, seen at {n + 3} degrees" for n in range(90)]
    texts[7] = f"We report {STEROID}, and nothing else"
    return [{"molecule": one, "text": text} for one, text in zip(smiles, texts, strict=True)]


def written(folder: Path, values: dict[str, tuple[dict[str, str], list[dict[str, Any]]]]) -> Corpus:
    """Write a corpus of these sources, the last two samples of each for validation."""
    folder.mkdir()
    infos = []
    for name, (inputs, samples) in values.items():
        encoded = [
            EncodedSample(
                encode_sample(f"{index:06d}", f"{name}:{index}", name, one),
                np.array([4] * len(inputs), np.int32),
                None,
            )
            for index, one in enumerate(samples)
        ]
        infos.append(
            SourceInfo(
                name=name,
                origin="a test",
                version="1",
                licence="CC0-1.0",
                inputs=inputs,
                steps=(),
                n_tokens=4 * len(samples),
                train=write_shards(iter(encoded[:-2]), folder, f"{name}-train", 1 << 15),
                valid=write_shards(iter(encoded[-2:]), folder, f"{name}-valid", 1 << 15),
            )
        )
    save_manifest(Manifest("traced", 0, tuple(infos)), folder)
    return Corpus.open(folder)


@pytest.fixture(scope="module")
def corpus(samples: Path, tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    proteins = pd.read_csv(samples / "proteins.csv")["sequence"].dropna().head(40).tolist()
    bases = ["".join(RNG.choice(list("ACGT"), 200)) for _ in range(12)]
    materials = ["LiFePO4", "LiMnPO4", "Fe2O3", "SrTiO3", "BaTiO3", "NaCl"]
    check = MODALITIES["material"]().check
    return written(
        tmp_path_factory.mktemp("traced") / "corpus",
        {
            "pairs": ({"molecule": "molecule", "text": "text"}, pairs_of(samples)),
            "proteins": ({"p": "protein"}, [{"p": one} for one in dict.fromkeys(proteins)]),
            "genes": ({"bases": "nucleotide"}, [{"bases": one} for one in bases]),
            "alloys": ({"made of": "material"}, [{"made of": check(one)} for one in materials]),
            "photos": ({"image": "image"}, [{"image": one} for one in PIXELS]),
        },
    )


@pytest.fixture(scope="module")
def index(corpus: Corpus) -> TraceIndex:
    return build_index(corpus)


def test_every_training_value_finds_itself_first(corpus: Corpus, index: TraceIndex) -> None:
    for source in corpus.manifest.sources:
        for number in range(corpus.n_samples(source.name)):
            sample = corpus.read(source.name, number)
            for name, modality in source.inputs.items():
                best = index.find(modality, sample.inputs[name], most=1)[0]
                assert best.is_same
                assert best.likeness == SAME
                there = corpus.read(source.name, best.index).inputs[name]
                assert np.array_equal(there, sample.inputs[name])


def test_held_out_samples_are_not_found(corpus: Corpus, index: TraceIndex) -> None:
    held_out = corpus.read("photos", 0, "valid")
    assert not index.find("image", held_out.inputs["image"], most=1)[0].is_same


def test_nearest_molecules_are_those_of_a_search_through_all(
    corpus: Corpus, index: TraceIndex, samples: Path
) -> None:
    generator = rdFingerprintGenerator.GetMorganGenerator(radius=2)

    def print_of(smiles: str) -> Any:
        return generator.GetSparseFingerprint(Chem.MolFromSmiles(smiles))

    there = [corpus.read("pairs", n).inputs["molecule"] for n in range(corpus.n_samples("pairs"))]
    prints = [print_of(one) for one in there]
    for smiles in pd.read_csv(samples / "molecules.csv")["smiles"].dropna().tail(30):
        asked = MODALITIES["molecule"]().check(smiles)
        expected = max(DataStructs.BulkTanimotoSimilarity(print_of(asked), prints))
        found = index.find("molecule", asked, most=3)
        # Folding to 1,024 bits may swap neighbours that are nearly as near.
        assert found[0].likeness.share == pytest.approx(expected, abs=0.03)
        shares = [one.likeness.share for one in found]
        assert shares == sorted(shares, reverse=True)


def test_a_variant_of_a_protein_finds_its_parent(corpus: Corpus, index: TraceIndex) -> None:
    parent = corpus.read("proteins", 3).inputs["p"]
    variant = parent[:20] + ("W" if parent[20] != "W" else "A") + parent[21:]
    best = index.find("protein", variant)[0]
    assert (best.index, best.is_same) == (3, False)
    n = len(parent)
    assert best.likeness.share == pytest.approx((n - 1) / n)
    assert best.likeness.told.endswith(f"identical over {n:,} of {n:,} residues")


def test_a_piece_of_the_other_strand_is_found(corpus: Corpus, index: TraceIndex) -> None:
    gene = corpus.read("genes", 5).inputs["bases"]
    piece = gene[40:140].translate(str.maketrans("ACGT", "TGCA"))[::-1]
    best = index.find("nucleotide", piece)[0]
    assert best.index == 5
    assert best.likeness.told == "100% of its words of 15 bases"


def test_a_quoted_passage_is_found_and_shown(index: TraceIndex) -> None:
    best = index.find("text", f"The model wrote: {STEROID.upper()}!")[0]
    assert best.index == 7
    assert best.likeness.told == f'13 of 16 words verbatim, such as "{STEROID.lower()}"'
    assert best.likeness.share == pytest.approx(13 / 16)


def test_words_alone_find_texts_too(index: TraceIndex) -> None:
    best = index.find("text", "hormone receptor")[0]
    assert best.index == 7
    assert best.likeness.told == "2 of its 2 different words, none in a row"
    assert index.find("text", "zymurgy") == []


def test_the_nearest_composition_shares_most_atoms(index: TraceIndex) -> None:
    found = index.find("material", MODALITIES["material"]().check("LiFe0.9Mn0.1PO4"))
    formulas = [one.sample.inputs["made of"] for one in found]
    check = MODALITIES["material"]().check
    assert formulas[:2] == [check("LiFePO4"), check("LiMnPO4")]
    assert found[0].likeness.told == "98.6% of the atoms in common"


def test_a_picture_is_found_at_other_brightness_and_size(index: TraceIndex) -> None:
    darker = (PIXELS[2].repeat(2, axis=0).repeat(2, axis=1) * 0.5).astype(np.uint8)
    best = index.find("image", darker)[0]
    assert best.sample.id == "photos:2"
    assert not best.is_same
    assert best.likeness.share > 0.95


def test_a_stopped_index_goes_on(corpus: Corpus, tmp_path: Path) -> None:
    shutil.copytree(corpus.folder, tmp_path / "copy", ignore=shutil.ignore_patterns("trace*"))
    copy = Corpus.open(tmp_path / "copy")
    computed: list[str] = []

    def stopped(function: Callable[[Any], Any], tasks: Iterable[Any]) -> Iterator[Any]:
        for number, task in enumerate(tasks):
            if number == 2:
                raise KeyboardInterrupt
            yield function(task)

    def counted(function: Callable[[Any], Any], tasks: Iterable[Any]) -> Iterator[Any]:
        for task in tasks:
            computed.append(task.source)
            yield function(task)

    with pytest.raises(KeyboardInterrupt):
        build_index(copy, run=stopped)
    with pytest.raises(InputError, match=r"has no index.*kagaku corpus index"):
        TraceIndex.open(copy)
    index = build_index(copy, run=counted)
    assert computed == ["genes", "alloys", "photos"]
    assert index.find("molecule", copy.read("pairs", 0).inputs["molecule"], 1)[0].is_same
    assert not list(index.folder.glob("*.npz"))
    for one in corpus.folder.joinpath("trace").glob("*.npy"):
        assert one.read_bytes() == (index.folder / one.name).read_bytes()


def test_an_index_of_another_corpus_is_refused(
    index: TraceIndex, samples: Path, tmp_path: Path
) -> None:
    other = written(
        tmp_path / "other", {"pairs": ({"molecule": "molecule", "text": "text"}, pairs_of(samples))}
    )
    with pytest.raises(InputError, match="the index is of another corpus"):
        TraceIndex.open(other, index.folder)
    mine = build_index(other)
    with pytest.raises(InputError, match=r"no protein that could be traced.*molecule, text"):
        mine.find("protein", "MKTAYIAKQR")


def test_bit_columns_give_the_tanimoto_coefficient(tmp_path: Path) -> None:
    rows = RNG.random((20_001, 96)) < 0.2
    rows[5] = False
    pieces = [rows[:7], rows[7:9_000], rows[9_000:]]
    BitColumns.write(tmp_path / "some", pieces, len(rows), 96)
    columns = BitColumns.open(tmp_path / "some")
    asked = rows[123]
    expected = (rows & asked).sum(axis=1) / np.maximum((rows | asked).sum(axis=1), 1)
    np.testing.assert_allclose(columns.likeness(asked), expected, rtol=1e-6)
    assert columns.nearest(asked, 3)[0] == 123
    assert len(columns.nearest(np.zeros(96, dtype=bool), 3)) == 0


def test_postings_weigh_rare_grams(tmp_path: Path) -> None:
    # 0 and 1 share a gram with everybody; only 3 has the rare one.
    grams = np.array([7] * 50 + [900, 2**30 - 1], dtype=np.uint32)
    owners = np.array([*range(50), 3, 4], dtype=np.uint32)
    Postings.write(tmp_path / "some", [(grams[:20], owners[:20]), (grams[20:], owners[20:])])
    found = Postings.open(tmp_path / "some", 50)
    assert found.nearest(np.array([7, 900], dtype=np.uint32), 2)[0] == 3
    assert found.nearest(np.array([2**30 - 1], dtype=np.uint32), 5).tolist() == [4]
    assert found.nearest(np.array([8], dtype=np.uint32), 5).tolist() == []
    assert len(found.nearest(np.array([7], dtype=np.uint32), 100)) == 50


def test_what_everyone_has_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(postings, "MOST_READ", 10)
    grams = np.array([7] * 50 + [900] * 4, dtype=np.uint32)
    owners = np.array([*range(50), *range(4)], dtype=np.uint32)
    Postings.write(tmp_path / "some", [(grams, owners)])
    found = Postings.open(tmp_path / "some", 50)
    assert sorted(found.nearest(np.array([7, 900], dtype=np.uint32), 50).tolist()) == [0, 1, 2, 3]


def test_columns_of_shares_give_what_compositions_have_in_common(tmp_path: Path) -> None:
    formulas = [
        f"{a}{n}{b}{m}"
        for a in ("Li", "Fe", "Ti", "Na")
        for b in ("O", "S", "Cl")
        for n in range(1, 9)
        for m in (1, 2, 7)
    ]
    rows = np.stack([material_shares(one) for one in formulas])
    ShareColumns.write(tmp_path / "some", [rows[:100], rows[100:]], len(rows), rows.shape[1])
    columns = ShareColumns.open(tmp_path / "some")
    for asked in ("Li5Fe1O4", "NaCl0.9Br0.1", "Al0.98Cu0.02", "C60H1"):
        expected = np.array([COMPARE["material"](asked)(one).share for one in formulas])
        np.testing.assert_allclose(columns.common(material_shares(asked)), expected, atol=1e-4)
        found = columns.nearest(material_shares(asked), 3)
        assert expected[found].tolist() == pytest.approx(sorted(expected[found])[::-1])
        if expected.max() > 0:
            assert expected[found[0]] == pytest.approx(expected.max(), abs=1e-4)
        else:
            assert len(found) == 0


def test_short_texts_are_found_whole() -> None:
    assert COMPARE["text"]("ascorbic acid")("It is ascorbic acid.").share == 1.0
    assert (
        COMPARE["text"]("acid")("It is ascorbic acid.").told
        == '1 of 1 words verbatim, such as "acid"'
    )
    assert COMPARE["text"]("")("It is ascorbic acid.").share == 0.0


def test_repeated_words_do_not_take_long() -> None:
    start = time.perf_counter()
    told = COMPARE["text"]("the cat sat " * 1_500)("the cat sat " * 1_500).told
    assert time.perf_counter() - start < 5
    assert told.startswith("4500 of 4500 words verbatim")


def test_a_folder_with_other_things_is_refused_before_any_work(
    corpus: Corpus, tmp_path: Path
) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(InputError, match="this is no index, and holds something else"):
        build_index(corpus, tmp_path)
    assert [one.name for one in tmp_path.iterdir()] == ["notes.txt"]


def test_a_damaged_index_says_so(corpus: Corpus, tmp_path: Path) -> None:
    build_index(corpus, tmp_path / "index")
    (tmp_path / "index" / "protein.postings.npy").unlink()
    (tmp_path / "index" / "text.keys.npy").write_bytes(b"no array")
    index = TraceIndex.open(corpus, tmp_path / "index")
    for modality, value in (("protein", "MKTAYIAKQR"), ("text", "some words")):
        with pytest.raises(InputError, match="the index is damaged"):
            index.find(modality, value)
    (tmp_path / "index" / "index.json").write_text("{")
    with pytest.raises(InputError, match=r"the index is damaged.*kagaku corpus index"):
        TraceIndex.open(corpus, tmp_path / "index")


def test_long_proteins_are_compared_by_words() -> None:
    long = "".join(RNG.choice(list("ACDEFGHIKLMNPQRSTVWY"), int(MOST_CELLS**0.5) + 10))
    n = len(long)
    told = f"about 100% identical over {n:,} of {n:,} residues"
    assert COMPARE["protein"](long)(long).told == told
    changed = list(long)
    for place in RNG.choice(n, n // 10, replace=False):
        changed[place] = "A" if long[place] != "A" else "C"
    longer = "".join(changed) + "G" * 40
    assert COMPARE["protein"](long)(longer).share == pytest.approx(0.9, abs=0.03)
    # The same pair cut to what is aligned has about the same share.
    half = n // 2
    assert COMPARE["protein"](long[:half])(longer[:half]).share == pytest.approx(0.9, abs=0.03)
    assert COMPARE["protein"](long)("W" * n).told == "no 6 residues in common"
    assert COMPARE["protein"]("MKUOJW")("MKCKLW").told == "50% identical over 6 of 6 residues"
    assert COMPARE["protein"]("WWWW")("GGGG").share == 0.0


def test_odd_values_have_features() -> None:
    assert protein_grams("MK").tolist() == protein_grams("mk").tolist()
    assert len(protein_grams("")) == 0
    assert image_bits(np.zeros((3, 4), dtype=np.uint8)).sum() == 2 * 16 * 16
    assert len(BITS["molecule"]("not a molecule")) == 1024
    assert len(GRAMS["nucleotide"]("ACGT")) == 0
    assert COMPARE["nucleotide"]("ACGT")("ACGTA").share == 0.0


def test_every_modality_with_features_can_be_compared() -> None:
    assert sorted(indexed_modalities()) == sorted([*BITS, *SHARES, *GRAMS])  # each only once
    assert set(indexed_modalities()) == set(COMPARE)


def test_pieces_are_computed_one_by_one(
    corpus: Corpus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tracing_pieces, "SAMPLES_PER_PIECE", 10)
    index = build_index(corpus, tmp_path / "index")
    for one in corpus.folder.joinpath("trace").glob("*.npy"):
        assert one.read_bytes() == (index.folder / one.name).read_bytes()


def test_seen_steps_are_those_of_the_order(tmp_path: Path) -> None:
    lengths = {"one": RNG.integers(5, 60, 300), "two": RNG.integers(5, 60, 40)}
    order = CorpusOrder(lengths, OrderConfig(row_length=64, n_rows=4, micro_batches=2, seed=5))
    n_samples = {name: len(one) for name, one in lengths.items()}
    write_steps(order, n_samples, 60, tmp_path / "steps", lambda *_: None)
    seen = SeenSteps(tmp_path / "steps")
    assert seen.n_steps == 60
    for name, count in n_samples.items():
        for sample in range(count):
            epochs = [order.step_of(name, sample, epoch) for epoch in range(40)]
            expected = [one + 1 for one in epochs if one is not None and one < 60]
            assert seen.of(name, sample).tolist() == expected
    assert seen.of("three", 0).tolist() == []
