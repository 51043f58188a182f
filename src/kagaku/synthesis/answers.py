"""What is proposed for a product."""

from dataclasses import dataclass

from kagaku.science_tasks.chemistry.retrosynthesis.planner import Proposal
from kagaku.science_tasks.chemistry.retrosynthesis.precedents import Precedent


@dataclass(frozen=True)
class Proposed:
    """One proposal, and the known reaction behind it."""

    proposal: Proposal
    precedent: Precedent


@dataclass(frozen=True)
class Answer:
    """What is proposed for one product, the likeliest first."""

    product: str
    """Canonical SMILES."""

    proposed: tuple[Proposed, ...]
