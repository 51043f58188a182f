"""Questions about molecules and reactions: what is read, asked and measured, and plain answers."""

import json
import math
import os
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from rdkit import Chem
from scipy.stats import wasserstein_distance
from torchmetrics.functional.text import bleu_score

from kagaku.bases import load_base, weights_folder
from kagaku.data.catalogue import FolderSource, Source, find_dataset
from kagaku.data.identity import molecule_key
from kagaku.errors import InputError
from kagaku.models.pretraining.beam import BeamConfig, Found, beam_search
from kagaku.models.pretraining.stored import load_pretrained
from kagaku.models.pretraining.translation import TranslationConfig, TranslationData
from kagaku.science_tasks.benchmark.base_use import BaseUse
from kagaku.science_tasks.benchmark.cases import ITEM
from kagaku.science_tasks.benchmark.files import frame
from kagaku.science_tasks.benchmark.measures import GIVEN, TRUTH
from kagaku.science_tasks.benchmark.methods import constant
from kagaku.science_tasks.benchmark.results import Quick, Result
from kagaku.science_tasks.benchmark.running import Plan, run_task
from kagaku.science_tasks.benchmark.summary import summarise
from kagaku.science_tasks.benchmark.task import Context, Task
from kagaku.science_tasks.chemistry.cuts import HYDROGEN, cuts_of, joined, pieces_of, read
from kagaku.science_tasks.chemistry.denovo import MEASURES as DENOVO_MEASURES
from kagaku.science_tasks.chemistry.denovo import GenerationCase, Markov, copies, generation_answers
from kagaku.science_tasks.chemistry.descriptions import (
    Generated,
    molecule_answers,
    most_typical,
    nearest_molecule,
    nearest_text,
    text_answers,
)
from kagaku.science_tasks.chemistry.disconnections import Disconnector, explained
from kagaku.science_tasks.chemistry.fingerprints import fingerprints, likeness
from kagaku.science_tasks.chemistry.matching import WordRidge, by_chance
from kagaku.science_tasks.chemistry.molecule_sets import PROPERTIES
from kagaku.science_tasks.chemistry.molecule_text import Described, DescriptionCase, read_described
from kagaku.science_tasks.chemistry.moleculeace import ALL_TARGETS, ON_CLIFFS, RMSE, potency_case
from kagaku.science_tasks.chemistry.moleculeace_scores import MODELS, ROWS, SCORES
from kagaku.science_tasks.chemistry.reaction_yields import COMPONENTS, one_hot_forest, yield_case
from kagaku.science_tasks.chemistry.reactions import FILES as REACTION_FILES
from kagaku.science_tasks.chemistry.reactions import (
    MEASURES,
    ReactionCase,
    Translated,
    disconnections,
    nearest,
    other_spelling,
    reaction_answers,
    read_reactions,
)
from kagaku.science_tasks.chemistry.solubility import scaffold_or, share_of, solubility_case
from kagaku.science_tasks.generation_metrics import N_BITS, internal_diversity
from kagaku.science_tasks.retrieval import rank_answers, ranks, retrieval_measures
from kagaku.science_tasks.tasks import TASKS
from kagaku.science_tasks.text_overlap import bleu, overlap_counts, rouge_l, words_of
from kagaku.science_tasks.translating import NEW_HEADS, Translator

OWN = (
    *ALL_TARGETS.members.values(),
    "aqsoldb",
    "buchwald-hartwig",
    "buchwald-hartwig-additives",
    "uspto50k",
    "uspto50k-forward",
    "chebi20-text-to-molecule",
    "chebi20-molecule-to-text",
    "chebi20-describe",
    "chebi20-draw",
    "denovo",
)
NO_BASE = Context(lambda: pytest.fail("the base was asked for"))


def scores(answers: pd.DataFrame, measures: Any) -> dict[str, float]:
    return {one.name: one.of(answers) for one in measures}


# What every task must have.


@pytest.mark.parametrize("name", OWN)
def test_a_task_reads_catalogued_files_and_says_where_published_scores_stand(name: str) -> None:
    task = TASKS[name]
    known = {file.key for file in find_dataset(task.dataset).files} | {
        "molecules/moleculenet/ESOL.csv"
    }
    assert set(task.files) <= known
    assert task.question.endswith("?")
    assert task.traps
    for one in task.published:
        assert one.source.startswith("https://")
        assert math.isfinite(one.value)


def test_retrosynthesis_stands_beside_templates_and_edits_not_only_beside_transformers() -> None:
    published = TASKS["uspto50k"].published
    first = {one.model: one for one in published if one.measure == "top-1"}
    assert {"RetroSim", "NeuralSym", "GLN", "MEGAN", "LocalRetro", "GraphRetro"} < set(first)
    assert first["LocalRetro"].value > first["Transformer T3, averaged over cycles"].value
    for one in published:
        # Only the Transformers of the article that the files come with were asked these reactions.
        assert (not one.differs) == one.model.startswith("Transformer T"), one.model
    assert [(one.model, one.measure) for one in published if not one.checked] == [
        ("NeuralSym", "top-10")
    ]
    for model in first:  # more answers never hold fewer right ones
        values = [one.value for one in published if one.model == model]
        assert values == sorted(values), model


# MoleculeACE and its mean over targets.


def potencies(count: int = 12) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "smiles": ["C" * (1 + number) + "O" for number in range(count)],
            "y [pEC50/pKi]": np.linspace(5.0, 9.0, count),
            "cliff_mol": [number % 2 for number in range(count)],
            "split": ["train"] * (count - 4) + ["test"] * 4,
        }
    )


def test_potencies_keep_the_published_split_and_their_marks_on_cliffs() -> None:
    case: Any = potency_case(potencies(), "CHEMBL1_Ki")
    assert (case.n_train, case.n_test, case.target.name) == (8, 4, "pKi")
    answers = pd.DataFrame({TRUTH: [1.0, 2.0], GIVEN: [1.0, 5.0], "is_cliff": [True, False]})
    assert RMSE.of(answers) == pytest.approx(math.sqrt(4.5))
    assert ON_CLIFFS.of(answers) == 0.0
    assert case.extra["is_cliff"][case.rows.test].tolist() == [False, True, False, True]


def made_result(task: str, error: float, method: str = "plain") -> Result:
    answers = pd.DataFrame(
        {TRUTH: np.zeros(4), GIVEN: np.full(4, error), "is_cliff": [True, False] * 2}
    )
    return Result(task, method, "x", 0, 1, 4, 0, 0.0, 0, None, None, "", None, answers)


def test_the_targets_of_moleculeace_have_a_mean_beside_the_published_one() -> None:
    names = list(ALL_TARGETS.members.values())
    results = [made_result(name, float(number)) for number, name in enumerate(names)]
    results += [made_result("esol", 99.0), made_result(names[0], 5.0, "svm-ecfp")]
    gathered = ALL_TARGETS.gathered(results)
    assert {one.method for one in gathered} == {"plain"}  # svm-ecfp lacks 19 targets
    (mean,) = [one for one in summarise(ALL_TARGETS.whole, gathered) if one.measure == "RMSE"]
    assert mean.mean == pytest.approx(9.5)
    assert mean.n_runs == 20
    published = {
        (one.model, one.measure): one.value
        for one in ALL_TARGETS.whole.published
        if one.split is None
    }
    assert published["SVM on ECFP", "RMSE"] == pytest.approx(0.669, abs=5e-4)
    assert published["SVM on ECFP", "RMSE on cliffs"] == pytest.approx(0.758, abs=6e-4)


# AqSolDB.


def test_solubilities_leave_out_esol_and_keep_scaffolds_apart() -> None:
    smiles = [f"{'C' * number}C1CC1" for number in range(30)]
    smiles += [f"{'C' * number}c1ccncc1" for number in range(20)]
    smiles += [f"{'C' * (2 + number)}O" for number in range(40)] + ["OC[C@H](F)Cl"]
    table = pd.DataFrame(
        {
            "SMILES": smiles,
            "InChIKey": [pd.NA] * len(smiles),
            "Solubility": np.linspace(-5.0, 1.0, len(smiles)),
        }
    )

    table["InChIKey"] = [molecule_key(one) for one in smiles]
    case = solubility_case(table, ["OC[C@@H](F)Cl", "CCO"])
    present = set(case.records.inputs["smiles"])
    assert not {"CCO", "OC[C@H](F)Cl", "OC[C@@H](F)Cl"} & present  # whatever the stereochemistry
    assert case.n_train + case.n_test == len(smiles) - 2

    def scaffolds(rows: np.ndarray) -> set[str]:
        values = [case.records.inputs["smiles"][row] for row in rows]
        return {scaffold_or(str(one), str(one)) for one in values}

    assert not scaffolds(case.rows.train) & scaffolds(case.rows.test)
    assert {"C1CC1", "c1ccncc1"} <= scaffolds(case.rows.train)  # common ones are learnt from


def test_a_share_depends_on_the_name_alone_and_spreads_evenly() -> None:
    assert share_of("benzene") == share_of("benzene")
    assert np.mean([share_of(str(one)) < 0.2 for one in range(2000)]) == pytest.approx(
        0.2, abs=0.03
    )


# Buchwald-Hartwig.


def sheet() -> pd.DataFrame:
    bases, halides = ["CN", "CCN", "CCCN"], ["CCl", "CBr", "CI", "CCBr"]
    rows = [(base, halide) for base in bases for halide in halides] * 3
    return pd.DataFrame(
        {
            "Ligand": "CP",
            "Additive": "CO",
            "Base": [base for base, _ in rows],
            "Aryl halide": [halide for _, halide in rows],
            "Output": [10.0 * bases.index(base) + 5 * halides.index(one) for base, one in rows],
        }
    )


def test_ingredients_foretell_a_yield_that_depends_on_them_alone() -> None:
    case = yield_case(sheet(), 24)
    assert [one.name for one in case.records.schema.inputs] == list(COMPONENTS)
    assert (case.n_train, case.n_test) == (24, 12)
    answers = one_hot_forest(case, NO_BASE)
    assert float(np.abs(answers[TRUTH] - answers[GIVEN]).max()) < 3


def test_a_flask_that_several_sheets_ask_for_is_one_item() -> None:
    first, second = sheet(), sheet().iloc[::-1].reset_index(drop=True)
    asked = [constant(yield_case(one, 24), NO_BASE) for one in (first, second)]
    names = [set(answers[ITEM]) for answers in asked]
    assert names[0] & names[1]
    assert all(TASKS[one].group == ITEM for one in ("buchwald-hartwig", "esol", "tox21"))


def test_folds_leave_out_whole_additives_where_the_split_does() -> None:
    table = sheet()
    table["Additive"] = ["CO", "CCO", "CCCO"] * 12
    case = yield_case(table, 24, is_new_additive=True)
    assert case.keeps_apart == "group"
    assert [one.name for one in case.records.schema.inputs] == list(COMPONENTS)
    groups = case.records.groups
    assert groups is not None
    assert set(groups) == {"CO", "CCO", "CCCO"}
    assert yield_case(table, 24).keeps_apart == "random"


def test_an_ingredient_that_was_never_tried_is_no_error() -> None:
    table = sheet()
    table.loc[24:, "Base"] = "CCCCN"
    answers = one_hot_forest(yield_case(table, 24), NO_BASE)
    assert np.isfinite(answers[GIVEN]).all()


# Reactions.

ACYLS, AMINES = ["C", "CC", "c1ccccc1", "CC(C)", "c1ccc(F)cc1"], ["CC", "CCC", "C1CC1C", "CCOCC"]


def amides() -> ReactionCase:
    pairs = [
        (f"{acyl}C(=O)N{amine}", f"{acyl}C(=O)O.N{amine}") for acyl in ACYLS for amine in AMINES
    ]
    found, bad = read_reactions([f"{one} >> {two}" for one, two in pairs])
    assert bad == 0
    products, reactants = zip(*found, strict=True)
    return ReactionCase(products[:-3], reactants[:-3], products[-3:], reactants[-3:])


def test_reactions_are_read_as_canonical_and_bad_lines_are_counted() -> None:
    found, bad = read_reactions(["C(C)O >> OC.BrC\n", "", "CC >>", "x >> C", "CC >> C1"])
    assert found == [("CCO", "CBr.CO")]
    assert bad == 3
    with pytest.raises(InputError, match="no reaction can be read"):
        read_reactions(["C"])


def test_ranks_are_among_distinct_molecules_that_can_be_read() -> None:
    case = ReactionCase(("CC",), ("C.C",), ("CC", "CCC", "CCO"), ("C.C", "C.CC", "CO.C"))
    proposed = [["C.C"], ["C1", "CC", "CC", "C(C).C"], []]
    answers = reaction_answers(case, proposed)
    assert answers["top_1"].tolist() == [1.0, 0.0, 0.0]
    assert answers["top_3"].tolist() == [1.0, 1.0, 0.0]
    assert answers["validity"].tolist() == [1.0, 0.75, 0.0]
    found = scores(answers, MEASURES)
    assert found["top-1"] == pytest.approx(1 / 3)
    assert found["top-1, not in train"] == 0.0  # the first product was learnt from


def test_a_cut_reaction_case_keeps_pairs_together_and_reversing_swaps_sides() -> None:
    case = amides()
    cut = case.cut(5, 2, seed=1)
    assert (cut.n_train, cut.n_test) == (5, 2)
    assert set(cut.pairs) <= set(case.pairs)
    assert set(zip(cut.given, cut.wanted, strict=True)) <= set(
        zip(case.given, case.wanted, strict=True)
    )
    assert case.reversed().reversed() == case
    assert case.reversed().values("test")["molecule"] == case.wanted


@pytest.mark.parametrize("smiles", ["CC(=O)Nc1ccccc1", "C[C@H](O)CBr", "OC(=O)C1CC1"])
def test_what_was_cut_can_be_put_together_again(smiles: str) -> None:
    molecule = read(smiles)
    assert molecule is not None
    cuts = cuts_of(molecule)
    assert cuts
    for cut in cuts:
        assert sum(cut.sizes) == molecule.GetNumAtoms()
        pieces = pieces_of(molecule, cut)
        assert pieces is not None
        assert joined(*pieces) == joined(*reversed(pieces))
        assert read(str(joined(*pieces))).GetNumAtoms() == molecule.GetNumAtoms()  # type: ignore[union-attr]


def test_a_known_reaction_is_explained_by_the_smallest_groups() -> None:
    amide = explained("CC(=O)NC", "CC(=O)O.CN")
    assert amide is not None
    assert set(amide.on) == {"[1*]O", HYDROGEN}
    assert amide.reactants() == "CC(=O)O.CN"
    deprotected = explained("NCCc1ccccc1", "CC(C)(C)OC(=O)NCCc1ccccc1")
    assert deprotected is not None
    assert deprotected.off == HYDROGEN
    assert explained("C1CCCCC1", "C=CC=C.C=C") is None  # a ring closure is beyond it


def test_disconnecting_bonds_solves_new_amides_that_a_like_product_does_not() -> None:
    case = amides()
    assert scores(disconnections(case, NO_BASE), MEASURES)["top-1"] == 1.0
    assert scores(nearest(case, NO_BASE), MEASURES)["top-1"] == 0.0
    assert Disconnector().propose("CCO", 5) == []


def test_another_spelling_is_the_same_molecule() -> None:
    rng = np.random.default_rng(0)
    spelt = {other_spelling("CC(=O)Nc1ccccc1", rng) for _ in range(20)}
    assert len(spelt) > 3
    assert {read_reactions([f"{one} >> C"])[0][0][0] for one in spelt} == {"CC(=O)Nc1ccccc1"}


# Descriptions.

DESCRIBED = Described(
    ("CCO", "CCCO", "CCN", "CCCN", "c1ccccc1", "Cc1ccccc1", "CC(=O)O", "CCC(=O)O"),
    (
        "An alcohol of two carbons.",
        "An alcohol of three carbons.",
        "An amine of two carbons.",
        "An amine of three carbons.",
        "An arene, benzene.",
        "An arene, toluene with a methyl.",
        "An acid of two carbons.",
        "An acid of three carbons.",
    ),
)


def described(given: Any = "molecule") -> DescriptionCase:
    asked = Described(("CCCCO", "CCCCN"), ("An alcohol of four carbons.", "An amine of four."))
    return DescriptionCase(DESCRIBED, asked, given)


def test_descriptions_are_read_with_single_backslashes_and_bad_lines_are_counted() -> None:
    lines = ["CID\tSMILES\tdescription", "1\tF/C=C\\\\F\tA cis alkene.", "2\tC1\tNone.", ""]
    pairs, bad = read_described(lines)
    assert pairs == Described(("F/C=C\\F",), ("A cis alkene.",))
    assert bad == 1
    with pytest.raises(InputError, match="no pair can be read"):
        read_described(lines[:1])


def test_ranks_count_equal_scores_against_the_right_answer() -> None:
    found = np.array([[3.0, 1.0, 2.0], [1.0, 1.0, 1.0], [9.0, 8.0, 7.0]])
    assert ranks(found).tolist() == [1, 3, 3]
    measured = scores(rank_answers(found), retrieval_measures())
    assert measured["mean reciprocal rank"] == pytest.approx((1 + 1 / 3 + 1 / 3) / 3)
    assert measured["hits@1"] == pytest.approx(1 / 3)
    assert measured["hits@10"] == 1.0
    assert measured["mean rank"] == pytest.approx(7 / 3)


def test_words_tell_which_molecule_is_meant_better_than_chance() -> None:
    asked = described().asked
    fits = WordRidge(0.3).scores(DESCRIBED, asked)
    assert ranks(fits).tolist() == ranks(fits.T).tolist() == [1, 1]
    assert WordRidge.chosen(DESCRIBED).ridge in {0.1, 0.3, 1.0}
    answers = by_chance(described(), NO_BASE)
    assert answers["rank"].between(1, 2).all()


def test_a_description_case_gives_one_side_and_wants_the_other() -> None:
    case = described("text")
    assert case.wanted == "molecule"
    assert case.pairs[0] == ("An alcohol of two carbons.", "CCO")
    cut = case.cut(3, 1, seed=0)
    assert (cut.n_train, cut.n_test) == (3, 1)
    assert set(cut.pairs) < set(case.pairs)


def test_bleu_is_that_of_torchmetrics() -> None:
    given = ["the acid is a steroid ester that is green", "a molecule of two parts, and more"]
    truth = ["the molecule is a steroid ester", "a molecule of three parts and no more words here"]
    counts = text_counts(given, truth)
    spaced = (
        [" ".join(words_of(one)) for one in given],
        [[" ".join(words_of(one))] for one in truth],
    )
    for n in (2, 4):
        assert bleu(n).of(counts) == pytest.approx(float(bleu_score(*spaced, n_gram=n)), abs=1e-6)
    assert bleu(4).of(text_counts(["x y"], ["a b c d"])) == 0.0


def text_counts(given: list[str], truth: list[str]) -> pd.DataFrame:
    return pd.DataFrame([overlap_counts(*one) for one in zip(given, truth, strict=True)])


@pytest.mark.parametrize(
    ("given", "truth", "shared"),
    [
        ("police ended the gunman", "police killed the gunman", 0.75),
        ("the gunman kill police", "police killed the gunman", 0.5),
        ("a b c d e", "e d c b a", 0.2),
        ("", "a", 0.0),
    ],
)
def test_rouge_l_is_the_f1_of_the_longest_common_subsequence(
    given: str, truth: str, shared: float
) -> None:
    assert rouge_l(given.split(), truth.split()) == pytest.approx(shared)


def test_plain_answers_are_known_descriptions_and_molecules() -> None:
    case = described()
    assert nearest_text(case, NO_BASE)["answer"].tolist() == [
        "An alcohol of three carbons.",
        "An amine of three carbons.",
    ]
    assert most_typical(case, NO_BASE)["answer"].nunique() == 1
    assert nearest_molecule(described("text"), NO_BASE)["answer"].tolist()[0] in {"CCO", "CCCO"}
    perfect = text_answers(case, case.asked.texts)
    assert bleu(4).of(perfect) == pytest.approx(1.0)
    assert perfect["rouge_l"].tolist() == [1.0, 1.0]


def test_drawn_molecules_are_compared_after_they_are_made_canonical() -> None:
    answers = molecule_answers(described("text"), ["OCCCC", "C1"])
    assert answers["is_exact"].tolist() == [1.0, 0.0]
    assert answers["is_valid"].tolist() == [1.0, 0.0]
    assert answers["likeness"].tolist() == [1.0, 0.0]


# New molecules.


def test_new_molecules_are_counted_once_and_compared() -> None:
    case = GenerationCase(("CCO", "CCN"), ("CCCO", "CCCl"), n_wanted=5)
    answers = generation_answers(case, ["CCO", "OCC", "CCCO", "C1", "CCBr"])
    found = scores(answers, DENOVO_MEASURES)
    assert found["valid"] == pytest.approx(4 / 5)
    assert found["unique"] == pytest.approx(3 / 4)
    assert found["novel"] == pytest.approx(2 / 3)
    assert answers["nearest"].tolist()[2] == 1.0
    assert answers["nearest"].tolist()[1] == 0.0  # a copy of the first
    diversity = internal_diversity(["CCBr", "CCCO", "CCO"])
    assert found["IntDiv"] == pytest.approx(diversity)
    assert found["unique@1k"] == found["unique"]
    prints = fingerprints(["CCBr", "CCCO", "CCO"], N_BITS)
    pairs = np.array([likeness(one, prints) for one in prints])
    assert found["IntDiv2"] == pytest.approx(1 - math.sqrt((pairs**2).mean()))
    assert math.isnan(scores(generation_answers(case, ["C1"] * 5), DENOVO_MEASURES)["IntDiv2"])


def test_early_molecules_are_the_first_valid_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kagaku.science_tasks.chemistry.denovo.EARLY", 3)
    case = GenerationCase(("CCO", "CCN"), ("CCCO", "CCCl"), n_wanted=6)
    answers = generation_answers(case, ["C1", "CCO", "CCCO", "OCC", "CCBr", "CCN"])
    found = scores(answers, DENOVO_MEASURES)
    assert found["unique@1k"] == pytest.approx(2 / 3)
    assert found["unique"] == pytest.approx(4 / 5)


def test_sets_of_molecules_are_compared_by_parts_and_properties() -> None:
    drugs = ("CC(=O)Nc1ccc(OCCN2CCCC2)cc1", "c1ccc2[nH]ccc2c1", "Cc1ccc(-c2ccncc2)cc1")
    same = scores(
        generation_answers(GenerationCase(("CCO",), drugs, n_wanted=3), drugs), DENOVO_MEASURES
    )
    assert [same["Frag"], same["Scaf"]] == pytest.approx([1, 1])
    for name in ("logP", "QED", "SA", "weight"):
        assert same[f"{name} distance"] == 0.0
    # A rhodanine that reacts with all sorts of proteins, and an oil.
    other = ("O=C1NC(=S)SC1=Cc1ccccc1", "CCCCCCCCCC")
    found = scores(
        generation_answers(GenerationCase(("CCO",), drugs, n_wanted=2), other), DENOVO_MEASURES
    )
    assert found["Frag"] < 0.1
    assert found["Scaf"] == 0.0
    assert found["no PAINS"] == 0.5
    mass = PROPERTIES["weight"]
    weights = [mass(Chem.MolFromSmiles(one)) for one in (*drugs, *other)]
    assert weights[-1] == pytest.approx(142.28, abs=0.01)  # decane
    assert found["weight distance"] == pytest.approx(wasserstein_distance(weights[3:], weights[:3]))


def test_nothing_valid_gives_no_scores_but_validity() -> None:
    case = GenerationCase(("CCO",), ("CCCO",), n_wanted=2)
    found = scores(generation_answers(case, ["C1", ""]), DENOVO_MEASURES)
    assert found["valid"] == 0.0
    assert math.isnan(found["unique"])
    assert math.isnan(found["FCD"])
    assert math.isnan(found["Frag"])
    assert math.isnan(found["logP distance"])


def test_counting_tokens_writes_strings_like_those_it_saw() -> None:
    case = GenerationCase(("CCO", "CCCO", "CCCCO", "CCN", "CCCN"), ("CCCCN",), n_wanted=30)
    answers = Markov(order=2)(case, replace(NO_BASE, seed=3))
    assert scores(answers, DENOVO_MEASURES)["valid"] == 1.0
    assert set("".join(answers["answer"])) <= set("CON")
    same = Markov(order=2)(case, replace(NO_BASE, seed=3))
    assert same["answer"].tolist() == answers["answer"].tolist()


def test_copies_are_perfect_in_all_but_novelty() -> None:
    case = GenerationCase(("CCO", "CCCO", "CCN"), ("CCCCN",), n_wanted=4)
    found = scores(copies(case, NO_BASE), DENOVO_MEASURES)
    assert (found["valid"], found["novel"]) == (1.0, 0.0)


# Answers that are generated.

TINY = TranslationConfig(max_steps=2, row_length=96, n_rows=2, is_bfloat16=False)
NARROW = BeamConfig(n_beams=2, most_tokens=12)


def test_a_base_without_heads_can_be_taught_and_not_asked_as_it_is() -> None:
    context = Context(lambda: load_base("untrained-tiny"))
    translator = Translator("molecule", "molecule", TINY, NARROW)
    answers = Translated(translator)(amides().cut(6, 2, 0), context)
    assert answers.attrs["chosen"] == NEW_HEADS
    assert len(answers) == 2
    with pytest.raises(InputError, match="the base has no heads"):
        Generated(Translator("molecule", "text", TINY, NARROW), is_taught=False)(
            described(), context
        )


# All of it on the real data.


@pytest.fixture(scope="module")
def source() -> FolderSource:
    return FolderSource([Path(os.environ["KAGAKU_DATA"]).expanduser().resolve()])


@pytest.mark.benchmark_data
def test_scores_in_the_code_are_those_of_the_published_table(source: FolderSource) -> None:
    table = frame(source, "molecules/moleculeace/MoleculeACE_results.csv")
    names = table["algorithm"] + " " + table["descriptor"]
    rows = table.set_index(table["dataset"] + " " + names)
    assert set(SCORES) == set(table["dataset"])
    assert len(MODELS) == len(ROWS)
    for target, values in SCORES.items():
        for (algorithm, descriptor), (rmse, on_cliffs) in zip(ROWS.items(), values, strict=True):
            row = rows.loc[f"{target} {algorithm} {descriptor}"]
            assert rmse == pytest.approx(row["rmse"], abs=6e-4)
            assert on_cliffs == pytest.approx(row["cliff_rmse"], abs=6e-4)


@pytest.fixture(scope="module")
def base() -> BaseUse:
    return BaseUse(lambda: load_base(None), lambda: load_pretrained(weights_folder(None)))


FIRST, *OTHER_TARGETS = ALL_TARGETS.members.values()


def methods_tried(task: Task) -> tuple[str, ...]:
    """Return the default methods, and those that are taught pairs.

    What all tasks of records share is tried on one of them.
    """
    if task.name in OTHER_TARGETS:
        return ("constant",)
    taught = [one for one in ("translation", "translation-respelt") if one in task.methods]
    tried = dict.fromkeys((*task.default, *taught))
    return tuple(one for one in tried if one != "auto" or task.name == FIRST)


class BriefData(TranslationData):
    """Pairs that are taught in two small steps."""

    def __init__(self, given: Any, wanted: Any, pairs: Any, config: Any, respell: Any) -> None:
        brief = replace(config, max_steps=2, n_rows=min(config.n_rows, 6))
        super().__init__(given, wanted, pairs, brief, respell)


def brief_search(
    network: Any, modality: str, prefixes: Any, config: BeamConfig, **how: Any
) -> list[list[Found]]:
    """Return what a search finds within a few tokens."""
    brief = replace(config, most_tokens=min(config.most_tokens, 40))
    return beam_search(network, modality, prefixes, brief, **how)


def every_tenth_reaction(source: FolderSource) -> Source:
    """Return a source whose files of reactions have every tenth line: reading all takes long."""

    def read(key: str) -> bytes:
        content = source(key)
        if key in REACTION_FILES:
            return b"\n".join(content.splitlines()[::10])
        return content

    return read


@pytest.mark.benchmark_data
@pytest.mark.parametrize("name", OWN)
def test_a_question_is_answered_end_to_end(
    name: str,
    source: FolderSource,
    base: BaseUse,
    tmp_path: Path,
    quickly: Callable[[], ExitStack],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("kagaku.science_tasks.translating.TranslationData", BriefData)
    monkeypatch.setattr("kagaku.science_tasks.translating.beam_search", brief_search)
    task = TASKS[name]
    splits = {"buchwald-hartwig": ("FullCV_01",), "buchwald-hartwig-additives": ("Test1", "Test4")}
    plan = Plan(methods_tried(task), splits.get(name, ()), quick=Quick(24, 4))
    with quickly():
        results = list(run_task(task, every_tenth_reaction(source), base, plan, tmp_path))
    assert {one.method for one in results} == set(methods_tried(task))
    for one in results:
        check_scores(task, one)


def check_scores(task: Task, result: Result) -> None:
    assert result.n_dropped < 10, task.name
    value = task.leading.of(result.answers)
    assert math.isfinite(value) or task.leading.name == "FCD", (task.name, result.method)
    for measure in task.measures:
        if measure.name in {"top-1", "top-10", "valid", "validity", "hits@10", "ROUGE-L"}:
            assert 0 <= measure.of(result.answers) <= 1


def first_compounds(source: FolderSource, number: int) -> Source:
    """Return a source whose tables and splits have the first rows only: HIV has 41,000."""

    def read(key: str) -> bytes:
        content = source(key)
        if key.endswith(".csv"):
            return pd.read_csv(BytesIO(content)).head(number).to_csv(index=False).encode()
        splits = json.loads(content)
        return json.dumps(
            {
                name: {part: [one for one in rows if one < number] for part, rows in parts.items()}
                for name, parts in splits.items()
            }
        ).encode()

    return read


@pytest.mark.benchmark_data
@pytest.mark.parametrize(
    "name", ["esol", "lipophilicity", "bace", "clintox", "sider", "tox21", "hiv"]
)
def test_a_set_of_moleculenet_is_answered_end_to_end(
    name: str,
    source: FolderSource,
    base: BaseUse,
    tmp_path: Path,
    quickly: Callable[[], ExitStack],
) -> None:
    task = TASKS[name]
    # With several labels, each has to have both of its classes among the few that are asked.
    n_train, n_test = (24, 10) if name in {"esol", "lipophilicity"} else (80, 60)
    files = first_compounds(source, 1_500)
    # `auto` on several labels is tried on the set that has the fewest.
    methods = tuple(one for one in task.default if one != "auto" or name in {"bace", "clintox"})
    plan = Plan(methods, (next(iter(task.load(files))),), quick=Quick(n_train, n_test))
    with quickly():
        results = list(run_task(task, files, base, plan, tmp_path))
    assert {one.method for one in results} == set(methods)
    for one in results:
        check_scores(task, one)
