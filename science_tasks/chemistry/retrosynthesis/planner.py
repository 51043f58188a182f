"""One step of synthesis, either way: what known reactions did, done to new molecules.

Reactions are aligned atom by atom and reduced to edits, from products to reactants or from
reactants to products; a network learns which edit belongs to which place, from what a pretrained
base makes of the molecules. Proposals are edits that were really done, so all are molecules; what
is reached in several ways adds up.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

import torch

from kagaku.modalities import MODALITIES
from kagaku.models import Encoder
from kagaku.models.embedding import token_states
from kagaku.science_tasks.chemistry.cuts import read
from kagaku.science_tasks.chemistry.retrosynthesis.applying import applied
from kagaku.science_tasks.chemistry.retrosynthesis.edits import Edit
from kagaku.science_tasks.chemistry.retrosynthesis.finding import LOST, edit_between
from kagaku.science_tasks.chemistry.retrosynthesis.mapping import atom_maps
from kagaku.science_tasks.chemistry.retrosynthesis.ranking import (
    EditRanker,
    Lesson,
    RankedMolecule,
    RankingConfig,
    site_batch,
    train_ranker,
)
from kagaku.science_tasks.chemistry.retrosynthesis.sites import SiteFinder, Sites
from kagaku.science_tasks.parallel import Report, over

ASKED_AT_ONCE = 64
"""Molecules whose places are ranked together."""

BACKWARD, FORWARD = "backward", "forward"
"""What is asked: the reactants of a product, or the product of some reactants."""


@dataclass(frozen=True)
class PlannerConfig:
    """How reactions are learnt."""

    least_seen: int = 2
    """Reactions in which an edit must have been done to be known; one alone is often a slip."""

    tried: int = 30
    """Likeliest edits that are done to a molecule."""

    ranking: RankingConfig = field(default_factory=RankingConfig)
    """The network, and how it is trained."""


@dataclass(frozen=True)
class Proposal:
    """What may stand on the other side of a reaction."""

    smiles: str
    """Canonical SMILES; reactants joined by dots."""

    probability: float
    """By the network, over everything that is known; 0 to 1."""

    known: "Known"
    """What was done, in the likeliest of the ways that lead there."""


@dataclass(frozen=True)
class Known:
    """What a reaction did, and to which atoms."""

    edit: int
    """Number of the edit."""

    surroundings: int
    """A number for what is bonded to the atoms that it names; see `Sites.surroundings`."""


@dataclass(frozen=True)
class Planner:
    """Proposes reactants for products, or products for reactants."""

    encoder: Encoder
    """The base, frozen."""

    edits: tuple[Edit, ...]
    """What is known, edits of one pattern side by side."""

    finder: SiteFinder
    """Looks for their patterns."""

    ranker: EditRanker | None
    """Ranks them; None where nothing is known."""

    known: tuple[Known | None, ...]
    """For each reaction that was learnt from, what it did; None where no known edit explains it."""

    config: PlannerConfig

    @property
    def n_explained(self) -> int:
        """How many reactions known edits explain."""
        return sum(one is not None for one in self.known)

    @classmethod
    def learnt(
        cls,
        given: Sequence[str],
        wanted: Sequence[str],
        encoder: Encoder,
        config: PlannerConfig | None = None,
        *,
        direction: str = BACKWARD,
        folder: Path | None = None,
        report: Report = None,
    ) -> "Planner":
        """Return a planner that knows some reactions.

        Args:
            given: Canonical SMILES of one side of each reaction, joined by dots.
            wanted: Canonical SMILES of the other side.
            encoder: The base, which must read molecules.
            config: Sizes and lengths; None takes the usual ones.
            direction: `BACKWARD` where products are given, `FORWARD` where reactants are.
            folder: Where training keeps its state; None keeps none.
            report: Called with (done, in all, what).
        """
        config = config or PlannerConfig()
        pairs = list(zip(given, wanted, strict=True))
        explain = partial(explained, direction=direction)
        done = list(over(explain, pairs, report, "aligning reactions"))
        seen = Counter(one[0] for one in done if one is not None)
        known = [edit for edit, count in seen.items() if count >= config.least_seen]
        edits = tuple(sorted(known, key=lambda edit: (edit.pattern, edit)))
        number = {edit: place for place, edit in enumerate(edits)}
        finder = SiteFinder(sorted({edit.pattern for edit in edits}))
        taught = {
            row: (given[row], *one)
            for row, one in enumerate(done)
            if one is not None and one[0] in number
        }
        if not taught:
            return cls(encoder, edits, finder, None, (None,) * len(pairs), config)
        asked = list(taught.values())
        placed = list(over(partial(_placed, finder), asked, report, "finding places"))
        did = {
            row: Known(number[edit], sites.surroundings(atoms))
            for (row, (_, edit, atoms)), (sites, _) in zip(taught.items(), placed, strict=True)
        }
        own = cls(encoder, edits, finder, None, tuple(map(did.get, range(len(pairs)))), config)
        ranked = own._ranked([one for one, _, _ in asked], [one for one, _ in placed], report)
        lessons = [
            Lesson(molecule, place, number[edit])
            for molecule, (_, edit, _), (_, place) in zip(ranked, asked, placed, strict=True)
            if place >= 0  # of very many alike places not all are looked at
        ]
        torch.manual_seed(config.ranking.seed)
        pattern_of_edit = [finder.number[edit.pattern] for edit in edits]
        ranker = EditRanker(pattern_of_edit, encoder.dim, config.ranking)
        train_ranker(ranker, lessons, config.ranking, folder=folder, report=report)
        return replace(own, ranker=ranker)

    def propose(
        self, given: Sequence[str], most: int, report: Report = None
    ) -> list[list[Proposal]]:
        """Return what is likeliest wanted for each that is given, distinct, the best first.

        Args:
            given: Canonical SMILES, of the side that it learnt from.
            most: Proposals for each.
            report: Called with (done, in all, what).
        """
        if self.ranker is None:
            return [[] for _ in given]
        sites = list(over(self.finder.find, given, report, "finding places"))
        ways = self._likeliest(self._ranked(given, sites, report))
        found = over(
            partial(_done, self.edits),
            list(zip(given, ways, strict=True)),
            report,
            "doing edits",
        )
        return [proposals[:most] for proposals in found]

    def _ranked(
        self, given: Sequence[str], sites: Sequence[Sites], report: Report
    ) -> list[RankedMolecule]:
        """Return molecules as the network sees them."""
        modality = MODALITIES["molecule"]()
        records = [{0: ("molecule", modality.tokenize(one))} for one in given]
        states = token_states(
            self.encoder,
            records,
            [one.tokens + 1 for one in sites],  # behind the start
            progress=None if report is None else lambda n, of: report(n, of, "embedding atoms"),
        )
        return [RankedMolecule(*one) for one in zip(sites, states, strict=True)]

    def _likeliest(self, molecules: Sequence[RankedMolecule]) -> list[list["Way"]]:
        """Return the likeliest edits of each molecule."""
        assert self.ranker is not None
        found: list[list[Way]] = [[] for _ in molecules]
        open_ = [place for place, one in enumerate(molecules) if len(one.sites.patterns)]
        for start in range(0, len(open_), ASKED_AT_ONCE):
            asked = open_[start : start + ASKED_AT_ONCE]
            batch = site_batch([molecules[place] for place in asked])
            with torch.inference_mode():
                logs = self.ranker(batch)
            for place, first, end in zip(
                asked, batch.first_sites, batch.first_sites[1:], strict=False
            ):
                own = logs[first:end].flatten()
                best = torch.topk(own, min(self.config.tried, len(own)))
                for share, index in zip(best.values.exp().tolist(), best.indices, strict=True):
                    site, edit = divmod(int(index), len(self.edits))
                    sites = molecules[place].sites
                    atoms = sites.atoms_of(site)
                    known = Known(edit, sites.surroundings(atoms))
                    found[place].append(Way(atoms, known, share))
        return found


@dataclass(frozen=True)
class Way:
    """One edit at one place of a molecule."""

    atoms: tuple[int, ...]
    """Of the molecule."""

    known: Known
    """What is done."""

    probability: float
    """That this was done."""


def explained(
    pair: tuple[str, str], *, direction: str = BACKWARD
) -> tuple[Edit, tuple[int, ...]] | None:
    """Return the edit from what is given to what is wanted, and the given atoms that it names.

    Args:
        pair: What is given and what is wanted, as SMILES.
        direction: Which of them is the product; see `Planner.learnt`.
    """
    given, wanted = read(pair[0]), read(pair[1])
    if given is None or wanted is None:
        return None
    if direction == BACKWARD:
        edits = (edit_between(given, wanted, pairs) for pairs in atom_maps(given, wanted))
    else:
        n_atoms = given.GetNumAtoms()
        edits = (
            edit_between(given, wanted, _turned(pairs, n_atoms), keeps_all=False)
            for pairs in atom_maps(wanted, given)
        )
    return next((edit for edit in edits if edit is not None), None)


def _turned(pairs: Sequence[int], n_atoms: int) -> list[int]:
    """Return, for each atom of the reactants, that of the product; `LOST` where it has none."""
    found = [LOST] * n_atoms
    for here, there in enumerate(pairs):
        found[there] = here
    return found


def _placed(finder: SiteFinder, taught: tuple[str, Edit, tuple[int, ...]]) -> tuple[Sites, int]:
    given, edit, atoms = taught
    sites = finder.find(given)
    return sites, finder.place(given, sites, edit.pattern, atoms)


def _done(edits: Sequence[Edit], asked: tuple[str, list[Way]]) -> list[Proposal]:
    """Return what some ways give, the likeliest first."""
    given, ways = asked
    molecule = read(given)
    assert molecule is not None, given
    found: dict[str, Proposal] = {}
    for way in ways:  # the likeliest first, so the first to give something stands for it
        smiles = None
        if way.probability > 0:
            smiles = applied(edits[way.known.edit], molecule, way.atoms)
        if smiles is None or smiles == given:
            continue
        before = found.get(smiles, Proposal(smiles, 0.0, way.known))
        found[smiles] = replace(before, probability=before.probability + way.probability)
    return sorted(found.values(), key=lambda one: -one.probability)
