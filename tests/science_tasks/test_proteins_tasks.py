"""Questions about proteins: parsers, measures by hand, methods on made data, and the real tasks."""

import io
import json
import os
import zipfile
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.stats import spearmanr

from kagaku.bases import UNTRAINED, load_base, weights_folder
from kagaku.data.catalogue import FolderSource, Source
from kagaku.data.catalogue.own_files import NotBroughtError
from kagaku.errors import InputError
from kagaku.modalities import pack
from kagaku.models.pretraining.stored import Pretrained, load_pretrained
from kagaku.science_tasks.benchmark.base_use import BaseUse
from kagaku.science_tasks.benchmark.cases import ITEM, table_case
from kagaku.science_tasks.benchmark.results import Quick
from kagaku.science_tasks.benchmark.running import Plan, run_task
from kagaku.science_tasks.benchmark.task import Context, Rows
from kagaku.science_tasks.proteins.affinity_measures import (
    concordance_index,
    mean_square_error,
    modified_r2,
)
from kagaku.science_tasks.proteins.affinity_methods import (
    AffinityCase,
    PairProcess,
    additive,
    additive_table,
    nearest,
)
from kagaku.science_tasks.proteins.de_novo import (
    DeNovoCase,
    Generated,
    drawn_pairs,
    drawn_residues,
    remembered,
)
from kagaku.science_tasks.proteins.fitness import GB1, load_gb1
from kagaku.science_tasks.proteins.fitness_methods import (
    FitnessCase,
    SiteProcesses,
    global_epistasis,
    ridge_onehot,
)
from kagaku.science_tasks.proteins.global_epistasis import MutationFeatures
from kagaku.science_tasks.proteins.localisation import TEST, VALID, load_locations
from kagaku.science_tasks.proteins.pair_process import PairSolver, Product, profile_kernel
from kagaku.science_tasks.proteins.proteingym import (
    ASSAYS,
    BROUGHT,
    load_assays,
    read_assay,
)
from kagaku.science_tasks.proteins.residue_labels import (
    BINDING,
    STRUCTURE,
    binding_answers,
    load_binding,
    load_structure,
    structure_answers,
)
from kagaku.science_tasks.proteins.residue_measures import (
    best_threshold,
    counted,
    f1_of_class,
    flagged,
    macro_f1_of,
    mcc_of_class,
    mean_f1_of_proteins,
)
from kagaku.science_tasks.proteins.residue_methods import (
    Propensities,
    labels_of,
    window_methods,
    windows,
)
from kagaku.science_tasks.proteins.residue_scales import STANDARD
from kagaku.science_tasks.proteins.sequence_statistics import (
    Neighbours,
    divergence,
    fold_index,
    local_variety,
    profile_distance,
)
from kagaku.science_tasks.proteins.site_process import SiteProcess, SiteProcessConfig, transformed
from kagaku.science_tasks.proteins.variant_scores import (
    MaskedMarginals,
    hydropathy_scores,
    language_scorer,
    substitution_scores,
    window_start,
)
from kagaku.science_tasks.proteins.variants import align_variants, mutate, parse_variant
from kagaku.science_tasks.tasks import TASKS

WILD_TYPE = "MKTAYIAKQR"


def nothing(*_: Any) -> Any:
    raise AssertionError("this method needs no weights")


CONTEXT = Context(nothing)


# Variants


def test_a_variant_is_read_in_every_usual_spelling() -> None:
    for text in ("K2C:T3*", "K2C,T3_", " K2C T3* ", "K2C;T3*:A4=:Y5Y"):
        assert [(one.before, one.position, one.after) for one in parse_variant(text)] == [
            ("K", 2, "C"),
            ("T", 3, "*"),
        ]
    assert parse_variant("WT") == parse_variant("") == ()


def test_what_is_no_substitution_is_refused_with_the_part() -> None:
    with pytest.raises(InputError, match=r"variant 'K2C:23': '23' is no substitution"):
        parse_variant("K2C:23")


def test_a_stop_becomes_an_unknown_residue_and_keeps_the_length() -> None:
    assert mutate(WILD_TYPE, parse_variant("K2C:A7*")) == "MCTAYIXKQR"
    assert mutate(WILD_TYPE, parse_variant("K11C"), first=10) == "MCTAYIAKQR"


@pytest.mark.parametrize(
    ("variant", "text"),
    [
        ("K11C", "position 11 lies outside the wild type, which has residues 1 to 10"),
        ("K3C", "the wild type has T at position 3, not K"),
    ],
)
def test_a_mutation_that_does_not_fit_is_refused(variant: str, text: str) -> None:
    with pytest.raises(InputError, match=text):
        mutate(WILD_TYPE, parse_variant(variant))


def test_an_alignment_keeps_the_positions_that_differ_and_the_commonest_residue() -> None:
    aligned = align_variants(["MKT", "MKA", "MCT", "MKT"], np.array([0, 1, 3]))
    assert aligned.positions.tolist() == [1, 2]
    assert "".join(STANDARD[one] for one in aligned.consensus) == "KT"
    assert aligned.changed.sum(axis=1).tolist() == [0, 1, 1, 0]
    with pytest.raises(InputError, match="the variants have 2 lengths, from 2 to 3"):
        align_variants(["MKT", "MK"], np.array([0]))


# Fitness


def four_sites(n_variants: int, seed: int = 0) -> tuple[list[str], np.ndarray, np.ndarray]:
    """Return variants of four sites, their hidden sums and how many mutations they have."""
    rng = np.random.default_rng(seed)
    effects = rng.normal(-1.0, 1.0, (4, 20))
    wild = np.zeros(4, dtype=int)
    effects[np.arange(4), wild] = 0.0
    codes = np.where(rng.random((n_variants, 4)) < 0.5, rng.integers(0, 20, (n_variants, 4)), wild)
    sequences = ["M" + "".join(STANDARD[i] for i in row) + "K" for row in codes]
    return sequences, effects[np.arange(4), codes].sum(axis=1), (codes != wild).sum(axis=1)


def fitness_case(n_variants: int = 300, **more: Any) -> FitnessCase:
    sequences, hidden, n_mutations = four_sites(n_variants)
    table = pd.DataFrame({"sequence": sequences, "fitness": np.exp(hidden)})
    few = n_mutations <= 2
    rows = Rows(np.flatnonzero(few), np.flatnonzero(~few))
    case = table_case(table, ["sequence: protein"], "fitness [dimensionless]: regression", rows)
    return FitnessCase(**{one: getattr(case, one) for one in case.__dataclass_fields__}, **more)


def spearman(frame: pd.DataFrame) -> float:
    return float(spearmanr(frame["truth"], frame["given"]).statistic)


def test_a_cut_case_still_knows_how_its_split_shifts() -> None:
    case: Any = fitness_case(shift="order").cut(20, 10, seed=0)
    assert (case.n_train, case.n_test, case.shift) == (20, 10, "order")


def test_site_processes_see_the_product_that_ridge_does_not() -> None:
    case = fitness_case(shift="order")
    methods = SiteProcesses(orders=(1, 2), transforms=("none", "log"))
    found = methods(case, CONTEXT)
    assert spearman(found) > spearman(ridge_onehot(case, CONTEXT)) > 0.3
    assert "log" in found.attrs["chosen"]
    measured = case.records.targets["fitness"].values[case.rows.train]
    assert found["given"].between(measured.min(), measured.max() + 1e-6).all()


def test_few_variants_leave_nothing_to_choose() -> None:
    case = fitness_case(shift="order").cut(25, 40, seed=0)
    found = SiteProcesses(orders=(1,), transforms=("none", "log"))(case, CONTEXT)
    assert found.attrs["chosen"] == "order 1 none, order 1 log"


def test_global_epistasis_unbends_a_sigmoid() -> None:
    sequences, hidden, _ = four_sites(600)
    bent = 1 / (1 + np.exp(-2 * (hidden + 2)))
    table = pd.DataFrame({"sequence": sequences, "fitness": bent})
    rows = Rows(np.arange(400), np.arange(400, 600))
    case = table_case(table, ["sequence: protein"], "fitness [dimensionless]: regression", rows)
    found, ridge = global_epistasis(case, CONTEXT), ridge_onehot(case, CONTEXT)
    assert spearman(found) > 0.9
    error = [np.square(one["truth"] - one["given"]).mean() for one in (found, ridge)]
    assert error[0] < 0.5 * error[1]


def test_mutation_features_tell_mutation_site_and_kind() -> None:
    consensus = np.array([STANDARD.index("A"), STANDARD.index("K")])
    codes = np.array([[STANDARD.index("A"), STANDARD.index("K")], [STANDARD.index("P"), 20]])
    matrix = MutationFeatures(consensus)(codes).toarray()
    assert not matrix[0].any()
    assert matrix[1, STANDARD.index("P")] == matrix[1, 21 + 20] == 1.0
    assert matrix[1, 42:44].tolist() == [0.5, 0.5]
    assert matrix[1, -1] == 1.0  # two mutations, weighed by a half


def test_a_site_process_returns_what_it_was_told_where_noise_is_small() -> None:
    sequences, hidden, _ = four_sites(120)
    codes = align_variants(sequences, np.arange(120)).codes
    process = SiteProcess(SiteProcessConfig(order=3))
    process.fit(codes, hidden, seed=0)
    assert np.corrcoef(process.predict(codes), hidden)[0, 1] > 0.97


def test_transforms_rise_and_bear_zeros() -> None:
    values = np.array([0.0, 0.0, 0.5, 1.0, 8.0])
    for how in ("none", "log", "rank"):
        changed = transformed(values, how)
        assert (np.diff(changed) >= 0).all()
        assert np.isfinite(changed).all()


def zipped(**files: str) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name, text in files.items():
            archive.writestr(f"splits/{name.replace('__', '.')}", text)
    return stream.getvalue()


@dataclass(frozen=True)
class Lookup:
    """A source of made files."""

    files: Mapping[str, bytes]

    def __call__(self, key: str) -> bytes:
        if key not in self.files:
            raise NotBroughtError(f"{key} is not there")
        return self.files[key]


def only(cases: Mapping[str, Any]) -> Any:
    (case,) = cases.values()
    return case


def test_gb1_is_read_without_the_second_protein_and_with_its_validation_part() -> None:
    domain = "M" * 56
    table = "sequence,target,set,validation\n" + "".join(
        f"{domain[:-1]}{residue}LINKER,{i},{part},{valid}\n"
        for i, (residue, part, valid) in enumerate(
            [("A", "train", ""), ("C", "train", "True"), ("D", "test", "")]
        )
    )
    names = ("one_vs_rest", "two_vs_rest", "three_vs_rest", "low_vs_high", "sampled")
    cases = load_gb1(Lookup({GB1: zipped(**{f"{one}__csv": table for one in names})}))
    case = cases["low_vs_high"]
    assert isinstance(case, FitnessCase)
    assert (case.n_train, case.n_test, case.shift) == (2, 1, "level")
    assert case.rows.valid is None  # joined with training once read
    assert {len(one) for one in case.values("test")["protein"]} == {56}


# Variants without training


def test_substitution_scores_are_worked_out_by_hand() -> None:
    # BLOSUM62: K-K 5, K-R 2, A-A 4, A-W -3.
    scores = substitution_scores(WILD_TYPE, ["K2R", "A4W", "K2R:A4W", ""])
    assert scores.tolist() == [-3.0, -7.0, -10.0, 0.0]
    # Kyte-Doolittle: A 1.8, R -4.5.
    assert hydropathy_scores(WILD_TYPE, ["A4R"]).tolist() == [pytest.approx(-6.3)]
    assert substitution_scores(WILD_TYPE, ["A4*"])[0] < -15


@pytest.fixture(scope="module")
def tiny() -> Pretrained:
    return load_pretrained(weights_folder(None))


def test_masked_marginals_are_those_of_one_hidden_copy_at_a_time(tiny: Pretrained) -> None:
    protein = tiny.modalities["protein"]
    scorer = MaskedMarginals(tiny.network, protein)
    found = scorer(WILD_TYPE, ["K2R", "A4W", "K2R:A4W"])
    hidden = protein.tokenize(WILD_TYPE)
    ids = hidden.ids.copy()
    ids[2] = 2  # the mask, at residue 2, behind the start
    with torch.no_grad():
        packed = pack([{0: ("protein", replace(hidden, ids=ids))}])
        logits = tiny.network.token_logits("masked", "protein", tiny.network.encoder(packed)[2:3])
    code = {residue: 3 + i for i, residue in enumerate("ACDEFGHIKLMNPQRSTVWY")}
    wanted = float(logits[0, code["R"]] - logits[0, code["K"]])
    assert found[0] == pytest.approx(wanted, abs=1e-4)
    assert found[2] == pytest.approx(found[0] + found[1], abs=1e-6)


def test_a_window_holds_the_position_and_stays_inside() -> None:
    for length, position in ((50, 49), (5_000, 0), (5_000, 2_500), (5_000, 4_999)):
        start = window_start(length, position)
        assert 0 <= start <= position < start + 1_022
        assert start == 0 or start + 1_022 <= length


def test_an_encoder_alone_cannot_score_variants() -> None:
    with pytest.raises(InputError, match="the base has no heads"):
        language_scorer(Context(lambda: load_base(UNTRAINED)))


def reference(*assays: str) -> bytes:
    return (
        pd.DataFrame({"DMS_id": assays, "target_seq": WILD_TYPE, "DMS_binarization_cutoff": 0.5})
        .to_csv(index=False)
        .encode()
    )


def assay(*rows: tuple[str, str, float]) -> bytes:
    table = pd.DataFrame(rows, columns=["mutant", "mutated_sequence", "DMS_score"])
    return table.to_csv(index=False).encode()


def test_assays_that_a_user_brings_are_read_and_others_are_left_out() -> None:
    file = assay(("K2R", "MRTAYIAKQR", 0.2), ("A4W:T3S", "MKSWYIAKQR", 0.9))
    source = Lookup({ASSAYS: reference("ONE", "TWO"), f"{BROUGHT}/TWO.csv": file})
    cases = load_assays(source)
    assert list(cases) == ["TWO"]
    task = TASKS["proteingym"]
    found = task.method("blosum62")(cases["TWO"], CONTEXT)
    assert found["is_fit"].tolist() == [False, True]
    assert task.measure("Spearman").of(found) == pytest.approx(-1.0)
    assert task.measure("ROC-AUC").of(found) == 0.0


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (b"mutant,DMS_score\nK2R,1\n", r"columns \['mutated_sequence'\] are missing"),
        (assay(("K2R", "MKTAYIAKQR", 0.2)), "line 2: the sequence of 'K2R' is not the wild type"),
        (assay(("K3R", "MKTAYIAKQR", 0.2)), "line 2: the wild type has T at position 3"),
    ],
)
def test_an_assay_in_another_form_is_refused(content: bytes, text: str) -> None:
    with pytest.raises(InputError, match=text):
        read_assay(content, WILD_TYPE, "ONE")


def test_files_that_users_bring_need_no_checksum_but_must_unpack(tmp_path: Path) -> None:
    folder = tmp_path / BROUGHT
    folder.mkdir(parents=True)
    (folder / "ONE.csv").write_bytes(b"mutant")
    (folder / "TWO.csv.gz").write_bytes(b"no gzip")
    source = FolderSource([tmp_path])
    assert source(f"{BROUGHT}/ONE.csv") == b"mutant"
    with pytest.raises(InputError, match="cannot be unpacked"):
        source(f"{BROUGHT}/TWO.csv")
    with pytest.raises(NotBroughtError, match=r"THREE.csv is neither there nor as \.gz"):
        source(f"{BROUGHT}/THREE.csv")


# Affinity


def test_concordance_counts_every_pair_as_a_slow_count_does() -> None:
    rng = np.random.default_rng(0)
    truth, given = rng.integers(0, 5, 60) * 1.0, rng.integers(0, 6, 60) * 1.0
    right = pairs = 0.0
    for i in range(60):
        for j in range(60):
            if truth[i] > truth[j]:
                pairs += 1
                right += (given[i] > given[j]) + 0.5 * (given[i] == given[j])
    assert concordance_index(truth, given) == pytest.approx(right / pairs, abs=1e-12)
    assert concordance_index(truth, np.zeros(60)) == 0.5
    assert np.isnan(concordance_index(np.zeros(4), np.arange(4.0)))


def test_rm2_and_mse_are_worked_out_by_hand() -> None:
    truth, given = np.array([1.0, 2.0, 3.0]), np.array([1.0, 2.0, 4.0])
    assert mean_square_error(truth, given) == pytest.approx(1 / 3)
    # r2 = 27/28; slope through the origin 17/21, so r02 = 1 - (14 - 17^2/21) / 2.
    r2, r02 = 27 / 28, 1 - (14 - 17**2 / 21) / 2
    assert modified_r2(truth, given) == pytest.approx(r2 * (1 - np.sqrt(abs(r2**2 - r02**2))))
    assert modified_r2(truth, truth) == pytest.approx(1.0)


def pairs_case(seed: int = 0) -> AffinityCase:
    rng = np.random.default_rng(seed)
    smiles = tuple("C" * n + tail for n in range(1, 7) for tail in ("O", "N"))
    families = ["".join(rng.choice(list(STANDARD), 40)) for _ in range(3)]
    sequences = tuple(
        one[:i] + rng.choice(list(STANDARD)) + one[i + 1 :]
        for one in families
        for i in range(0, 40, 8)
    )
    drug = rng.normal(size=(2, 3))[[i % 2 for i in range(len(smiles))]]
    protein = rng.normal(size=(3, 3))[[i // 5 for i in range(len(sequences))]]
    table = 6 + drug @ protein.T + 0.05 * rng.normal(size=(len(smiles), len(sequences)))
    order = rng.permutation(table.size)
    folds = tuple(np.array_split(order[: int(0.8 * table.size)], 5))
    return AffinityCase(smiles, sequences, table, folds, order[int(0.8 * table.size) :])


def test_families_of_drugs_and_proteins_are_learnt_beyond_what_adds_up() -> None:
    case = pairs_case()
    errors = {
        name: mean_square_error(found["truth"].to_numpy(), found["given"].to_numpy())
        for name, found in (
            ("additive", additive(case, CONTEXT)),
            ("nearest", nearest(case, CONTEXT)),
            ("process", PairProcess()(case, CONTEXT)),
        )
    }
    assert errors["process"] < errors["nearest"] < errors["additive"]
    assert errors["process"] < 0.05


def test_no_method_reads_a_cell_that_it_does_not_know() -> None:
    case = pairs_case()
    table = case.table.copy()
    table.ravel()[case.test] = 1e3
    blind = replace(case, table=table)
    for method in (additive, nearest, PairProcess()):
        np.testing.assert_allclose(
            method(case, CONTEXT)["given"], method(blind, CONTEXT)["given"], rtol=1e-9
        )


def test_the_pair_solver_gives_the_mean_of_the_whole_covariance() -> None:
    rng = np.random.default_rng(0)
    drugs, proteins = (one @ one.T for one in (rng.normal(size=(4, 4)), rng.normal(size=(5, 5))))
    known = rng.random((4, 5)) < 0.7
    table = rng.normal(size=(4, 5))
    products = [Product("both", drugs, proteins), Product("drug", np.eye(4), np.ones((5, 5)))]
    found = PairSolver(products, table, known).fill([0.5, 2.0], 0.3, tolerance=1e-10)
    whole = 0.5 * np.kron(drugs, proteins) + 2.0 * np.kron(np.eye(4), np.ones((5, 5)))
    seen, mean, scale = known.ravel(), table[known].mean(), table[known].std()
    inner = whole[np.ix_(seen, seen)] + 0.3 * np.eye(seen.sum())
    wanted = mean + whole[:, seen] @ np.linalg.solve(inner, table[known] - mean)
    np.testing.assert_allclose(found.ravel(), wanted, rtol=1e-6)
    assert scale > 0


def test_a_profile_kernel_is_a_kernel_even_with_rows_that_were_never_measured() -> None:
    rng = np.random.default_rng(0)
    known = rng.random((6, 9)) < 0.6
    known[2] = False
    kernel = profile_kernel(rng.normal(size=(6, 9)), known)
    assert np.linalg.eigvalsh(kernel).min() > -1e-9
    np.testing.assert_allclose(np.diag(kernel), 1.0)


def test_the_additive_table_finds_rows_and_columns() -> None:
    truth = np.arange(40.0)[:, None] + np.arange(60.0)[None, :]
    known: Any = np.random.default_rng(0).random(truth.shape) < 0.8
    off = np.abs(additive_table(truth, known) - truth)
    # Means are shrunk by one measurement's worth: by about 1/33 of 30 and 1/49 of 20.
    assert off.max() < 2.0


def test_a_cut_affinity_case_keeps_its_folds_apart() -> None:
    case = pairs_case().cut(30, 7, seed=0)
    assert case.n_test == 7
    assert 20 <= case.n_train <= 30
    assert len(set(case.train.tolist()) & set(case.test.tolist())) == 0
    assert len(case.values("train")["molecule"]) == case.n_train


# Residues


def test_residue_measures_are_worked_out_by_hand() -> None:
    truth = [np.array([0, 0, 1, -1]), np.array([1, 2])]
    given = [np.array([0, 1, 1, 1]), np.array([1, 1])]
    answers = counted(truth, given, ("a", "b", "c"))
    assert answers["hits"].tolist() == [2, 1]
    assert answers["asked"].tolist() == [3, 2]
    assert f1_of_class("a").of(answers) == pytest.approx(2 / 3)
    assert f1_of_class("b").of(answers) == pytest.approx(4 / 6)
    assert macro_f1_of(("a", "b", "c")).of(answers) == pytest.approx((2 / 3 + 4 / 6 + 0) / 3)
    # b: 2 found, 2 said besides, none missed, 1 rightly left: (2*1 - 2*0) / sqrt(4*2*3*1).
    assert mcc_of_class("b").of(answers) == pytest.approx(2 / np.sqrt(24))
    flags = flagged(
        [np.array([[1], [0]]), np.array([[0]])], [np.array([[1], [1]]), np.array([[0]])], ("x",)
    )
    assert mean_f1_of_proteins("x").of(flags) == pytest.approx(2 / 3)


def test_the_best_border_is_where_f1_is_highest() -> None:
    truth, chance = np.array([1, 0, 1, 0, 0]), np.array([0.4, 0.1, 0.2, 0.2, 0.05])
    assert best_threshold(truth, chance) == 0.2  # 2 of 2 found, 3 said: F1 0.8


def test_windows_never_reach_into_the_next_protein() -> None:
    codes = windows(["AC", "D"])
    assert codes.shape == (3, 17)
    assert codes[0, 8:10].tolist() == [STANDARD.index("A"), STANDARD.index("C")]
    assert codes[1, 9] == codes[2, 7] == 21


def structure_archive(n_proteins: int = 30) -> bytes:
    rng = np.random.default_rng(0)
    sequences, labels, masks = "", "", ""
    for i in range(n_proteins):
        letters = "".join(rng.choice(list("AEVG"), 40))
        states = "".join({"A": "H", "E": "H", "V": "E", "G": "C"}[one] for one in letters)
        part = "SET=test VALIDATION=False" if i % 3 == 0 else f"SET=train VALIDATION={i % 3 == 1}"
        sequences += f">p{i}\n{letters}\n"
        labels += f">p{i} {part}\n{states}\n"
        masks += f">p{i}\n{'0' * 5 + '1' * 35}\n"
    return zipped(sequences__fasta=sequences, sampled__fasta=labels, mask__fasta=masks)


def test_every_window_method_learns_structure_and_unresolved_residues_are_not_asked() -> None:
    case = only(load_structure(Lookup({STRUCTURE: structure_archive()})))
    assert (case.n_train, case.n_test) == (20, 10)
    measure = TASKS["flip-secondary-structure"].leading
    scores = {}
    for name, method in window_methods(structure_answers).items():
        found = method(case, CONTEXT)
        assert found["asked"].tolist() == [35] * 10
        scores[name] = measure.of(found)
    assert scores["constant"] < 0.7
    assert min(scores[one] for one in scores if one != "constant") > 0.95


def test_auto_bears_residues_without_a_label(quickly: Callable[[], ExitStack]) -> None:
    case = only(load_structure(Lookup({STRUCTURE: structure_archive(60)})))
    task = TASKS["flip-secondary-structure"]
    with quickly():
        found = task.method("auto")(case, Context(lambda: load_base(None)))
    assert found["asked"].tolist() == [35] * 20
    assert task.leading.of(found) > 0.9


def test_labels_that_are_longer_than_their_sequence_are_refused() -> None:
    files = zipped(
        sequences__fasta=">p\nMK\n", sampled__fasta=">p SET=test\nHHH\n", mask__fasta=">p\n11\n"
    )
    with pytest.raises(InputError, match="p has 2 residues and 3 labels"):
        load_structure(Lookup({STRUCTURE: files}))


def test_binding_classes_are_bits_and_borders_are_set_where_binding_is_rare() -> None:
    rng = np.random.default_rng(0)
    sequences, labels = "", ""
    for i in range(40):
        letters = "".join(rng.choice(list("AAAAAAAAACGH"), 50))
        part = "SET=test" if i % 4 == 0 else "SET=train"
        classes = "".join({"C": "1", "H": "5", "G": "0", "A": "0"}[one] for one in letters)
        sequences += f">p{i}\n{letters}\n"
        labels += f">p{i} {part} VALIDATION=False\n{classes}\n"
    splits = (
        "from_publication",
        "one_vs_many",
        "two_vs_many",
        "one_vs_sm",
        "one_vs_mn",
        "one_vs_sn",
    )
    archive = zipped(sequences__fasta=sequences, **{f"{one}__fasta": labels for one in splits})
    case: Any = load_binding(Lookup({BINDING: archive}))["one_vs_mn"]
    found = window_methods(binding_answers)["propensities"](case, CONTEXT)
    assert f1_of_class("metal").of(found) > 0.9
    assert f1_of_class("small").of(found) > 0.9
    assert np.isnan(f1_of_class("nucleic").of(found)) or f1_of_class("nucleic").of(found) == 0
    assert f1_of_class("any").of(found) > 0.9
    assert labels_of(case, case.rows.test)[0].max() == 5
    assert found[ITEM].tolist() == [f"p{i}" for i in range(0, 40, 4)]


def test_propensities_of_no_evidence_are_the_shares() -> None:
    model = Propensities()
    codes = np.tile(windows(["A"]), (10, 1))
    model.fit(codes, np.array([0] * 8 + [1] * 2), 2)
    assert model.chances(codes[:1])[0] == pytest.approx([9 / 12, 3 / 12], abs=1e-5)


# Localisation


def test_locations_come_from_headings_and_the_eleventh_class_is_left_out() -> None:
    valid = ">a Cell.membrane-M\nMKT\nAAV\n>b Cytoplasm-Nucleus-U\nMKT\n>c Nucleus-S\nMAA\n"
    test = ">d Nucleus-U test\nMKK\n"
    case = only(load_locations(Lookup({VALID: valid.encode(), TEST: test.encode()})))
    assert (case.n_train, case.n_test) == (2, 1)
    assert case.values("train")["protein"] == ["MKTAAV", "MAA"]
    assert case.target.classes == ("Cell.membrane", "Nucleus")


# New sequences


def test_divergence_and_variety_are_worked_out_by_hand() -> None:
    assert divergence(np.array([1.0, 1.0]), np.array([1.0, 1.0])) == 0.0
    # JS of (1, 0) and (1/2, 1/2): (log2(4/3) + (log2(2/3) + 1) / 2) / 2, with 0 log 0 = 0.
    wanted = (np.log2(4 / 3) + (np.log2(2 / 3) + 1) / 2) / 2
    assert divergence(np.array([3.0, 0.0]), np.array([2.0, 2.0])) == pytest.approx(wanted)
    assert local_variety("A" * 50) == 0.0
    assert local_variety("AC" * 30) == pytest.approx(1.0)
    assert local_variety("") == 0.0


def test_charge_against_hydropathy_tells_a_charged_tail_from_a_core() -> None:
    assert fold_index("VILVAVILLA") > 0 > fold_index("EEKEDEEEDS")
    # A alone: 2.785 * (1.8 + 4.5) / 9 - 1.151.
    assert fold_index("AAA") == pytest.approx(2.785 * 6.3 / 9 - 1.151)


def test_the_nearest_identity_is_the_share_of_the_shorter_sequence() -> None:
    rng = np.random.default_rng(0)
    one, other = ("".join(rng.choice(list(STANDARD), 80)) for _ in range(2))
    neighbours = Neighbours((one, other))
    assert neighbours.identity(one) == 1.0
    half = one[:40] + "".join(rng.choice(list(STANDARD), 40))
    assert 0.5 <= neighbours.identity(half) < 0.65
    assert neighbours.identity("WWWW") == 0.0


def natural_like(number: int, seed: int) -> tuple[str, ...]:
    """Return sequences that differ from each other in composition, as natural ones do."""
    rng = np.random.default_rng(seed)
    return tuple(
        "".join(rng.choice(list(STANDARD), 90, p=rng.dirichlet(np.full(20, 1.5))))
        for _ in range(number)
    )


def de_novo_case() -> DeNovoCase:
    model = Propensities()
    sequences = natural_like(20, 0)
    codes = windows(sequences)
    model.fit(codes, np.arange(len(codes)) % 3, 3)
    return DeNovoCase(natural_like(20, 1), natural_like(20, 2), model)


def test_random_residues_are_told_from_sequences_that_vary() -> None:
    case = de_novo_case()
    task = TASKS["de-novo-proteins"]
    scores = {
        name: {one.name: one.of(method(case, CONTEXT)) for one in task.measures}
        for name, method in (
            ("remembered", remembered), ("residues", drawn_residues), ("pairs", drawn_pairs)
        )
    }  # fmt: skip
    assert scores["remembered"]["nearest identity"] == 1.0
    # Resampled sets repeat sequences, so they are farther off than the set that was asked.
    of_sets = [one.name for one in task.measures if one.is_of_set]
    assert of_sets == ["profile distance", "pair divergence", "residue divergence"]
    assert scores["residues"]["nearest identity"] < 0.5
    assert scores["remembered"]["variety gap"] < scores["residues"]["variety gap"]
    assert all(np.isfinite(list(one.values())).all() for one in scores.values())


def test_the_base_writes_as_many_sequences_as_are_asked(tiny: Pretrained) -> None:
    case = de_novo_case().cut(20, 3, seed=0)
    found = Generated(longest=20)(case, Context(nothing, pretrained=lambda: tiny))
    assert len(found) == 3
    assert set("".join(found["sequence"])) <= set("ACDEFGHIKLMNPQRSTVWYUOBZJX")
    with pytest.raises(InputError, match="the base has no heads"):
        Generated()(case, CONTEXT)


def test_the_profile_distance_sees_that_natural_sequences_differ_from_each_other() -> None:
    rng = np.random.default_rng(0)
    pooled = ["".join(rng.choice(list(STANDARD), 90)) for _ in range(300)]
    natural, other = list(natural_like(300, 1)), list(natural_like(300, 2))
    assert profile_distance(other, natural) < 0.5 * profile_distance(pooled, natural)


def test_the_profile_distance_is_0_for_the_same_and_not_defined_for_one() -> None:
    sequences = list(natural_like(30, 0))
    assert profile_distance(sequences, sequences) == pytest.approx(0.0, abs=1e-6)
    assert np.isnan(profile_distance(sequences[:1], sequences))


# All tasks


def test_every_task_of_the_domain_is_registered_with_its_plain_baselines() -> None:
    tasks = {one.name: one for one in TASKS.chosen("proteins")}
    assert set(tasks) == {
        "avgfp", "avgfp-few", "avgfp-shifted", "beta-lactamase", "davis", "davis-new-drugs",
        "davis-new-proteins", "de-novo-proteins", "deeploc", "flip-binding", "flip-gb1",
        "flip-secondary-structure", "pab1", "pab1-few", "pab1-shifted", "proteingym",
    }  # fmt: skip
    for task in tasks.values():
        assert task.baselines, task.name
        assert task.traps, task.name
        for one in task.published:
            assert one.source.startswith("https://"), task.name


@pytest.mark.benchmark_data
@pytest.mark.parametrize("name", [one.name for one in TASKS.chosen("proteins")])
def test_every_task_runs_on_its_real_data(
    name: str, quickly: Callable[[], ExitStack], tiny: Pretrained, tmp_path: Path
) -> None:
    source = FolderSource([Path(os.environ["KAGAKU_DATA"]).expanduser().resolve()])
    base = BaseUse(lambda: load_base(None), lambda: tiny)
    task = replace(TASKS[name], load=partial(first_of, TASKS[name].load))
    plan = Plan(quick=Quick(n_train=100, n_test=30))
    with quickly():
        results = list(run_task(task, source, base, plan, tmp_path))
    scores = {one.method: task.leading.of(one.answers) for one in results}
    assert set(scores) == set(task.default)
    for method, score in scores.items():
        constant = method in {"constant", "mutation-count"}
        assert constant or np.isfinite(score), method
    if name == "davis":
        # Of 68 drugs and 442 proteins a hundred pairs tell nothing, so two thousand are asked.
        plan = Plan(methods=("constant", "additive"), quick=Quick(2_000, 200))
        same, better = run_task(task, source, base, plan, tmp_path / "davis")
        assert task.leading.of(better.answers) < task.leading.of(same.answers)
    if name.startswith("flip-s"):
        assert scores["propensities"] > scores["constant"]
    for one in task.all_published(source):
        assert np.isfinite(one.value)


def first_of(load: Callable[[Source], Mapping[str, Any]], source: Source) -> dict[str, Any]:
    cases = load(source)
    name = next(iter(cases))
    return {name: cases[name]}


@pytest.mark.benchmark_data
@pytest.mark.parametrize(
    "name", ["avgfp-few", "avgfp-shifted", "flip-binding", "flip-gb1", "pab1-few", "pab1-shifted"]
)
def test_splits_that_ask_for_the_same_items_name_them(name: str) -> None:
    """An interval that took such items for different ones would be too narrow."""
    source = FolderSource([Path(os.environ["KAGAKU_DATA"]).expanduser().resolve()])
    task = TASKS[name]
    cases: Mapping[str, Any] = task.load(source)
    asked = [one.extra[ITEM][one.rows.test].tolist() for one in cases.values()]
    distinct = {item for one in asked for item in one}
    assert len(distinct) < sum(map(len, asked))
    assert task.group == ITEM


@pytest.mark.benchmark_data
def test_ridge_on_gb1_is_what_flip_published() -> None:
    source = FolderSource([Path(os.environ["KAGAKU_DATA"]).expanduser().resolve()])
    task = TASKS["flip-gb1"]
    published = {one.split: one.value for one in task.published if one.model.startswith("ridge")}
    cases: Mapping[str, Any] = load_gb1(source)
    for name, case in cases.items():
        found = task.leading.of(ridge_onehot(case, CONTEXT))
        if name in published:
            assert found == pytest.approx(published[name], abs=0.006), name
    assert json.dumps(sorted(published)) == json.dumps(
        ["low_vs_high", "one_vs_rest", "three_vs_rest", "two_vs_rest"]
    )
