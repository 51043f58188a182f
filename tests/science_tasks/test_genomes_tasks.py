"""Questions about genomes: their parsers, cases and methods, and all of them on real data."""

import os
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from kagaku.bases import load_base
from kagaku.data.catalogue import FolderSource, Source
from kagaku.data.nucleotides import reverse_complement
from kagaku.errors import InputError
from kagaku.science_tasks.benchmark.base_use import BaseUse
from kagaku.science_tasks.benchmark.cases import PropertyCase
from kagaku.science_tasks.benchmark.results import Quick
from kagaku.science_tasks.benchmark.running import Plan, run_task
from kagaku.science_tasks.benchmark.task import Case, Context, Rows, Task
from kagaku.science_tasks.genomes import hidden_bases, lineage_methods
from kagaku.science_tasks.genomes.enhancers import COPIED, FILES, GappedWords
from kagaku.science_tasks.genomes.enhancers import Load as LoadEnhancers
from kagaku.science_tasks.genomes.gapped_words import (
    gapped_word_counts,
    gapped_word_shares,
    patterns,
)
from kagaku.science_tasks.genomes.guides import FILE as GUIDES
from kagaku.science_tasks.genomes.guides import GENE, RuleSet, guide_features
from kagaku.science_tasks.genomes.guides import Load as LoadGuides
from kagaku.science_tasks.genomes.hidden_bases import MUTATED, MUTATED_HITS, HiddenCase
from kagaku.science_tasks.genomes.lineage_case import (
    Alignment,
    LineageCase,
    clade_of,
    family_of,
    held_out_clades,
    large_families,
    split_lineages,
)
from kagaku.science_tasks.genomes.lineages import GENOMES, entries
from kagaku.science_tasks.genomes.lineages import Load as LoadLineages
from kagaku.science_tasks.tasks import TASKS

OURS = [TASKS[name] for name in TASKS if TASKS[name].domain == "genomes"]


class Files(dict[str, bytes]):
    """A source that holds its files."""

    def __call__(self, key: str) -> bytes:
        return self[key]


def no_base() -> object:
    raise AssertionError("a plain method asked for the base")


PLAINLY = Context(no_base)  # type: ignore[arg-type]


def random_dna(length: int, rng: np.random.Generator) -> str:
    return "".join(rng.choice(list("ACGT"), length))


# --- enhancers


def enhancer_files(n: int = 40) -> dict[str, bytes]:
    """Return files in which enhancers hold TGACTCA with one base that does not matter."""
    rng = np.random.default_rng(0)
    made: dict[str, list[str]] = {key: [] for key in FILES}
    for key, (_, enhancer) in FILES.items():
        for _ in range(n):
            sequence = list(random_dna(200, rng))
            for place in rng.choice(24, 4, replace=False) * 8 if enhancer else ():
                sequence[place : place + 7] = [*"TGA", *random_dna(1, rng), *"TCA"]
            made[key].append("".join(sequence))
    cv, ind = (key for key in FILES if "enhancer." in key)
    made[ind][:10] = made[cv][:10]  # as in the published files
    return {
        key: "".join(f">chr{i}\n{one.lower()}\n" for i, one in enumerate(sequences)).encode()
        for key, sequences in made.items()
    }


def enhancers(**how: bool) -> PropertyCase:
    case = LoadEnhancers(**how)(Files(enhancer_files()))["test"]
    assert isinstance(case, PropertyCase)
    return case


def test_copies_are_told_in_the_answers_and_can_be_left_out_of_training() -> None:
    case, without = enhancers(), enhancers(without_copies=True)
    assert (case.n_train, case.n_test) == (80, 80)
    assert (without.n_train, without.n_test) == (70, 80)
    answers = TASKS["ienhancer"].method("constant")(case, PLAINLY)
    assert answers[COPIED].sum() == 10
    measure = TASKS["ienhancer"].measure("accuracy, not copied")
    answers["p_1"] = np.where(answers[COPIED], 1 - answers["truth"], answers["truth"])
    answers["p_0"] = 1 - answers["p_1"]
    assert measure.of(answers) == 1
    assert TASKS["ienhancer"].leading.of(answers) == pytest.approx(70 / 80)


def test_gapped_words_are_counted_on_both_strands_and_skip_unknown_bases() -> None:
    assert patterns(4, 3) == [(0, 1, 2), (0, 1, 3), (0, 2, 3)]
    sequence = random_dna(60, np.random.default_rng(1))
    counts = gapped_word_counts(sequence)
    assert (counts == gapped_word_counts(reverse_complement(sequence))).all()
    # Each pattern of 5 places within 7 fits 60 minus its reach times, on two strands.
    assert counts.sum() == 2 * sum(60 - one[-1] for one in patterns())
    assert gapped_word_counts("NNNNNNNNNNNN").sum() == 0
    assert gapped_word_counts("ACG").sum() == 0
    shares = gapped_word_shares([sequence, "NNNNNNNN"])
    assert np.linalg.norm(shares, axis=1) == pytest.approx([1, 0])


def test_gapped_words_find_a_motif_in_which_a_base_does_not_matter() -> None:
    case = enhancers(without_copies=True)
    answers = GappedWords(penalties=(0.1, 1.0))(case, PLAINLY)
    assert TASKS["ienhancer"].leading.of(answers) > 0.7
    assert answers.attrs["chosen"].startswith("C=")


# --- guides


def guides_file(n: int = 60) -> bytes:
    """Return guides of three genes that cut better the more G they have next to the PAM."""
    rng = np.random.default_rng(0)
    rows = []
    for i in range(n):
        guide = random_dna(25, rng) + "GG" + random_dna(3, rng)
        score = guide[19:24].count("G") / 5 + rng.normal(0, 0.05)
        rows.append((i, guide, f"GENE{i % 3}", 10.0, 50.0, score, 0, "nodrug", 0.5))
    names = [
        "", "30mer", "Target gene", "Percent Peptide", "Amino Acid Cut position",
        "score_drug_gene_rank", "score_drug_gene_threshold", "drug", "predictions",
    ]  # fmt: skip
    return pd.DataFrame(rows, columns=names).to_csv(index=False).encode()


def test_each_gene_is_left_out_once_and_the_other_models_predictions_are_not_read() -> None:
    cases = LoadGuides()(Files({GUIDES: guides_file()}))
    assert list(cases) == ["GENE0", "GENE1", "GENE2"]
    case = cases["GENE1"]
    assert isinstance(case, PropertyCase)
    assert case.extra is not None
    assert set(case.extra[GENE][case.rows.test]) == {"GENE1"}
    assert set(case.extra[GENE][case.rows.learnt()]) == {"GENE0", "GENE2"}
    names = [one.name for one in case.records.schema.inputs]
    assert names == ["sequence", "percent_peptide", "cut_position"]
    with pytest.raises(KeyError):
        cases["GENE3"]


def test_a_rule_set_learns_what_stands_next_to_the_pam() -> None:
    case = LoadGuides()(Files({GUIDES: guides_file(240)}))["GENE0"]
    assert isinstance(case, PropertyCase)
    answers = RuleSet()(case, PLAINLY)
    assert TASKS["crispr-guides"].leading.of(answers) > 0.8


def test_features_of_a_guide_are_those_worked_out_by_hand() -> None:
    features = guide_features("A" * 24 + "CGGT" + "AA")
    n_bases, n_pairs = 30 * 4, 29 * 16
    assert len(features) == n_bases + n_pairs + 4 + 16 + 3 + 16 + 4
    counts = features[n_bases + n_pairs : n_bases + n_pairs + 4]
    assert counts.tolist() == [26, 1, 2, 1]
    gc, over, under = features[n_bases + n_pairs + 20 : n_bases + n_pairs + 23]
    assert (gc, over, under) == (0, 0, 1)
    around = features[-20:-4].reshape(4, 4)
    assert around[1, 3] == around.sum() == 1  # C before the PAM's GG, T behind
    assert features[-3] == features[-1] == 10  # five times A: 2 degC each


# --- lineages

ROOT = random_dna(3_000, np.random.default_rng(7))


def lineages(n_families: int = 3, n_clades: int = 6, n_each: int = 3) -> Iterator[tuple[str, str]]:
    """Yield lineages that inherit the mutations of their family and of their clade."""
    rng = np.random.default_rng(3)

    def mutated(sequence: str, count: int) -> str:
        letters = list(sequence)
        for place in rng.choice(len(letters), count, replace=False):
            letters[place] = {"A": "C", "C": "G", "G": "T", "T": "-", "-": "A"}[letters[place]]
        return "".join(letters)

    yield "B", ROOT
    for family in "KLM"[:n_families]:
        ancestor = mutated(ROOT, 15)
        for clade in range(1, n_clades + 1):
            founder = mutated(ancestor, 4)
            for number in range(1, n_each + 1):
                yield f"{family}.{clade}.{number}", mutated(founder, 2)


def lineage_case() -> LineageCase:
    content = "".join(f">{name}\n{one[:1000]}\n{one[1000:]}\n" for name, one in lineages()).encode()
    case = LoadLineages(GENOMES, "nucleotide")(Files({GENOMES: content}))["clades"]
    assert isinstance(case, LineageCase)
    return case


def test_names_of_lineages_have_a_family_and_a_clade() -> None:
    assert (family_of("BA.2.86.1"), clade_of("BA.2.86.1")) == ("BA", "BA.2")
    assert (family_of("XBB"), clade_of("XBB")) == ("XBB", "XBB")
    names = [f"AY.{i}" for i in range(1, 9)] + ["A.1", "A.2", "A.2.1"]
    assert large_families(names) == ["AY"]
    held_out = held_out_clades(names[:8])
    assert len(held_out) == 2
    assert held_out == held_out_clades(names[:8][::-1])


def test_whole_clades_are_held_out_of_each_family() -> None:
    case = lineage_case()
    assert case.families == ("K", "L", "M")
    trained, asked = set(case.clades(case.rows.train)), set(case.clades(case.rows.test))
    assert not trained & asked
    assert {one.split(".")[0] for one in asked} == {"K", "L", "M"}
    assert case.n_train + case.n_test == 54  # B is alone in its family and left out


def test_an_alignment_gives_back_its_sequences_without_gaps() -> None:
    alignment, names = Alignment.of(iter([("one", "ACGT-A"), ("two", "AC*TTT")]), "ACGTTA")
    assert names == ["one", "two"]
    assert [alignment.sequence(i) for i in range(2)] == ["ACGTA", "AC"]
    assert alignment.aligned(0).tobytes() == b"ACGT-A"
    apart = lineage_methods.differences(alignment.mutations, alignment.mutations)
    assert apart.tolist() == [[0, 3], [3, 0]]


def test_sequences_that_are_not_aligned_are_refused() -> None:
    with pytest.raises(InputError, match="two has 3 letters and the reference 4") as told:
        Alignment.of(iter([("one", "ACGT"), ("two", "ACG")]), "ACGT")
    assert "Align the sequences" in str(told.value)


def test_a_file_without_the_reference_is_refused() -> None:
    content = {GENOMES: b">A.1\nACGT\n"}
    with pytest.raises(InputError, match="lineage B, the reference, is missing"):
        LoadLineages(GENOMES, "nucleotide")(Files(content))


def test_entries_are_read_without_line_breaks() -> None:
    assert list(entries(b"")) == []
    assert list(entries(b">a\nac\ngt\n>b\n\n>c\nT")) == [("a", "ACGT"), ("b", ""), ("c", "T")]


@pytest.mark.parametrize("name", ["nearest-mutations", "nearest-words", "logistic-mutations"])
def test_inherited_mutations_tell_the_family(name: str) -> None:
    case, task = lineage_case(), TASKS["sarscov2-family"]
    assert task.leading.of(task.method(name)(case, PLAINLY)) > 0.9
    assert task.leading.of(task.method("constant")(case, PLAINLY)) < 0.5


def test_a_cut_of_lineages_still_asks_for_families_that_can_be_learnt() -> None:
    cut = lineage_case().cut(5, 4, seed=0)
    assert (cut.n_train, cut.n_test) == (5, 4)
    assert cut.families == ("K", "L", "M")
    answers = lineage_methods.nearest_by_mutations(cut, PLAINLY)
    assert np.allclose(answers.filter(like="p_").sum(axis=1), 1)


def test_sequences_are_put_together_for_methods_that_read_them() -> None:
    case = lineage_case()
    records = lineage_methods.as_records(case)
    assert (records.n_train, records.n_test) == (case.n_train, case.n_test)
    given = case.values("test")["nucleotide"]
    assert len(given) == case.n_test
    assert records.records.inputs["sequence"][records.rows.test[0]] == given[0]
    assert records.target.classes == case.families


def test_hidden_stretches_are_filled_in_from_the_nearest_genomes() -> None:
    case = HiddenCase(lineage_case())
    assert 0.1 < case.hidden.mean() < 0.35
    measure = TASKS["sarscov2-hidden-bases"].leading
    scores = {
        name: measure.of(method(case, PLAINLY))
        for name, method in TASKS["sarscov2-hidden-bases"].methods.items()
    }
    assert scores["reference"] == 0
    assert scores["nearest-genomes"] > max(0.6, scores["consensus"])


def test_what_is_hidden_is_not_read_by_the_methods() -> None:
    case = HiddenCase(lineage_case())
    before = hidden_bases.nearest_genomes(case, PLAINLY)
    (row, site) = np.argwhere(case.hidden)[0]
    letters = list(case.lineages.alignment.letters)
    sites = list(case.lineages.alignment.sites)
    index = int(case.lineages.rows.test[row])
    place = int(case.sites[site])
    own = case.lineages.alignment.aligned(index)
    own[place] = ord("N")
    sites[index] = np.flatnonzero(own != case.lineages.alignment.reference)
    letters[index] = own[sites[index]]
    alignment = Alignment(case.lineages.alignment.reference, tuple(sites), tuple(letters))
    lineage = LineageCase(alignment, case.lineages.names, case.lineages.rows, "nucleotide")
    after = hidden_bases.nearest_genomes(HiddenCase(lineage), PLAINLY)
    assert after.loc[row, MUTATED] - before.loc[row, MUTATED] in {0, 1}
    others = before.index != row
    assert (after[others] == before[others]).all().all()
    assert after.loc[row, MUTATED_HITS] <= before.loc[row, MUTATED_HITS]


def test_a_split_of_lineages_does_not_depend_on_the_order_of_the_file() -> None:
    found = dict(lineages())
    names = sorted(found, reverse=True)
    alignment, kept = Alignment.of(((one, found[one]) for one in names), ROOT)
    turned = split_lineages(kept, "nucleotide", alignment)
    case = lineage_case()
    assert {turned.names[i] for i in turned.rows.test} == {case.names[i] for i in case.rows.test}


# --- all of them


def test_published_scores_have_a_source_and_a_measure() -> None:
    assert len(OURS) == 6
    for task in OURS:
        for one in task.published:
            assert one.source.startswith("https://")
            assert task.measure(one.measure).name == one.measure
            assert -1 <= one.value <= 1


@pytest.mark.benchmark_data
@pytest.mark.parametrize("task", OURS, ids=lambda one: one.name)
def test_every_question_about_genomes_is_answered_on_real_data(task: Task, tmp_path: Path) -> None:
    source = FolderSource([Path(os.environ["KAGAKU_DATA"]).expanduser().resolve()])
    base = BaseUse(lambda: load_base("kagaku-tiny"))
    # Choosing among all candidates is tried once for each kind of sequence.
    methods = tuple(one for one in task.default if one != "auto" or task.name != "ienhancer")
    scores = {
        one.method: task.leading.of(one.answers)
        for number, (part, plan) in enumerate(_parts(task, methods))
        for one in run_task(part, source, base, plan, tmp_path / str(number))
    }
    assert set(scores) == set(methods)
    finite = {name: one for name, one in scores.items() if np.isfinite(one)}
    assert {*scores} - {*finite} <= {"constant"}
    plain = max(finite[name] for name in task.baselines if name in finite)
    assert plain > finite.get("constant", 0.0)


def _parts(task: Task, methods: tuple[str, ...]) -> Iterator[tuple[Task, Plan]]:
    """Yield what is run; to embed a spike of 1,270 residues takes long, so few are embedded."""
    embedded = {"linear-embeddings"} if task.name == "sarscov2-spike-family" else set[str]()
    others = tuple(one for one in methods if one not in embedded)
    yield task, Plan(methods=others, quick=Quick(120, 40), splits=_one_split(task))
    if embedded:
        few = replace(task, load=partial(_of_three_families, task))
        yield few, Plan(methods=tuple(embedded), quick=Quick(20, 10))


def _of_three_families(task: Task, source: Source) -> dict[str, Case]:
    (case,) = task.load(source).values()
    assert isinstance(case, LineageCase)
    family = np.array([family_of(one) for one in case.names])
    names, counts = np.unique(family[case.rows.test], return_counts=True)
    large = np.isin(family, names[np.argsort(counts)[-3:]])
    train, test = case.rows.train, case.rows.test
    return {"clades": replace(case, rows=Rows(train[large[train]], test[large[test]]))}


def _one_split(task: Task) -> tuple[str, ...]:
    return ("NF2",) if task.name == "crispr-guides" else ()
