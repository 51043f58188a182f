"""A part of a Markdown page between two marks, which a command writes."""

from dataclasses import dataclass
from pathlib import Path

from kagaku.data.whole_files import write_whole
from kagaku.errors import InputError
from kagaku.outputs import check_writable


@dataclass(frozen=True)
class Marks:
    """The lines before and behind the part."""

    begin: str
    """Before it."""

    end: str
    """Behind it."""

    def check(self, page: Path) -> None:
        """Refuse a page that has no such part.

        Raises:
            InputError: It is missing, or has no marked part.
        """
        if not page.is_file():
            raise InputError("there is no such page", fix="Check the path.", where=str(page))
        check_writable(page)
        text = page.read_text(encoding="utf-8")
        if not 0 <= text.find(self.begin) < text.find(self.end):
            raise InputError(
                "the page has no part for the tables",
                fix=f"Put the lines '{self.begin}' and '{self.end}' where they shall stand.",
                where=str(page),
            )

    def read(self, page: Path) -> str:
        """Return what stands between the marks of a page."""
        text = page.read_text(encoding="utf-8")
        return text.split(self.begin, 1)[1].split(self.end, 1)[0]

    def fill(self, page: Path, body: str) -> None:
        """Write a text between the marks of a page, in place of what stood there."""
        text = page.read_text(encoding="utf-8")
        before, rest = text.split(self.begin, 1)
        _, after = rest.split(self.end, 1)
        write_whole(f"{before}{self.begin}\n\n{body}\n\n{self.end}{after}", page)
