"""Building: cleaning, duplicates, held-out samples, parts, and going on after a stop."""

import csv
import json
import shutil
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from kagaku.data.corpora import TRAIN, VALID, Corpus
from kagaku.data.corpora.build import build_corpus
from kagaku.data.corpora.held_out import HeldOutValue
from kagaku.data.corpora.plan import CorpusPlan, SourcePlan
from kagaku.data.corpora.raw import Deferred, RawSample
from kagaku.data.corpora.running import run_here
from kagaku.data.records import Quantity
from kagaku.errors import InputError

RESIDUES = "ACDEFGHIKLMNPQRSTVWY"


class Tools:
    """Checks as little as a test needs."""

    descriptor_names: tuple[str, ...] = ("length", "half")
    version = "1"

    def check(self, modality: str, value: Any) -> Any:
        if isinstance(value, str) and (not value or "?" in value):
            raise InputError(f"{value!r} is no {modality}")
        if modality == "molecule":
            from rdkit import Chem

            return str(Chem.MolToSmiles(Chem.MolFromSmiles(value)))
        return value

    def n_tokens(self, modality: str, value: Any) -> int:
        del modality
        return len(value) if isinstance(value, str) else 1

    def describe(self, smiles: str) -> np.ndarray:
        return np.array([len(smiles), np.nan if len(smiles) > 50 else 0.5], dtype=np.float32)


def nothing(done: int, total: int, label: str) -> None:
    del done, total, label


def plan_of(*sources: SourcePlan, **changes: Any) -> CorpusPlan:
    plan = CorpusPlan(
        name="test",
        seed=5,
        sources=sources,
        held_out=lambda: iter(()),
        held_out_version="none",
        valid_share={"molecule": 0.1, "protein": 0.1, "text": 0.1, "climate": 0.3},
        most_valid=2_000,
        shard_bytes=20_000,
    )
    return replace(plan, **changes)


def source_of(
    name: str, samples: Iterable[RawSample], inputs: dict[str, str], most: int | None = None
) -> SourcePlan:
    return SourcePlan(name, inputs, "a test", "1", "CC0", partial(iter, list(samples)), most)


def molecules(name: str, smiles: Iterable[str], most: int | None = None) -> SourcePlan:
    samples = [RawSample(str(i), {"molecule": one}) for i, one in enumerate(smiles)]
    return source_of(name, samples, {"molecule": "molecule"}, most)


def proteins(name: str, sequences: Iterable[str]) -> SourcePlan:
    samples = [RawSample(str(i), {"protein": one}) for i, one in enumerate(sequences)]
    return source_of(name, samples, {"protein": "protein"})


def texts(name: str, told: Iterable[str]) -> SourcePlan:
    samples = [RawSample(str(i), {"text": one}) for i, one in enumerate(told)]
    return source_of(name, samples, {"text": "text"})


def random_protein(seed: int, length: int = 200) -> str:
    return "".join(np.random.default_rng(seed).choice(list(RESIDUES), length))


def substituted(protein: str) -> str:
    return protein[:100] + ("W" if protein[100] != "W" else "A") + protein[101:]


def chains(n: int) -> list[str]:
    """Different molecules: chains with a hydroxyl group somewhere."""
    return [f"{'C' * (1 + i // 10)}C(O){'C' * (2 + i % 10 + i // 10)}" for i in range(n)]


def built(plan: CorpusPlan, folder: Path, run: Any = run_here) -> Corpus:
    build_corpus(plan, folder, Tools(), run, nothing)
    return Corpus.open(folder)


def values(corpus: Corpus, source: str, part: str, name: str) -> list[Any]:
    count = corpus.n_samples(source, part)
    return [corpus.read(source, i, part).inputs.get(name) for i in range(count)]


def steps(corpus: Corpus, source: str) -> dict[str, int]:
    """By step, how many samples it removed."""
    return {one.step: one.before - one.after for one in corpus.source(source).steps}


def checksums(folder: Path) -> dict[str, str]:
    return {one.name: sha256(one.read_bytes()).hexdigest() for one in sorted(folder.iterdir())}


def test_unreadable_and_equal_molecules_are_counted_and_dropped(tmp_path: Path) -> None:
    smiles = [*chains(30), "OC(C)CC", "CCC(C)O", "?", ""]
    corpus = built(plan_of(molecules("m", smiles)), tmp_path / "c")
    told = steps(corpus, "m")
    assert told["readable as molecule"] == 2
    assert told["exact duplicates removed"] == len(smiles) - 2 - len(_keys(smiles[:-2]))
    assert corpus.source("m").steps[0].before == len(smiles)
    kept = values(corpus, "m", TRAIN, "molecule") + values(corpus, "m", VALID, "molecule")
    assert len(kept) == len(set(kept)) == len(_keys(smiles[:-2]))


def _keys(smiles: list[str]) -> set[str]:
    from kagaku.data.corpora.keys import inchi_key

    return {inchi_key(one) for one in smiles}


def test_of_equal_molecules_in_two_sources_the_first_keeps_its_own(tmp_path: Path) -> None:
    corpus = built(plan_of(molecules("a", chains(20)), molecules("b", chains(30))), tmp_path / "c")
    assert steps(corpus, "b")["exact duplicates removed"] >= 20


def test_a_molecule_with_text_is_no_duplicate_of_one_without(tmp_path: Path) -> None:
    pairs = [
        RawSample(str(i), {"molecule": one, "text": f"alcohol number {i}"})
        for i, one in enumerate(chains(30))
    ]
    both = source_of("pairs", pairs, {"molecule": "molecule", "text": "text"})
    corpus = built(plan_of(molecules("m", chains(30)), both), tmp_path / "c")
    assert corpus.n_samples("pairs") == corpus.n_samples("m")


def test_one_molecule_is_in_the_same_part_of_every_source(tmp_path: Path) -> None:
    smiles = sorted(set(chains(150)))
    pairs = [
        RawSample(str(i), {"molecule": s, "text": f"a text {i}"}) for i, s in enumerate(smiles)
    ]
    both = source_of("pairs", pairs, {"molecule": "molecule", "text": "text"})
    corpus = built(plan_of(molecules("m", smiles), both), tmp_path / "c")
    alone = set(values(corpus, "m", VALID, "molecule"))
    paired = set(values(corpus, "pairs", VALID, "molecule"))
    assert alone == paired
    assert 3 < len(alone) < 40
    assert not alone & set(values(corpus, "pairs", TRAIN, "molecule"))


def test_isomers_in_space_stand_in_the_same_part(tmp_path: Path) -> None:
    ends = ["C" * n for n in range(1, 60)]
    smiles = [f"{hand}(N)({end})CC" for end in ends for hand in ("Cl[C@]", "Cl[C@@]")]
    corpus = built(plan_of(molecules("m", smiles)), tmp_path / "c")
    flat = {
        part: {one.replace("@", "") for one in values(corpus, "m", part, "molecule")}
        for part in (TRAIN, VALID)
    }
    assert flat[VALID]
    assert not flat[TRAIN] & flat[VALID]


def test_validation_samples_beyond_the_limit_are_in_neither_part(tmp_path: Path) -> None:
    smiles = sorted(set(chains(150)))
    free = built(plan_of(molecules("m", smiles)), tmp_path / "free")
    tight = built(plan_of(molecules("m", smiles), most_valid=3), tmp_path / "tight")
    assert tight.n_samples("m", VALID) == 3
    assert tight.n_samples("m") == free.n_samples("m")
    assert steps(tight, "m")["torn between the parts, or beyond the validation limit"] > 0


def test_near_duplicate_proteins_are_removed_and_families_kept(tmp_path: Path) -> None:
    one = random_protein(1)
    nearly = substituted(one)  # one substitution: Jaccard of 5-mers about 0.95
    cousin = "".join(b if i % 4 else "A" for i, b in enumerate(one))  # every fourth residue changed
    corpus = built(plan_of(proteins("p", [one, nearly, cousin, random_protein(2)])), tmp_path / "c")
    assert steps(corpus, "p")["near-duplicates removed"] == 1
    kept = values(corpus, "p", TRAIN, "protein") + values(corpus, "p", VALID, "protein")
    assert nearly not in kept
    assert {one, cousin} <= set(kept)


def test_near_twins_never_stand_on_both_sides(tmp_path: Path) -> None:
    families = [random_protein(seed) for seed in range(60)]
    twins = [substituted(one) for one in families]

    def named(name: str, sequences: list[str]) -> SourcePlan:
        samples = [
            RawSample(str(i), {"protein": one, "text": f"the function number {i}"})
            for i, one in enumerate(sequences)
        ]
        return source_of(name, samples, {"protein": "protein", "text": "text"})

    # Of two inputs, so near-duplicates stay: some twins are drawn for the other side.
    plan = plan_of(
        proteins("alone", families[:40]), named("both", [*twins[:40], *families[40:], *twins[40:]]),
        valid_share={"protein": 0.4},
    )  # fmt: skip
    corpus = built(plan, tmp_path / "c")

    def side(part: str) -> set[str]:
        return {one for name in ("alone", "both") for one in values(corpus, name, part, "protein")}

    taught, tested = side(TRAIN), side(VALID)
    assert taught
    assert tested
    for family, twin in zip(families, twins, strict=True):
        assert not ({family, twin} & taught and {family, twin} & tested)
    assert steps(corpus, "both")["near one of the other part"] > 5
    # What was read first stays as it was.
    first = built(replace(plan, sources=plan.sources[:1]), tmp_path / "first")
    assert values(first, "alone", VALID, "protein") == values(corpus, "alone", VALID, "protein")


def test_held_out_molecules_sequences_and_texts_are_gone_and_listed(tmp_path: Path) -> None:
    protein, other = random_protein(3), random_protein(4)
    passage = (
        "We measured the binding of forty ligands to the outer pocket of the enzyme at pH seven. "
        "Two of them were found to bind more tightly than the natural substrate of the enzyme."
    )
    sentence = passage.partition(". ")[0] + "."
    quoting = f"This was reported before by others in some detail. {sentence} We agree with them."
    near = passage.replace("forty", "fifty") + " It is not known why this should be so at all."
    free = "Nothing in this passage has anything to do with what the others were all about then."

    def held_out() -> Iterator[HeldOutValue]:
        yield HeldOutValue("esol", "molecule", "OC(CC)C")
        yield HeldOutValue("gb1", "protein", protein)
        yield HeldOutValue("abstracts", "text", passage)
        yield HeldOutValue("abstracts", "text", "? not even readable")

    pairs = [RawSample("0", {"molecule": "CC[C@H](C)O", "text": "an alcohol with one hand"})]
    plan = plan_of(
        molecules("m", ["CCC(C)O", "CCCO", "CCCC[O-]", "c1ccccc1"]),
        source_of("pairs", pairs * 2, {"molecule": "molecule", "text": "text"}),
        proteins("p", [protein, substituted(protein), other, random_protein(9)]),
        texts("t", [passage.upper(), quoting, near, free, free + " And so it went on and on."]),
        held_out=held_out,
        held_out_version="some",
    )
    corpus = built(plan, tmp_path / "c")
    assert corpus.manifest.held_out == {"abstracts": 3, "esol": 2, "gb1": 2}
    with (tmp_path / "c/held_out.csv").open(newline="") as stream:
        rows = [tuple(row) for row in csv.reader(stream)]
    assert rows == [
        ("sample", "held_out_set"),
        ("m:0", "esol"), ("pairs:0", "esol"),
        ("p:0", "gb1"), ("p:1", "gb1"),
        ("t:0", "abstracts"), ("t:1", "abstracts"), ("t:2", "abstracts"),
    ]  # fmt: skip
    found = [v for part in (TRAIN, VALID) for v in values(corpus, "m", part, "molecule")]
    assert "CCC(C)O" not in found
    assert len(found) == 3
    assert {v for part in (TRAIN, VALID) for v in values(corpus, "p", part, "protein")} == {
        other, random_protein(9)
    }  # fmt: skip
    assert steps(corpus, "t")["held-out samples removed"] == 3


def test_a_pair_across_the_parts_is_left_out(tmp_path: Path) -> None:
    samples = [
        RawSample(
            f"{year}-{month}",
            {"climate": Quantity("t", year + month / 12, "K")},
            tuple(dict.fromkeys((f"g {year}", f"g {year + (month == 11)}"))),
        )
        for year in range(40)
        for month in range(12)
    ]
    corpus = built(plan_of(source_of("g", samples, {"climate": "climate"})), tmp_path / "c")

    def years(part: str) -> set[int]:
        ids = [corpus.id_of("g", i, part) for i in range(corpus.n_samples("g", part))]
        return {int(one.removeprefix("g:").partition("-")[0]) for one in ids}

    assert years(VALID)
    assert not years(TRAIN) & years(VALID)
    left_out = steps(corpus, "g")["torn between the parts, or beyond the validation limit"]
    edges = sum((year in years(VALID)) != (year + 1 in years(VALID)) for year in range(39))
    assert left_out in (edges, edges + 1)  # the year after the last may be for validation, too


def test_most_takes_a_random_choice_of_that_size(tmp_path: Path) -> None:
    smiles = sorted(set(chains(150)))
    corpus = built(plan_of(molecules("m", smiles, most=40)), tmp_path / "c")
    assert corpus.source("m").steps[0].before == 40
    ids = [int(corpus.id_of("m", i)[2:]) for i in range(corpus.n_samples("m"))]
    assert max(ids) > 80
    assert ids != sorted(ids)


def test_descriptors_are_scaled_over_training_samples_without_absurd_ones(tmp_path: Path) -> None:
    smiles = [*sorted(set(chains(150)), key=len), "C" * 400]
    corpus = built(plan_of(molecules("m", smiles)), tmp_path / "c")
    scale = corpus.manifest.descriptors
    assert scale is not None
    assert scale.names == ("length", "half")
    kept = values(corpus, "m", TRAIN, "molecule")
    lengths = sorted(map(len, kept))[:-1]
    assert scale.mean[0] == pytest.approx(np.mean(lengths), abs=1.5)
    assert scale.std[0] < 2 * np.std(lengths)
    assert (scale.mean[1], scale.std[1]) == (0.5, 1.0)  # NaN takes no part; no spread counts as 1
    sample = corpus.read("m", 0)
    assert sample.descriptors is not None
    assert sample.descriptors[0] == len(sample.inputs["molecule"])


def test_tokens_are_counted_over_training_samples(tmp_path: Path) -> None:
    corpus = built(plan_of(molecules("m", sorted(set(chains(100))))), tmp_path / "c")
    assert corpus.source("m").n_tokens == corpus.lengths("m").sum()


def test_values_that_cost_work_are_made_by_the_worker(tmp_path: Path) -> None:
    samples = [RawSample("0", {"text": Deferred("{} {}".format, ("made", "later"))})]
    corpus = built(plan_of(source_of("t", samples, {"text": "text"})), tmp_path / "c")
    assert values(corpus, "t", TRAIN, "text") + values(corpus, "t", VALID, "text") == ["made later"]


def _two_sources() -> CorpusPlan:
    return plan_of(
        molecules("m", sorted(set(chains(150)))),
        proteins("p", [random_protein(i) for i in range(50)]),
    )


def test_rebuilding_gives_the_same_bytes(tmp_path: Path) -> None:
    built(_two_sources(), tmp_path / "one")
    built(_two_sources(), tmp_path / "two")
    assert checksums(tmp_path / "one") == checksums(tmp_path / "two")


def test_the_order_in_which_workers_finish_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def backwards(function: Callable[[Any], Any], tasks: Iterable[Any]) -> Iterator[Any]:
        yield from [function(task) for task in reversed(list(tasks))]

    monkeypatch.setattr("kagaku.data.corpora.partitions.PARTITION_SAMPLES", 20)
    built(_two_sources(), tmp_path / "one")
    built(_two_sources(), tmp_path / "two", backwards)
    assert checksums(tmp_path / "one") == checksums(tmp_path / "two")


def test_a_stopped_build_goes_on_to_the_same_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kagaku.data.corpora.partitions.PARTITION_SAMPLES", 20)
    built(_two_sources(), tmp_path / "whole")
    done: list[int] = []

    def stopping(function: Callable[[Any], Any], tasks: Iterable[Any]) -> Iterator[Any]:
        for task in tasks:
            if len(done) == 4:
                raise KeyboardInterrupt
            yield function(task)
            done.append(1)

    with pytest.raises(KeyboardInterrupt):
        built(_two_sources(), tmp_path / "again", stopping)
    assert not (tmp_path / "again").exists()
    # A worker killed while writing leaves half a file without its mark of completion behind.
    (folder,) = (tmp_path / "again.building").glob("m-*")
    (folder / "000004.tar").write_bytes(b"half")
    finished: list[int] = []

    def counting(function: Callable[[Any], Any], tasks: Iterable[Any]) -> Iterator[Any]:
        for task in tasks:
            finished.append(1)
            yield function(task)

    built(_two_sources(), tmp_path / "again", counting)
    assert checksums(tmp_path / "again") == checksums(tmp_path / "whole")
    total = len(sorted(set(chains(150)))) // 20 + 1 + 3
    assert len(finished) == total - 4
    assert not (tmp_path / "again.building").exists()


def test_a_finished_corpus_is_not_built_again(tmp_path: Path) -> None:
    built(_two_sources(), tmp_path / "c")

    def never(function: Callable[[Any], Any], tasks: Iterable[Any]) -> Iterator[Any]:
        del function, tasks
        raise AssertionError

    built(_two_sources(), tmp_path / "c", never)
    with pytest.raises(InputError, match=r"built from another recipe.*Name another folder"):
        built(replace(_two_sources(), seed=6), tmp_path / "c")
    shutil.rmtree(tmp_path / "c")
    (tmp_path / "c").mkdir()
    with pytest.raises(InputError, match=r"the folder exists and holds no corpus"):
        built(_two_sources(), tmp_path / "c")


def test_a_source_without_any_readable_sample_is_told(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no sample of 'm' could be read as .*Check the source"):
        built(plan_of(molecules("m", ["?", ""])), tmp_path / "c")


def test_the_manifest_tells_what_was_not_held_out(tmp_path: Path) -> None:
    corpus = built(replace(_two_sources(), notes=("no folder was given",)), tmp_path / "c")
    assert corpus.manifest.notes == ("no folder was given",)
    assert json.loads((tmp_path / "c/manifest.json").read_text())["notes"] == [
        "no folder was given"
    ]
