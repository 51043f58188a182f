"""What the user asks for: ``smiles``, ``temp [degC]``, ``note: text``, ``active: binary``."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from difflib import get_close_matches

from kagaku.data.units import is_unit, parse_unit, split_name
from kagaku.errors import InputError
from kagaku.registry import did_you_mean

_COLUMNS_LISTED = 30


@dataclass(frozen=True)
class Request:
    """One column that the user named, found in the file."""

    column: str
    """The column's name as the file has it."""

    name: str
    """Its name without unit."""

    unit: str | None
    """The unit asked for in brackets, or else the one in the column's heading."""

    column_unit: str | None
    """The unit in the column's heading; where that has none, the one asked for."""

    word: str | None
    """The kind or modality asked for behind a colon."""

    told: str
    """Where the unit comes from, for the schema's reason; empty where there is none."""


def find_request(text: str, columns: Sequence[str], words: Collection[str], source: str) -> Request:
    """Return the column that a user's words mean.

    Args:
        text: ``name``, ``name [unit]``, or either with ``: word`` behind.
        columns: The columns that there are.
        words: What may stand behind the colon.
        source: Name of the file, for messages.

    Raises:
        InputError: No column, or more than one, has that name; or the word or unit is unknown.
    """
    asked = " ".join(text.split())
    word = None
    if asked not in columns and ":" in asked:
        head, _, tail = (part.strip() for part in asked.rpartition(":"))
        if tail not in words:
            find_column(head, columns, source)  # a misspelt column is the likelier mistake
            raise InputError(
                f"{tail!r} in {asked!r} is not known", fix=did_you_mean(tail, words), where=source
            )
        asked, word = head, tail
    column = find_column(asked, columns, source)
    _, wanted = (asked, None) if asked == column else split_name(asked)
    name, heading = split_name(column)
    if wanted is not None:
        parse_unit(wanted)
    known = heading if heading is not None and is_unit(heading) else None
    told = (
        f"unit {wanted} as asked for"
        if wanted is not None
        else f"unit {known} from the heading"
        if known is not None
        else f"[{heading}] in the heading is no known unit"
        if heading is not None
        else ""
    )
    return Request(column, name, wanted or known, known or wanted, word, told)


def find_column(asked: str, columns: Sequence[str], source: str) -> str:
    """Return the column called ``asked``, with or without its unit.

    Raises:
        InputError: No column, or more than one, has that name.
    """
    if asked in columns:
        return asked
    name = split_name(asked)[0]
    found = [column for column in columns if name in (column, split_name(column)[0])]
    if len(found) == 1:
        return found[0]
    if found:
        raise InputError(
            f"{asked!r} may mean any of {found}",
            fix=f"Write the whole heading, such as {found[0]!r}.",
            where=source,
        )
    raise InputError(
        f"there is no column {asked!r}", fix=column_advice(name, columns), where=source
    )


def column_advice(name: str, columns: Sequence[str]) -> str:
    """Return the column nearest in name, and which ones there are."""
    short = {split_name(column)[0].lower(): column for column in reversed(columns)}
    close = get_close_matches(name.lower(), list(short), n=1)
    nearest = f"Did you mean {short[close[0]]!r}? " if close else ""
    more = f" and {len(columns) - _COLUMNS_LISTED} more" if len(columns) > _COLUMNS_LISTED else ""
    listed = ", ".join(repr(column) for column in columns[:_COLUMNS_LISTED])
    return f"{nearest}The columns are {listed}{more}."
