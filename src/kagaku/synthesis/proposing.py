"""`kagaku retrosynthesis propose`: reactants that products may be made from, with precedents."""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from kagaku.data import Table, read
from kagaku.data.whole_files import write_whole
from kagaku.errors import InputError
from kagaku.frames import write_frame
from kagaku.outputs import check_ending
from kagaku.registry import did_you_mean
from kagaku.science_tasks.chemistry.retrosynthesis.storage import PLANNER_FILE, load_planner
from kagaku.synthesis.answers import Answer, Proposed
from kagaku.synthesis.learning import METRICS_FILE
from kagaku.synthesis.page import proposals_page
from kagaku.synthesis.reactions import PRODUCT, plain_smiles
from kagaku.terminal import Terminal
from kagaku.tracing.asked import source_given

ENDINGS = (".csv", ".parquet", ".html")
"""What proposals can be written as; a page has drawings."""

COLUMNS_TRIED = (PRODUCT, "smiles", "SMILES")
"""Columns of a table that are asked about if none is named."""

SHOWN_PRODUCTS = 10
"""Products whose proposals are printed."""


def propose(
    folder: Path,
    products: Sequence[str],
    *,
    number: int = 5,
    terminal: Terminal | None = None,
) -> list[Answer]:
    """Return proposals for some products, from a folder that `learn` wrote.

    Args:
        folder: Where it learnt.
        products: SMILES, of one molecule each.
        number: Proposals for each.
        terminal: Where to show progress; None shows nothing.

    Raises:
        InputError: The folder is none, or a product cannot be read.
    """
    terminal = terminal or Terminal(quiet=True)
    if number < 1:
        raise InputError(f"number must be at least 1, got {number}", fix="Ask for 1 or more.")
    if not (folder / METRICS_FILE).is_file() or not (folder / PLANNER_FILE).is_file():
        raise InputError(
            "this folder has learnt no reactions",
            fix="Give the --output folder of a finished `kagaku retrosynthesis learn`.",
            where=str(folder),
        )
    asked = [plain_smiles(one) for one in products]
    for given, read_as in zip(products, asked, strict=True):
        if not read_as or "." in read_as:
            raise InputError(
                f"{given!r} " + ("is several molecules" if read_as else "cannot be read as SMILES"),
                fix="Give the SMILES of one product.",
            )
    planner, known = load_planner(folder)
    with terminal.progress("proposing reactants") as progress:
        found = planner.propose(asked, number, progress)
    return [
        Answer(
            product,
            tuple(Proposed(one, known.nearest(product, one.known)) for one in own),
        )
        for product, own in zip(asked, found, strict=True)
    ]


def to_frame(answers: Sequence[Answer]) -> pd.DataFrame:
    """Return one row per proposal; a product without any has one row, too."""
    rows: list[dict[str, object]] = []
    for answer in answers:
        if not answer.proposed:
            rows.append({"product": answer.product})
        for rank, one in enumerate(answer.proposed, start=1):
            rows.append(
                {
                    "product": answer.product,
                    "rank": rank,
                    "reactants": one.proposal.smiles,
                    "probability": one.proposal.probability,
                    "n_known": one.precedent.n_known,
                    "is_same_place": one.precedent.is_same_place,
                    "precedent_product": one.precedent.product,
                    "precedent_reactants": one.precedent.reactants,
                    "precedent_likeness": one.precedent.likeness,
                }
            )
    columns = ["product", "rank", "reactants", "probability", "n_known", "is_same_place"]
    columns += ["precedent_product", "precedent_reactants", "precedent_likeness"]
    return pd.DataFrame(rows, columns=columns).astype(
        {"rank": "Int64", "n_known": "Int64", "is_same_place": "boolean"}
    )


def propose_to_file(
    folder: Path,
    values: Sequence[str],
    *,
    output: Path | None,
    column: str | None,
    number: int,
    terminal: Terminal,
) -> None:
    """Propose reactants, print the first products', and write all where they are wanted."""
    if output is not None:
        check_ending(output, ENDINGS, "proposals")
    given = source_given(values)
    products = _of_table(given, column) if isinstance(given, Path) else list(given)
    answers = propose(folder, products, number=number, terminal=terminal)
    for answer in answers[:SHOWN_PRODUCTS]:
        _show(answer, terminal)
    if len(answers) > SHOWN_PRODUCTS:
        terminal.say(f"... and {len(answers) - SHOWN_PRODUCTS:,} products more.")
    terminal.say(
        "Proposals repeat what was done to other molecules. Nobody has tried them on these: check "
        "selectivity, protection and safety before you act."
    )
    if output is None:
        return
    output.parent.mkdir(parents=True, exist_ok=True)
    if output.suffix == ".html":
        write_whole(proposals_page(answers), output)
    else:
        write_frame(to_frame(answers), output)
    terminal.say(f"Wrote proposals for {len(answers):,} products to", path=output)


def _of_table(path: Path, column: str | None) -> list[str]:
    table = read(path)
    if not isinstance(table, Table):
        raise InputError("fields hold no molecules", fix="Give a table.", where=str(path))
    name = column or next((one for one in COLUMNS_TRIED if one in table.columns), PRODUCT)
    if name not in table.columns:
        raise InputError(
            f"there is no column {name!r}",
            fix=did_you_mean(name, table.columns) + " Name the column with --column.",
            where=str(path),
        )
    cells = table.cells(name)
    empty = [row for row, cell in zip(table.rows.tolist(), cells, strict=True) if cell is None]
    if empty:
        raise InputError(
            f"row {empty[0]} is empty in {name!r}",
            fix="Fill it in, or leave the row out.",
            where=str(path),
        )
    return [str(cell) for cell in cells]


def _show(answer: Answer, terminal: Terminal) -> None:
    if not answer.proposed:
        terminal.say(f"{answer.product}: no known change fits.")
        return
    terminal.table(
        answer.product,
        ["reactants", "probability", "known", "most alike of these"],
        [
            [
                one.proposal.smiles,
                f"{one.proposal.probability:.1%}",
                f"{one.precedent.n_known:,}"
                + ("" if one.precedent.is_same_place else " elsewhere"),
                f"{one.precedent.product} ({one.precedent.likeness:.2f})",
            ]
            for one in answer.proposed
        ],
    )
