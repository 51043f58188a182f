"""Downloading one file over HTTP, so that a bad network costs time and nothing else.

A cut connection goes on where it stopped, also in a later call. What arrives has a temporary name
until it is whole. Whether it is the right content is not decided here.
"""

import http.client
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.parse import quote, urlsplit
from urllib.request import HTTPRedirectHandler, Request, build_opener

from kagaku.errors import InputError

GITHUB = "https://raw.githubusercontent.com"
"""Serves the content of a file in a public repository at a commit."""

PIECE = 1 << 16
"""Bytes that are read at a time."""

WORTH_ANOTHER_TRY = frozenset({408, 425, 429, 500, 502, 503, 504})
"""Status codes that may be gone a moment later."""

ByteCallback = Callable[[int], None]
"""Is told how many bytes there are by now."""


class _CutError(Exception):
    """The connection ended before the file did, or another try is worth it."""


class _StayEncrypted(HTTPRedirectHandler):
    """Follows redirects, but none from https to http."""

    def redirect_request(
        self,
        req: Request,
        fp: Any,
        code: int,
        msg: str,
        headers: http.client.HTTPMessage,
        newurl: str,
    ) -> Request | None:
        if req.type == "https" and urlsplit(newurl).scheme != "https":
            raise InputError(
                f"the server redirects to {newurl}, which is not encrypted",
                fix="Ask the network's administrator what stands between.",
                where=req.full_url,
            )
        return super().redirect_request(req, fp, code, msg, headers, newurl)


@dataclass(frozen=True)
class Downloader:
    """Downloads files."""

    base: str = GITHUB
    """The server that has repositories' files, without a slash at the end."""

    attempts: int = 5
    """How often a file is asked for before giving up."""

    wait_seconds: float = 1.0
    """Pause before the second attempt; it doubles with each further one."""

    timeout_seconds: float = 30.0
    """How long the server may be silent."""

    def address(self, repository: str, commit: str, path: str) -> str:
        """Return the address of a file in a repository at a commit."""
        return f"{self.base}/{repository}/{commit}/{quote(path)}"

    def download(
        self, address: str, target: Path, most_bytes: int, progress: ByteCallback | None = None
    ) -> None:
        """Write what an address gives to a file; what another call left unfinished is gone on with.

        Args:
            address: Where it is.
            target: Where to write it; beside it lies, until it is whole, a file ending in
                ``.partial``.
            most_bytes: A file with more bytes is refused.
            progress: Is told how many bytes there are by now.

        Raises:
            InputError: The server refuses, is not reached, breaks off each time, or sends too much.
        """
        target.parent.mkdir(parents=True, exist_ok=True)
        partial = target.with_name(target.name + ".partial")
        told = ""
        for attempt in range(self.attempts):
            if attempt:
                time.sleep(self.wait_seconds * 2 ** (attempt - 1))
            try:
                self._go_on(address, partial, most_bytes, progress or (lambda _: None))
            except _CutError as error:
                told = str(error)
                continue
            partial.replace(target)
            return
        there = partial.stat().st_size if partial.exists() else 0
        raise InputError(
            f"the download failed {self.attempts} times ({told})",
            fix="Check the network and run the same command again"
            + (f"; it goes on behind the {there:,} bytes that came." if there else "."),
            where=address,
        )

    def _go_on(self, address: str, partial: Path, most_bytes: int, progress: ByteCallback) -> None:
        """Ask once for what is still missing of a file.

        Raises:
            _CutError: Not all of it came, and another try is worth it.
            InputError: It is not worth it.
        """
        there = partial.stat().st_size if partial.exists() else 0
        request = Request(address, headers={"Accept-Encoding": "identity"})
        if there:
            request.add_header("Range", f"bytes={there}-")
        try:
            with build_opener(_StayEncrypted).open(
                request, timeout=self.timeout_seconds
            ) as response:
                there, total = _place(response, there)
                _check_size(total or there, most_bytes, address, partial)
                with partial.open("r+b" if there else "wb") as stream:
                    stream.truncate(there)
                    stream.seek(there)
                    while piece := response.read(PIECE):
                        there += len(piece)
                        _check_size(there, most_bytes, address, partial)
                        stream.write(piece)
                        progress(there)
        except HTTPError as error:
            _refused(error, address, partial)
        except (URLError, http.client.HTTPException, ConnectionError, TimeoutError) as error:
            raise _CutError(str(getattr(error, "reason", "") or error)) from None
        if total is not None and there < total:
            raise _CutError(f"the connection ended after {there:,} of {total:,} bytes")


def _place(response: http.client.HTTPResponse, there: int) -> tuple[int, int | None]:
    """Return from which byte a response tells, and how many the whole file has, if it says so."""
    length = response.headers.get("Content-Length")
    if response.status == http.client.PARTIAL_CONTENT:
        found = re.fullmatch(
            r"bytes (\d+)-\d+/(\d+|\*)", response.headers.get("Content-Range", "").strip()
        )
        if found is None or int(found[1]) != there:
            raise _CutError("the server sent another part than was asked for")
        return there, None if found[2] == "*" else int(found[2])
    return 0, None if length is None else int(length)


def _check_size(n_bytes: int, most_bytes: int, address: str, partial: Path) -> None:
    """Raise InputError, and leave nothing behind, if there is more than there can be."""
    if n_bytes > most_bytes:
        partial.unlink(missing_ok=True)
        raise InputError(
            f"the server sends at least {n_bytes:,} bytes, where at most {most_bytes:,} can be "
            "right",
            fix="Look at the address in a browser: it may be a page that asks to log in.",
            where=address,
        )


def _refused(error: HTTPError, address: str, partial: Path) -> None:
    """Say what a status code means.

    Raises:
        _CutError: Another try is worth it.
        InputError: It is not.
    """
    error.close()
    if error.code == http.client.REQUESTED_RANGE_NOT_SATISFIABLE:
        partial.unlink(missing_ok=True)
        raise _CutError("the server does not know the part that was asked for") from None
    if error.code in WORTH_ANOTHER_TRY:
        raise _CutError(f"the server answers {error.code} {error.reason}") from None
    partial.unlink(missing_ok=True)
    if 300 <= error.code < 400:
        raise InputError(
            "the server redirects without end",
            fix="Look at the address in a browser.",
            where=address,
        ) from None
    raise InputError(
        f"the server answers {error.code} {error.reason}",
        fix="The repository may be gone or renamed; take the file from somebody who has it.",
        where=address,
    ) from None
