"""Downloading from a server that cuts, stalls, redirects, refuses and sends too much."""

import random
from http.client import HTTPMessage
from io import BytesIO
from pathlib import Path
from typing import Any
from urllib.request import Request

import pytest

from kagaku.downloading import Downloader, _StayEncrypted
from kagaku.errors import InputError

CONTENT = random.Random(0).randbytes(300_000)
MOST = 1_000_000


@pytest.fixture
def quick(server: Any) -> Downloader:
    return Downloader(base=server.base, attempts=3, wait_seconds=0.001, timeout_seconds=0.15)


@pytest.fixture
def address(server: Any) -> str:
    server.contents["/file"] = CONTENT
    return f"{server.base}/file"


def left(folder: Path) -> list[str]:
    return sorted(one.name for one in folder.iterdir())


def test_a_whole_file_arrives_under_its_name_and_nothing_else(
    quick: Downloader, address: str, tmp_path: Path
) -> None:
    told: list[int] = []
    quick.download(address, tmp_path / "deep" / "file", MOST, told.append)
    assert (tmp_path / "deep" / "file").read_bytes() == CONTENT
    assert left(tmp_path / "deep") == ["file"]
    assert told == sorted(told)
    assert told[-1] == len(CONTENT)


def test_a_cut_connection_goes_on_where_it_stopped(
    quick: Downloader, address: str, server: Any, tmp_path: Path
) -> None:
    server.moods["/file"] = ["cut 100000", "cut 50000"]
    quick.download(address, tmp_path / "file", MOST)
    assert (tmp_path / "file").read_bytes() == CONTENT
    assert [wanted for _, wanted in server.asked] == ["", "bytes=100000-", "bytes=150000-"]


def test_what_a_failed_call_left_is_gone_on_with_by_the_next(
    quick: Downloader, address: str, server: Any, tmp_path: Path
) -> None:
    server.moods["/file"] = ["cut 1000", "cut 1000", "cut 1000"]
    with pytest.raises(
        InputError,
        match=r"/file: the download failed 3 times \(the connection ended after 3,000 of 300,000 "
        r"bytes\)\. Check the network .* it goes on behind the 3,000 bytes that came",
    ):
        quick.download(address, tmp_path / "file", MOST)
    assert left(tmp_path) == ["file.partial"]
    quick.download(address, tmp_path / "file", MOST)
    assert (tmp_path / "file").read_bytes() == CONTENT
    assert server.asked[-1] == ("/file", "bytes=3000-")


@pytest.mark.parametrize("mood", ["no range", "other range", "endless"])
def test_a_server_that_knows_no_parts_still_gives_the_whole_file(
    mood: str, quick: Downloader, address: str, server: Any, tmp_path: Path
) -> None:
    server.moods["/file"] = ["cut 1000", mood]
    quick.download(address, tmp_path / "file", MOST)
    assert (tmp_path / "file").read_bytes() == CONTENT


def test_a_partial_file_that_is_longer_than_the_file_is_thrown_away(
    quick: Downloader, address: str, tmp_path: Path
) -> None:
    (tmp_path / "file.partial").write_bytes(b"x" * 400_000)
    quick.download(address, tmp_path / "file", MOST)
    assert (tmp_path / "file").read_bytes() == CONTENT


def test_redirects_are_followed_and_a_circle_ends(
    quick: Downloader, address: str, server: Any, tmp_path: Path
) -> None:
    server.moods["/old"] = ["redirect /older"]
    server.moods["/older"] = ["redirect /file"]
    quick.download(f"{server.base}/old", tmp_path / "file", MOST)
    assert (tmp_path / "file").read_bytes() == CONTENT
    server.asked.clear()
    server.moods["/circle"] = ["redirect /circle"] * 100
    with pytest.raises(InputError, match=r"/circle: the server redirects without end"):
        quick.download(f"{server.base}/circle", tmp_path / "other", MOST)
    assert len(server.asked) < 12
    assert left(tmp_path) == ["file"]
    assert address


def test_a_redirect_away_from_encryption_is_refused() -> None:
    handler, request = _StayEncrypted(), Request("https://example.org/file")
    with pytest.raises(InputError, match=r"redirects to http://evil/, which is not encrypted"):
        handler.redirect_request(request, BytesIO(), 302, "", HTTPMessage(), "http://evil/")


def test_a_missing_file_is_told_at_once(quick: Downloader, server: Any, tmp_path: Path) -> None:
    with pytest.raises(
        InputError, match=r"127.0.0.1:\d+/none: the server answers 404 Not Found\. The repository"
    ):
        quick.download(f"{server.base}/none", tmp_path / "file", MOST)
    assert len(server.asked) == 1
    assert left(tmp_path) == []


def test_a_server_in_trouble_is_asked_again(
    quick: Downloader, address: str, server: Any, tmp_path: Path
) -> None:
    server.moods["/file"] = ["status 503", "silent"]
    quick.download(address, tmp_path / "file", MOST)
    assert (tmp_path / "file").read_bytes() == CONTENT
    assert len(server.asked) == 3


def test_a_silent_server_is_given_up(
    quick: Downloader, address: str, server: Any, tmp_path: Path
) -> None:
    server.moods["/file"] = ["silent"] * 3
    with pytest.raises(InputError, match=r"the download failed 3 times \(timed out\)"):
        quick.download(address, tmp_path / "file", MOST)
    assert left(tmp_path) == []


def test_nobody_at_the_address_is_told(tmp_path: Path) -> None:
    nobody = Downloader(base="http://127.0.0.1:9", attempts=2, wait_seconds=0.001)
    with pytest.raises(InputError, match=r"the download failed 2 times \(.*[Rr]efused.*\)"):
        nobody.download("http://127.0.0.1:9/file", tmp_path / "file", MOST)


@pytest.mark.parametrize("mood", ["good", "endless"])
def test_more_than_there_can_be_is_refused_and_leaves_nothing(
    mood: str, quick: Downloader, address: str, server: Any, tmp_path: Path
) -> None:
    server.moods["/file"] = [mood]
    with pytest.raises(InputError, match=r"sends at least .* bytes, where at most 1,000 can be"):
        quick.download(address, tmp_path / "file", 1000)
    assert left(tmp_path) == []


def test_a_path_with_brackets_is_quoted() -> None:
    address = Downloader().address("a/b", "c" * 40, "data/log10(K VRH).csv")
    assert address == (
        f"https://raw.githubusercontent.com/a/b/{'c' * 40}/data/log10%28K%20VRH%29.csv"
    )
