"""Retrosynthesis by edits: atoms aligned, edits found and done elsewhere, places ranked."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from rdkit import Chem

from kagaku.bases import load_base
from kagaku.modalities import MODALITIES
from kagaku.models import Encoder
from kagaku.models.embedding import token_states
from kagaku.models.pretraining.optimisers import OptimiserConfig
from kagaku.science_tasks.benchmark.task import Context
from kagaku.science_tasks.chemistry.cuts import read
from kagaku.science_tasks.chemistry.reactions import Edited, ReactionCase, read_reactions
from kagaku.science_tasks.chemistry.retrosynthesis.applying import applied
from kagaku.science_tasks.chemistry.retrosynthesis.edits import (
    INVERSION,
    LOSS,
    RETENTION,
    UNSEEN,
    Edit,
    Pattern,
)
from kagaku.science_tasks.chemistry.retrosynthesis.finding import edit_between
from kagaku.science_tasks.chemistry.retrosynthesis.mapping import Environments, atom_maps
from kagaku.science_tasks.chemistry.retrosynthesis.planner import (
    FORWARD,
    Planner,
    PlannerConfig,
    explained,
)
from kagaku.science_tasks.chemistry.retrosynthesis.ranking import (
    EditRanker,
    Lesson,
    RankedMolecule,
    RankingConfig,
    site_batch,
    train_ranker,
)
from kagaku.science_tasks.chemistry.retrosynthesis.sites import SiteFinder, atom_tokens
from kagaku.science_tasks.parallel import over

QUICK = PlannerConfig(
    ranking=RankingConfig(
        width=32,
        environment_width=16,
        environments=256,
        epochs=30,
        batch=8,
        optimiser=OptimiserConfig(name="adamw", learning_rate=5e-3, warmup_steps=3),
    )
)


def canonical(smiles: str) -> str:
    return str(Chem.MolToSmiles(molecule(smiles)))


def molecule(smiles: str) -> Chem.Mol:
    found = read(smiles)
    assert found is not None, smiles
    return found


def edit_of(product: str, reactants: str) -> tuple[Edit, tuple[int, ...]]:
    sides = molecule(product), molecule(reactants)
    found = next(
        (own for own in (edit_between(*sides, one) for one in atom_maps(*sides)) if own), None
    )
    assert found is not None, (product, reactants)
    return found


# Which atom became which.


@pytest.mark.parametrize(
    ("product", "reactants", "n_changed"),
    [
        ("CC(=O)NCc1ccccc1", "CC(=O)O.NCc1ccccc1", 1),
        ("COC(=O)c1ccc(Nc2ccccc2)cc1", "COC(=O)c1ccc(Br)cc1.Nc1ccccc1", 1),
        ("c1ccc(Cn2ccc3ccccc32)cc1", "ClCc1ccccc1.c1ccc2[nH]ccc2c1", 1),
        ("C1=CCCCC1", "C=CC=C.C=C", 6),
        # Both ends of a symmetric ring look alike; it must be followed around one way.
        ("O=C(c1ccccc1)N1CCNCC1", "CC(C)(C)OC(=O)N1CCN(C(=O)c2ccccc2)CC1", 0),
        ("CCOC(=O)c1ccc(C#Cc2ccccc2C)cc1", "C#Cc1ccccc1C.CCOC(=O)c1ccc(I)cc1", 1),
    ],
)
def test_atoms_are_paired_so_that_few_bonds_change(
    product: str, reactants: str, n_changed: int
) -> None:
    sides = molecule(product), molecule(reactants)
    pairs = next(atom_maps(*sides))
    assert len(set(pairs)) == sides[0].GetNumAtoms()
    for here, there in enumerate(pairs):
        atoms = sides[0].GetAtomWithIdx(here), sides[1].GetAtomWithIdx(there)
        assert atoms[0].GetAtomicNum() == atoms[1].GetAtomicNum()
    before, after = (Environments(side).neighbours for side in sides)
    changed = sum(
        atom < other and (pairs[other], kind) not in after[pairs[atom]]
        for atom, beside in enumerate(before)
        for other, kind in beside
    )
    assert changed == n_changed


def test_an_atom_that_came_from_nowhere_leaves_no_pairing() -> None:
    assert list(atom_maps(molecule("CCBr"), molecule("CCO"))) == []


def test_environments_tell_atoms_apart_as_far_as_they_reach() -> None:
    around = Environments(molecule("CCCCO"))
    assert around.layers[0][0] == around.layers[0][1]
    assert around.layers[1][1] == around.layers[1][2] != around.layers[1][3]
    assert around.layers[2][1] != around.layers[2][2]
    assert around.other_elements(3) == 1


# What a reaction did.


@pytest.mark.parametrize(
    ("product", "reactants", "groups", "n_atoms"),
    [
        ("CC(=O)NCc1ccccc1", "CC(=O)O.NCc1ccccc1", "O[*:1]", 2),
        ("NCCc1ccccc1", "CC(C)(C)OC(=O)NCCc1ccccc1", "CC(C)(C)OC(=O)[*:1]", 1),
        ("CNCc1ccccc1", "CN.O=Cc1ccccc1", "O=[*:1]", 2),  # reductive amination
        ("Nc1ccccc1", "O=[N+]([O-])c1ccccc1", "O=[*:1].[O-][*:1]", 1),
        ("c1ccc(-c2ccncc2)cc1", "Brc1ccncc1.OB(O)c1ccccc1", "Br[*:1].OB(O)[*:2]", 2),
        ("CC(O)c1ccccc1", "CC(=O)c1ccccc1", "", 2),  # reduction changes a bond, adds nothing
        ("C1=CCCCC1", "C=CC=C.C=C", "", 6),  # a ring closure
    ],
)
def test_an_edit_gives_the_reactants_back(
    product: str, reactants: str, groups: str, n_atoms: int
) -> None:
    edit, atoms = edit_of(product, reactants)
    assert len(edit.atoms) == len(atoms) == n_atoms
    assert applied(edit, molecule(product), atoms) == canonical(reactants)
    assert edit.groups == groups


def test_one_edit_is_written_in_one_way_whatever_the_molecule() -> None:
    edits = {
        edit_of(f"{acyl}C(=O)N{amine}", f"{acyl}C(=O)O.N{amine}")[0]
        for acyl in ("C", "CCC", "c1ccccc1", "FC(F)(F)C")
        for amine in ("C", "C(C)C", "c1ccccc1")
    }
    assert len(edits) == 1
    (amide,) = edits
    assert amide.pattern == Pattern(((6, False, 0, 0), (7, False, 0, 0)), ((0, 1, 1),))


def test_an_edit_does_elsewhere_what_it_did() -> None:
    amide, _ = edit_of("CC(=O)NC", "CC(=O)O.CN")
    other = molecule("O=C(Nc1ccncc1)C1CC1")
    assert applied(amide, other, (1, 2)) == canonical("O=C(O)C1CC1.Nc1ccncc1")
    boc, _ = edit_of("NCC", "CC(C)(C)OC(=O)NCC")
    assert boc.pattern.atoms[0][3] == 1  # it needs a hydrogen to take
    assert applied(boc, molecule("CN(C)C"), (1,)) is None


@pytest.mark.parametrize(
    ("product", "reactants", "stereo"),
    [
        ("C[C@H](NC(C)=O)c1ccccc1", "CC(=O)O.C[C@H](N)c1ccccc1", UNSEEN),
        ("C[C@@H](NC(C)=O)c1ccccc1", "CC(=O)O.C[C@@H](N)c1ccccc1", UNSEEN),
        # An amino acid is freed of its ester, far from the centre.
        ("N[C@@H](C)C(=O)O", "N[C@@H](C)C(=O)OC", UNSEEN),
        # The centre itself loses a substituent: with and without inversion, or with the centre.
        ("C[C@@H](CC)Oc1ccccc1", "C[C@@H](CC)Br.Oc1ccccc1", RETENTION),
        ("C[C@@H](CC)Oc1ccccc1", "C[C@H](CC)O.Oc1ccccc1", INVERSION),
        ("C[C@@H](CC)Oc1ccccc1", "CC(CC)Br.Oc1ccccc1", LOSS),
        # A hydrogen takes the place of what was there.
        ("C[C@H](CC)c1ccccc1", "C[C@](O)(CC)c1ccccc1", RETENTION),
    ],
)
def test_handedness_is_kept_turned_or_lost_as_it_was(
    product: str, reactants: str, stereo: str
) -> None:
    edit, atoms = edit_of(product, reactants)
    assert applied(edit, molecule(product), atoms) == canonical(reactants)
    assert edit.stereo == stereo
    # The mirror image of the product gives the mirror image of the reactants.
    mirrored = molecule(product.replace("@@", "x").replace("@", "@@").replace("x", "@"))
    wanted = canonical(reactants.replace("@@", "x").replace("@", "@@").replace("x", "@"))
    assert applied(edit, mirrored, atoms) == wanted


@pytest.mark.parametrize(
    ("product", "reactants"),
    [
        # What is put on has a centre at its own end: menthyl and a tertiary ester.
        ("CCC(=O)O", "CCC(=O)O[C@@H]1C[C@H](C)CC[C@H]1C(C)C"),
        ("CC(=O)O", "CC(=O)O[C@](C)(Cl)Br"),
        # What is put on a double bond stands where the other was.
        ("C/C=C/c1ccccc1", "C/C=C/B(O)O.Brc1ccccc1"),
        ("C/C=C\\c1ccccc1", "C/C=C\\B(O)O.Brc1ccccc1"),
        ("C/C(=C\\C)c1ccccc1", "C/C(=C\\C)B(O)O.Brc1ccccc1"),
    ],
)
def test_stereo_beside_what_changes_is_as_it_was(product: str, reactants: str) -> None:
    edit, atoms = edit_of(product, reactants)
    assert applied(edit, molecule(product), atoms) == canonical(reactants)


def test_an_edit_seen_at_no_centre_inverts_one_and_keeps_it_beside_hydrogens() -> None:
    ether, _ = edit_of("CCCOc1ccccc1", "CCCO.Oc1ccccc1")
    assert ether.stereo == UNSEEN
    butyl = molecule("C[C@@H](CC)Oc1ccccc1")
    assert applied(ether, butyl, (1, 4)) == canonical("C[C@H](CC)O.Oc1ccccc1")
    boc, _ = edit_of("CCN", "CC(C)(C)OC(=O)NCC")
    # A hydrogen that is written as an atom can be taken like any other; a deuterium stays.
    assert applied(boc, molecule("[H]/N=C(\\C)c1ccccc1"), (1,)) is not None
    assert applied(boc, molecule("[2H]N(C)C"), (1,)) is None
    chiral = molecule("C[C@H](N)CC")
    assert applied(boc, chiral, (2,)) == canonical("C[C@H](NC(=O)OC(C)(C)C)CC")


def test_the_order_of_atoms_does_not_matter() -> None:
    product, reactants = "C[C@@H](CC)Oc1ccccc1", "C[C@H](CC)O.Oc1ccccc1"
    edit, atoms = edit_of(product, reactants)
    own, rng = molecule(product), np.random.default_rng(0)
    for _ in range(20):
        order = rng.permutation(own.GetNumAtoms()).tolist()
        other = Chem.RenumberAtoms(own, order)
        site = [order.index(atom) for atom in atoms]
        assert applied(edit, other, site) == canonical(reactants)


def test_atoms_of_no_element_and_numbers_are_left_alone() -> None:
    for product, reactants in [
        ("CC(=O)NC", "CC(=O)O[*:5].CN"),
        ("[CH3:1]C(=O)NC", "[CH3:1]C(=O)O.CN"),
    ]:
        sides = molecule(product), molecule(reactants)
        assert all(edit_between(*sides, pairs) is None for pairs in atom_maps(*sides))
    amide, _ = edit_of("CC(=O)NC", "CC(=O)O.CN")
    assert applied(amide, molecule("*.CNC(C)=O"), (3, 2)) == canonical("*.CC(=O)O.CN")


def test_many_alike_atoms_cost_neither_time_nor_memory() -> None:
    ring = molecule("C1CCCCCCCCC1"), molecule("C1=CC=CC=CC=CC=C1")
    edit = edit_between(*ring, list(range(10)))
    assert edit is not None
    assert len(edit[0].atoms) == 10


def test_what_gives_no_molecule_and_what_changes_too_much_is_no_edit() -> None:
    broken = Edit(edit_of("CC(=O)NC", "CC(=O)O.CN")[0].atoms, (), "O=[*:1]")
    assert applied(broken, molecule("CC(=O)NC"), (1, 3)) is None
    nothing = molecule("CCO"), molecule("CCO")
    assert edit_between(*nothing, [0, 1, 2]) is None
    far = molecule("C1CCCCCCCCCCC1"), molecule("C=CC=CC=CC=CC=CC=C")
    assert edit_between(*far, list(range(12))) is None


# The same read forwards.


def edit_forward(product: str, reactants: str) -> tuple[Edit, tuple[int, ...]]:
    found = explained((reactants, product), direction=FORWARD)
    assert found is not None, (product, reactants)
    return found


@pytest.mark.parametrize(
    ("product", "reactants", "n_atoms", "n_lost"),
    [
        ("CC(=O)NCc1ccccc1", "CC(=O)O.NCc1ccccc1", 3, 1),
        ("NCCc1ccccc1", "CC(C)(C)OC(=O)NCCc1ccccc1", 2, 1),  # all of the group goes
        ("CNCc1ccccc1", "CN.O=Cc1ccccc1", 3, 1),
        ("Nc1ccccc1", "O=[N+]([O-])c1ccccc1", 3, 2),
        ("c1ccc(-c2ccncc2)cc1", "Brc1ccncc1.OB(O)c1ccccc1", 4, 2),
        ("CC(O)c1ccccc1", "CC(=O)c1ccccc1", 2, 0),
        ("C1=CCCCC1", "C=CC=C.C=C", 6, 0),
        # A group that hangs on its atom by two bonds.
        ("NCc1ccccc1", "O=C1c2ccccc2C(=O)N1Cc1ccccc1", 3, 2),
        # A solvent that took no part.
        ("CC(=O)NCc1ccccc1", "CC(=O)O.CCOCC.NCc1ccccc1", 3, 1),
        # A centre is turned around, another one is far away.
        ("C[C@@H](CC)Oc1ccccc1", "C[C@H](CC)O.Oc1ccccc1", 3, 1),
        ("C[C@H](NC(C)=O)c1ccccc1", "CC(=O)O.C[C@H](N)c1ccccc1", 3, 1),
    ],
)
def test_an_edit_read_forwards_gives_the_product(
    product: str, reactants: str, n_atoms: int, n_lost: int
) -> None:
    edit, atoms = edit_forward(product, reactants)
    assert len(edit.atoms) == len(atoms) == n_atoms
    assert sum(one.is_lost for one in edit.atoms) == n_lost
    assert applied(edit, molecule(reactants), atoms) == canonical(product)


def test_what_took_no_part_is_let_go_also_where_nothing_is_lost() -> None:
    reduced, atoms = edit_forward("CCc1ccccc1", "C=Cc1ccccc1")
    assert edit_forward("CCc1ccccc1", "C=Cc1ccccc1.CO")[0] == reduced
    assert applied(reduced, molecule("C=Cc1ccccc1.CO"), atoms) == canonical("CCc1ccccc1")


def test_what_is_lost_goes_elsewhere_too_unless_it_is_bonded_to_what_stays() -> None:
    amide, _ = edit_forward("CC(=O)NC", "CC(=O)O.CN")
    other = molecule("NC1CC1.O=C(OCC)c1ccncc1")
    site = other.GetSubstructMatch(Chem.MolFromSmarts("C(=O)O"))
    assert applied(amide, other, (site[0], 0, site[2])) == canonical("O=C(NC1CC1)c1ccncc1")
    lactone = molecule("NCC1CCC(=O)O1")
    site = lactone.GetSubstructMatch(Chem.MolFromSmarts("C(=O)O"))
    assert applied(amide, lactone, (site[0], 0, site[2])) is None


# Where it can be done.


def test_places_that_symmetry_makes_equal_are_found_once() -> None:
    finder = SiteFinder([edit_of("CC(=O)NC", "CC(=O)O.CN")[0].pattern])
    sites = finder.find("CNC(=O)CC(=O)NC")
    assert sorted(sites.atoms_of(one) for one in range(len(sites.patterns))) == [(0, 1), (2, 1)]
    assert finder.place("CNC(=O)CC(=O)NC", sites, finder.patterns[0], (5, 7)) >= 0
    assert finder.place("CNC(=O)CC(=O)NC", sites, finder.patterns[0], (4, 5)) == -1
    assert len(SiteFinder([]).find("CCO").patterns) == 0


def test_places_that_stand_to_each_other_in_another_way_are_two() -> None:
    # A photodimer: opening the bonds that closed gives two alkenes, opening others a large ring.
    product, reactants = "C1CC2C(C1)C1CCCC21", "C1=CCCC1.C1=CCCC1"
    edit, atoms = edit_of(product, reactants)
    finder = SiteFinder([edit.pattern])
    smiles = canonical(product)
    sites = finder.find(smiles)
    own = molecule(smiles)
    given = {applied(edit, own, sites.atoms_of(site)) for site in range(len(sites.patterns))}
    assert canonical(reactants) in given
    assert len(atoms) == 4
    place = finder.place(product, finder.find(product), edit.pattern, atoms)
    assert applied(edit, molecule(product), finder.find(product).atoms_of(place)) == canonical(
        reactants
    )


@pytest.mark.parametrize(
    "smiles", ["CCO", "C[C@H](F)[13CH3]", "[Na+].[O-]c1cc[nH]c1", "[2H]C(Cl)Br", "*C"]
)
def test_every_atom_has_its_token(smiles: str) -> None:
    places = atom_tokens(smiles)
    assert len(places) == Chem.MolFromSmiles(smiles).GetNumAtoms()
    assert (np.diff(places) > 0).all()


# Which is likely.


def lessons(count: int = 16) -> tuple[list[Lesson], int, int]:
    """Amides to be cut at the amide bond, of two patterns that fit."""
    patterns = [
        Pattern(((6, False, 0, 0), (7, False, 0, 0)), ((0, 1, 1),)),
        Pattern(((6, False, 0, 0), (6, False, 0, 0)), ((0, 1, 1),)),
    ]
    finder = SiteFinder(patterns)
    rng = np.random.default_rng(0)
    found = []
    for number in range(count):
        smiles = canonical("C" * (number % 5 + 2) + "C(=O)N" + "C" * (number % 3 + 1))
        sites = finder.find(smiles)
        carbonyl = molecule(smiles).GetSubstructMatch(Chem.MolFromSmarts("C(=O)N"))
        place = finder.place(smiles, sites, patterns[0], (carbonyl[0], carbonyl[2]))
        assert place >= 0
        states = rng.standard_normal((len(sites.tokens), 4)).astype(np.float16)
        found.append(Lesson(RankedMolecule(sites, states), place, number % 2))
    return found, len(patterns), 4


def ranker(seed: int = 0) -> EditRanker:
    torch.manual_seed(seed)
    return EditRanker([0, 0, 1], 4, QUICK.ranking)


def test_probabilities_of_a_product_sum_to_one_over_what_fits() -> None:
    taught, _, _ = lessons()
    batch = site_batch([one.molecule for one in taught])
    with torch.no_grad():
        shares = ranker().eval()(batch).exp()
    for first, end in zip(batch.first_sites, batch.first_sites[1:], strict=False):
        torch.testing.assert_close(shares[first:end].sum(), torch.tensor(1.0))
    assert bool((shares[batch.patterns == 1][:, :2] == 0).all())


def test_the_ranker_learns_where_and_one_product_does_not_change_another() -> None:
    taught, _, _ = lessons()
    own = ranker()
    train_ranker(own, taught, QUICK.ranking)
    with torch.no_grad():
        logs = own(site_batch([one.molecule for one in taught]))
        alone = own(site_batch([taught[3].molecule]))
    batch = site_batch([one.molecule for one in taught])
    best = [
        int(logs[first:end].logsumexp(1).argmax())
        for first, end in zip(batch.first_sites, batch.first_sites[1:], strict=False)
    ]
    assert best == [one.site for one in taught]
    torch.testing.assert_close(alone, logs[batch.first_sites[3] : batch.first_sites[4]])


def test_a_stopped_training_ends_with_the_same_weights(tmp_path: Path) -> None:
    taught, _, _ = lessons()
    config = replace(QUICK.ranking, epochs=4, save_seconds=0.0)
    whole = ranker()
    train_ranker(whole, taught, config)

    class StopError(Exception):
        pass

    def stop(done: int, total: int, what: str) -> None:
        assert total == 8
        assert "ranking" in what
        if done == 5:
            raise StopError

    with pytest.raises(StopError):
        train_ranker(ranker(), taught, config, folder=tmp_path, report=stop)
    steps = []
    own = ranker(seed=1)  # its own first weights do not matter
    train_ranker(own, taught, config, folder=tmp_path, report=lambda n, *_: steps.append(n))
    assert steps == [6, 7, 8]
    for name, tensor in own.state_dict().items():
        torch.testing.assert_close(tensor, whole.state_dict()[name])
    # Other lessons begin anew, and so do the same ones seen by another base.
    others = [
        replace(one, molecule=replace(one.molecule, states=2 * one.molecule.states))
        for one in taught
    ]
    for changed in (taught[1:], others):
        steps.clear()
        train_ranker(own, changed, config, folder=tmp_path, report=lambda n, *_: steps.append(n))
        assert steps[0] == 1


# All together.


@pytest.fixture(scope="module")
def encoder() -> Encoder:
    base = load_base("untrained-tiny")
    assert isinstance(base, Encoder)
    return base


def test_states_of_tokens_do_not_depend_on_who_shares_their_batch(encoder: Encoder) -> None:
    molecules = MODALITIES["molecule"]()
    smiles = ["CCO", "CC(=O)Nc1ccc(O)cc1", "C", "c1ccccc1", "CC(=O)NC"]
    records = [{0: ("molecule", molecules.tokenize(one))} for one in smiles]
    chosen = [atom_tokens(one) + 1 for one in smiles]
    told: list[int] = []
    several = token_states(
        encoder, records, chosen, token_budget=20, progress=lambda done, _: told.append(done)
    )
    assert told[-1] == 5
    assert len(told) > 1
    for record, own, states in zip(records, chosen, several, strict=True):
        (alone,) = token_states(encoder, [record], [own])
        assert states.shape == (len(own), encoder.dim)
        np.testing.assert_allclose(states, alone, atol=2e-3)


def test_many_items_go_to_other_processes_and_come_back_in_order(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("kagaku.science_tasks.parallel.WORTH_PROCESSES", 4)
    told: list[tuple[int, int, str]] = []
    lengths = list(
        over(len, ["C" * size for size in range(250)], lambda *one: told.append(one), "x")
    )
    assert lengths == list(range(250))
    assert told[-1] == (250, 250, "x")


def known() -> ReactionCase:
    """Amides and phenyl ethers, two of each to be asked."""
    acyls = ("C", "CC", "CCC", "CC(C)", "C1CC1", "c1ccccc1", "COC", "ClC")
    others = ("C", "CC", "C(C)C", "c1ccccc1")
    lines = [
        *(f"{one}C(=O)N{two} >> {one}C(=O)O.N{two}" for one in acyls for two in others),
        *(f"{one}COc1ccccc1 >> {one}CBr.Oc1ccccc1" for one in acyls),
    ]
    found, bad = read_reactions(lines)
    assert bad == 0
    asked = {0, 9, 33, 36}
    learnt = [pair for number, pair in enumerate(found) if number not in asked]
    tested = [pair for number, pair in enumerate(found) if number in asked]
    products, reactants = zip(*learnt, strict=True)
    given, wanted = zip(*tested, strict=True)
    return ReactionCase(products, reactants, given, wanted)


def test_new_products_are_taken_apart_as_known_ones_were(encoder: Encoder) -> None:
    case = known()
    reported = set()
    context = Context(lambda: encoder, report=lambda _n, _of, what: reported.add(what[:8]))
    answers = Edited(QUICK)(case, context)
    assert answers["top_1"].mean() == 1.0
    assert (answers["validity"] == 1.0).all()
    assert answers.attrs["chosen"] == f"2 edits, {case.n_train} of {case.n_train} reactions"
    assert reported == {"aligning", "finding ", "embeddin", "ranking ", "doing ed"}


def test_reactants_give_their_product_as_known_ones_did(encoder: Encoder) -> None:
    case = known().reversed()
    answers = Edited(QUICK, FORWARD)(case, Context(lambda: encoder))
    assert answers["top_1"].mean() == 1.0
    assert (answers["validity"] == 1.0).all()
    assert answers.attrs["chosen"] == f"2 edits, {case.n_train} of {case.n_train} reactions"


def test_what_was_seen_once_is_not_known_and_then_nothing_is_proposed(encoder: Encoder) -> None:
    planner = Planner.learnt(["CC(=O)NC"], ["CC(=O)O.CN"], encoder, QUICK)
    assert planner.edits == ()
    assert planner.propose(["CC(=O)NCC"], 3) == [[]]
    twice = Planner.learnt(["CC(=O)NC", "CCC(=O)NC"], ["CC(=O)O.CN", "CCC(=O)O.CN"], encoder, QUICK)
    nothing, amide = twice.propose(["CCCC", "CC(=O)NCC"], 1)
    assert nothing == []
    assert [one.smiles for one in amide] == ["CC(=O)O.CCN"]
    assert 0 < amide[0].probability <= 1
    assert twice.edits[amide[0].known.edit].groups == "O[*:1]"
    assert [one is not None and one.edit for one in twice.known] == [0, 0]
