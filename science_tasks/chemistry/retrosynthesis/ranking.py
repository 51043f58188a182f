"""A network that tells how likely each known edit is at each place of a molecule.

An atom is described by the state that the base gives its token and by its hashed surroundings; a
place by its atoms, each weighted by what it is in the pattern, and by the mean over the molecule.
The product of a place's vector with an edit's is the edit's logit; one softmax runs over all edits
at all places of a molecule, so that places and edits compete as they did for the chemist.
"""

import hashlib
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from kagaku.models.pretraining.optimisers import (
    OptimiserConfig,
    learning_rate_factor,
    make_optimisers,
    set_learning_rate,
)
from kagaku.models.pretraining.state import Counters, restored_step, save_state
from kagaku.science_tasks.chemistry.retrosynthesis.edits import MOST_ATOMS
from kagaku.science_tasks.chemistry.retrosynthesis.sites import RADII, Sites

LEAST_LOGIT = -1e9
"""Logit of an edit whose pattern is another."""


def _optimiser() -> OptimiserConfig:
    return OptimiserConfig(
        name="adamw", learning_rate=1e-3, weight_decay=0.01, warmup_steps=200, decay="linear"
    )


@dataclass(frozen=True)
class RankingConfig:
    """Sizes of the network, and how it is trained. Chosen on the validation part of USPTO-50k."""

    width: int = 192
    """Numbers that describe an atom, a place and an edit."""

    environment_width: int = 128
    """Numbers that describe one environment."""

    environments: int = 8_192
    """Into how many numbers environments are hashed, for each radius."""

    dropout: float = 0.1
    """Share of hidden numbers left out in training."""

    epochs: int = 6
    """How often every reaction is learnt from."""

    batch: int = 64
    """Molecules in a step."""

    seed: int = 0
    """Fixes first weights and order."""

    save_seconds: float = 120.0
    """Seconds between states that a stopped training goes on from."""

    optimiser: OptimiserConfig = field(default_factory=_optimiser)
    """How weights are changed."""


@dataclass(frozen=True)
class RankedMolecule:
    """What the network sees of one molecule."""

    sites: Sites
    """Where something can be done."""

    states: Float[np.ndarray, "atom dim"]
    """What the base makes of each atom."""


@dataclass(frozen=True)
class SiteBatch:
    """The atoms and places of several molecules, one after the other."""

    states: Float[Tensor, "atom dim"]
    environments: Int[Tensor, "atom radius"]
    molecule_of_atom: Int[Tensor, " atom"]
    patterns: Int[Tensor, " site"]
    molecule_of_site: Int[Tensor, " site"]
    named_site: Int[Tensor, " named"]
    """For each atom that a place names, the place."""
    named_atom: Int[Tensor, " named"]
    """Which atom that is."""
    named_slot: Int[Tensor, " named"]
    """And which of the pattern's."""
    first_sites: tuple[int, ...]
    """Where each molecule's places begin, and their number."""

    @property
    def n_molecules(self) -> int:
        """How many molecules there are."""
        return len(self.first_sites) - 1


def site_batch(molecules: Sequence[RankedMolecule]) -> SiteBatch:
    """Return several molecules as one batch."""
    # Molecules keep small numbers, as many are in memory at once.
    n_atoms = [len(one.states) for one in molecules]
    n_sites = [len(one.sites.patterns) for one in molecules]
    first_atoms = np.cumsum([0, *n_atoms])
    atoms = np.concatenate(
        [
            np.where(one.sites.atoms < 0, -1, one.sites.atoms.astype(np.int64) + first)
            for one, first in zip(molecules, first_atoms, strict=False)
        ]
    )
    named_site, named_slot = np.nonzero(atoms >= 0)
    owners = np.arange(len(molecules))
    return SiteBatch(
        torch.from_numpy(np.concatenate([one.states for one in molecules])).float(),
        torch.from_numpy(np.concatenate([one.sites.environments for one in molecules])).long(),
        torch.from_numpy(np.repeat(owners, n_atoms)),
        torch.from_numpy(np.concatenate([one.sites.patterns for one in molecules])).long(),
        torch.from_numpy(np.repeat(owners, n_sites)),
        torch.from_numpy(named_site),
        torch.from_numpy(atoms[named_site, named_slot]),
        torch.from_numpy(named_slot),
        tuple(np.cumsum([0, *n_sites]).tolist()),
    )


class EditRanker(nn.Module):
    """Gives the log-probability of every edit at every place of a molecule.

    Args:
        pattern_of_edit: For each edit, the number of its pattern.
        state_width: Numbers that the base gives for an atom.
        config: Sizes.
    """

    is_fitting: Tensor

    def __init__(
        self, pattern_of_edit: Sequence[int], state_width: int, config: RankingConfig
    ) -> None:
        super().__init__()
        width, n_patterns = config.width, max(pattern_of_edit) + 1
        self.n_environments = config.environments
        self.from_state = nn.Linear(state_width, width)
        self.environments = nn.ModuleList(
            nn.Embedding(config.environments, config.environment_width) for _ in RADII
        )
        self.from_environment = nn.ModuleList(
            nn.Linear(config.environment_width, width) for _ in RADII
        )
        self.norm = nn.LayerNorm(width)
        self.slots = nn.Embedding(n_patterns * MOST_ATOMS, width)
        self.patterns = nn.Embedding(n_patterns, width)
        self.from_molecule = nn.Linear(width, width)
        self.mix = nn.Sequential(
            nn.LayerNorm(width),
            nn.Linear(width, 2 * width),
            nn.GELU(),
            nn.Dropout(config.dropout),
            nn.Linear(2 * width, width),
        )
        self.edits = nn.Embedding(len(pattern_of_edit), width)
        self.bias = nn.Parameter(torch.zeros(len(pattern_of_edit)))
        fits = torch.arange(n_patterns)[:, None] == torch.tensor(pattern_of_edit)
        self.register_buffer("is_fitting", fits, persistent=False)
        for table in self.environments:
            assert isinstance(table, nn.Embedding)
            nn.init.normal_(table.weight, std=0.1)
        nn.init.normal_(self.slots.weight, 1.0, 0.5)
        nn.init.normal_(self.patterns.weight, std=0.1)
        nn.init.normal_(self.edits.weight, std=width**-0.5)

    def forward(self, batch: SiteBatch) -> Float[Tensor, "site edit"]:
        """Return log-probabilities, over all edits at all places of each molecule."""
        logits = self._logits(batch)
        totals = _log_sums(logits, batch.molecule_of_site, batch.n_molecules)
        return logits - totals.index_select(0, batch.molecule_of_site)[:, None]

    def log_likelihood(
        self, batch: SiteBatch, sites: Int[Tensor, " molecule"], edits: Int[Tensor, " molecule"]
    ) -> Float[Tensor, ""]:
        """Return the mean log-probability of one edit per molecule, at one place each."""
        logits = self._logits(batch)
        totals = _log_sums(logits, batch.molecule_of_site, batch.n_molecules)
        return (logits[sites, edits] - totals).mean()

    def _logits(self, batch: SiteBatch) -> Float[Tensor, "site edit"]:
        atoms = self.from_state(batch.states)
        for radius, (table, linear) in enumerate(
            zip(self.environments, self.from_environment, strict=True)
        ):
            atoms = atoms + linear(table(batch.environments[:, radius] % self.n_environments))
        atoms = self.norm(atoms)
        # index_select, as the gradient of plain indexing is far slower on a CPU.
        sums = atoms.new_zeros(batch.n_molecules, atoms.shape[1])
        sums = sums.index_add(0, batch.molecule_of_atom, atoms)
        counts = torch.bincount(batch.molecule_of_atom, minlength=batch.n_molecules)
        whole = self.from_molecule(sums / counts[:, None])
        places = whole.index_select(0, batch.molecule_of_site) + self.patterns(batch.patterns)
        slots = self.slots(batch.patterns[batch.named_site] * MOST_ATOMS + batch.named_slot)
        named = atoms.index_select(0, batch.named_atom) * slots
        places = places.index_add(0, batch.named_site, named)
        places = places + self.mix(places)
        logits: Tensor = places @ self.edits.weight.T + self.bias
        return logits.masked_fill(~self.is_fitting[batch.patterns], LEAST_LOGIT)


def _log_sums(
    logits: Float[Tensor, "site edit"], owners: Int[Tensor, " site"], n_molecules: int
) -> Float[Tensor, " molecule"]:
    """Return the logarithm of each molecule's sum of exponentials."""
    of_sites = torch.logsumexp(logits, 1)
    most = of_sites.new_full((n_molecules,), LEAST_LOGIT)
    most = most.scatter_reduce(0, owners, of_sites.detach(), "amax")
    shares = torch.exp(of_sites - most.index_select(0, owners))
    return most + torch.log(shares.new_zeros(n_molecules).index_add(0, owners, shares))


@dataclass(frozen=True)
class Lesson:
    """A molecule whose reaction is known."""

    molecule: RankedMolecule
    site: int
    """Where it was changed."""
    edit: int
    """And how."""


def train_ranker(
    ranker: EditRanker,
    lessons: Sequence[Lesson],
    config: RankingConfig,
    *,
    folder: Path | None = None,
    report: Callable[[int, int, str], None] | None = None,
) -> None:
    """Teach a network known reactions, in place; it is left in evaluation mode.

    A stopped training goes on from its last state in ``folder``; one of other data or settings is
    left aside.

    Args:
        ranker: Taught.
        lessons: What it learns from.
        config: How long, and in which order.
        folder: Where states are kept; None keeps none.
        report: Called with (steps done, steps in all, what).
    """
    n_steps = config.epochs * -(-len(lessons) // config.batch)
    identity = {"settings": asdict(config), "lessons": _digest(lessons)}
    assert all(one.site >= 0 for one in lessons)
    (optimiser,) = make_optimisers(ranker, config.optimiser)
    first = restored_step(folder, identity, ranker, optimiser)
    ranker.train()
    saved = time.monotonic()
    for step, numbers in enumerate(_order(len(lessons), config)):
        if step < first:
            continue
        torch.manual_seed(config.seed + step)  # dropout, the same after a stop
        chosen = [lessons[number] for number in numbers]
        batch = site_batch([one.molecule for one in chosen])
        sites = torch.tensor([one.site for one in chosen]) + torch.tensor(batch.first_sites[:-1])
        edits = torch.tensor([one.edit for one in chosen])
        loss = -ranker.log_likelihood(batch, sites, edits)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(ranker.parameters(), config.optimiser.gradient_clip)
        set_learning_rate([optimiser], learning_rate_factor(step, n_steps, config.optimiser))
        optimiser.step()
        if folder is not None and time.monotonic() - saved >= config.save_seconds:
            counters = Counters(step=step + 1, identity=identity)
            save_state(folder, counters, ranker, [optimiser], None)
            saved = time.monotonic()
        if report is not None:
            report(step + 1, n_steps, f"ranking edits, loss {float(loss.detach()):.2f}")
    ranker.eval()


def _order(n_lessons: int, config: RankingConfig) -> Iterator[list[int]]:
    for epoch in range(config.epochs):
        shuffled = np.random.default_rng([config.seed, epoch]).permutation(n_lessons)
        for start in range(0, n_lessons, config.batch):
            yield shuffled[start : start + config.batch].tolist()


def _digest(lessons: Sequence[Lesson]) -> str:
    """Return a word that other lessons, or the states of another base, would not have."""
    digest = hashlib.sha256()
    for one in lessons:
        sites = one.molecule.sites
        for array in (one.molecule.states, sites.environments, sites.patterns, sites.atoms):
            digest.update(np.ascontiguousarray(array).tobytes())
        digest.update(f"{one.site} {one.edit} ".encode())
    return digest.hexdigest()
