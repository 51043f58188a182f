"""The cards of the data sets: one Markdown page each, under fixed headings, and their reader.

A card is the only place where a data set is described; `Dataset` is read from it, so that the two
cannot differ. Addresses, commits and checksums stand in the file table alone.
"""

import re
from collections.abc import Mapping

from kagaku.data.catalogue.dataset import DOMAINS, DataFile, Dataset

HEADINGS = (
    "What it is",
    "Source",
    "Licence",
    "Columns and units",
    "Split",
    "Traps",
    "How it is derived",
)
"""The sections of a card, in this order."""

FACTS = ("domain", "rows", "target", "unit")
"""The rows of the table on top of a card, in this order."""


def read_card(text: str, name: str, files: tuple[DataFile, ...]) -> Dataset:
    """Return the data set that a card describes.

    Args:
        text: The card.
        name: The data set's name.
        files: Its files.

    A card that breaks the fixed form is a bug of the package, so that this asserts.
    """
    head, *parts = re.split(r"^## ", text, flags=re.MULTILINE)
    sections = {
        heading.strip(): body.strip() for heading, _, body in (one.partition("\n") for one in parts)
    }
    assert tuple(sections) == HEADINGS, f"{name}: the sections are {list(sections)}"
    assert all(sections.values()), f"{name}: a section is empty"
    facts = _facts(head)
    assert tuple(facts) == FACTS, f"{name}: the facts are {list(facts)}"
    assert facts["domain"] in DOMAINS, f"{name}: the domain is {facts['domain']!r}"
    first = _one_line(sections["What it is"].partition("\n\n")[0])
    return Dataset(
        name=name,
        domain=facts["domain"],
        title=head.partition("\n")[0].removeprefix("# ").strip(),
        description=re.split(r"(?<=\.)\s", first, maxsplit=1)[0],
        licence=_one_line(sections["Licence"].partition("\n\n")[0]),
        references=tuple(re.findall(r"https://\S+?(?=>)", sections["Source"])),
        n_rows=int(facts["rows"].replace(",", "")),
        columns=sections["Columns and units"],
        target=facts["target"],
        unit=facts["unit"],
        split=sections["Split"],
        traps=_bullets(sections["Traps"]),
        card=text,
        files=files,
    )


def _facts(head: str) -> Mapping[str, str]:
    """Return the table on top of a card, without its two heading lines."""
    rows = [line.strip("| ") for line in head.splitlines() if line.startswith("|")]
    pairs = (tuple(cell.strip() for cell in row.split("|", 1)) for row in rows[2:])
    return {pair[0]: pair[1] for pair in pairs}


def _bullets(section: str) -> tuple[str, ...]:
    return tuple(
        _one_line(one) for one in re.split(r"^- ", section, flags=re.MULTILINE) if one.strip()
    )


def _one_line(text: str) -> str:
    return " ".join(text.split())
