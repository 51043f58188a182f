"""Proposals drawn: one page by itself, with a picture of each reaction and of its precedent."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from rdkit.Chem import rdChemReactions
from rdkit.Chem.Draw import rdMolDraw2D

from kagaku.synthesis.answers import Answer

WIDTH, HEIGHT = 720, 200
"""Of a drawn reaction, in pixels."""


@dataclass(frozen=True)
class DrawnProposal:
    """One proposal, ready for the page."""

    rank: int
    probability: str
    n_known: str
    reaction: Markup
    smiles: str
    likeness: str
    precedent: Markup
    precedent_smiles: str


def proposals_page(answers: Sequence[Answer]) -> str:
    """Return the HTML of a page that needs nothing else."""
    environment = Environment(
        loader=PackageLoader("kagaku", "."),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    sections = [(answer.product, _drawn(answer)) for answer in answers]
    return environment.get_template("proposals.html.jinja").render(sections=sections)


def _drawn(answer: Answer) -> list[DrawnProposal]:
    return [
        DrawnProposal(
            rank=rank,
            probability=f"{one.proposal.probability:.1%}",
            n_known=f"{one.precedent.n_known:,} known"
            + ("" if one.precedent.is_same_place else " at other surroundings"),
            reaction=reaction_svg(one.proposal.smiles, answer.product),
            smiles=f"{one.proposal.smiles}>>{answer.product}",
            likeness=f"{one.precedent.likeness:.2f}",
            precedent=reaction_svg(one.precedent.reactants, one.precedent.product),
            precedent_smiles=f"{one.precedent.reactants}>>{one.precedent.product}",
        )
        for rank, one in enumerate(answer.proposed, start=1)
    ]


def reaction_svg(reactants: str, product: str) -> Markup:
    """Return a drawing of a reaction, to stand in HTML."""
    reaction = rdChemReactions.ReactionFromSmarts(f"{reactants}>>{product}", useSmiles=True)
    drawer: Any = rdMolDraw2D.MolDraw2DSVG(WIDTH, HEIGHT)
    drawer.drawOptions().clearBackground = False
    drawer.DrawReaction(reaction)
    drawer.FinishDrawing()
    drawn = drawer.GetDrawingText()
    # From RDKit alone, whose texts are atom labels, so it is safe as it is.
    return Markup(drawn[drawn.index("<svg") :])
