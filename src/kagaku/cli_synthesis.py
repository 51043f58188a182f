"""Verbs about reactions: what they teach, and what a product may be made from."""

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer()
retrosynthesis = typer.Typer(
    help="Learn from known reactions, and propose reactants of new products.", no_args_is_help=True
)
app.add_typer(retrosynthesis, name="retrosynthesis")


@retrosynthesis.command("learn")
def learn(
    data: Annotated[Path, typer.Argument(help="A table of reactions: CSV, TSV, Parquet or Excel.")],
    output: Annotated[Path, typer.Option(help="The folder to write.")],
    product: Annotated[
        str | None, typer.Option(help="Column with the SMILES of the product. Default: product.")
    ] = None,
    reactants: Annotated[
        str | None,
        typer.Option(
            help="Column with those of its reactants, joined by dots. Default: reactants."
        ),
    ] = None,
    reaction: Annotated[
        str | None,
        typer.Option(help="A column of reaction SMILES (reactants>agents>product) in their place."),
    ] = None,
    base: Annotated[
        str | None, typer.Option(help="The weights that look at products: a name or a folder.")
    ] = None,
    test_fraction: Annotated[
        float, typer.Option(help="Share of the products held out for testing.")
    ] = 0.1,
    seed: Annotated[int, typer.Option(help="Fixes whatever is random.")] = 0,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace what the folder has learnt.")
    ] = False,
) -> None:
    """Learn what reactions change and where; stopped, the same command goes on."""
    from kagaku.terminal import Terminal

    terminal = Terminal()
    terminal.say(f"Reading {data}")  # before the imports, which take seconds
    from kagaku.synthesis.learning import LearningWishes
    from kagaku.synthesis.learning import learn as learn_reactions
    from kagaku.synthesis.reactions import ReactionColumns

    wishes = LearningWishes(
        ReactionColumns(product, reactants, reaction), base, test_fraction, seed, overwrite
    )
    learn_reactions(data, output, wishes, terminal)


@retrosynthesis.command("propose")
def propose(
    folder: Annotated[Path, typer.Argument(help="A folder that `learn` wrote.")],
    products: Annotated[
        list[str], typer.Argument(help="SMILES of products, or a table with a column of them.")
    ],
    number: Annotated[int, typer.Option(help="Proposals for each.")] = 5,
    column: Annotated[
        str | None, typer.Option(help="Column of a table. Default: product or smiles.")
    ] = None,
    output: Annotated[
        Path | None, typer.Option(help="Where to write: .csv, .parquet, or .html with drawings.")
    ] = None,
) -> None:
    """Propose reactants of products, each with the known reaction most like it."""
    from kagaku.synthesis.proposing import propose_to_file
    from kagaku.terminal import Terminal

    propose_to_file(
        folder, products, output=output, column=column, number=number, terminal=Terminal()
    )
