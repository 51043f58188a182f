"""Tables on a narrow screen: words are broken where there is no room, numbers never."""

from collections import Counter

import pytest

from kagaku.terminal import Terminal

SOURCES = [
    ["simulated-micrographs", "image, text, quantity", "11,384", "616", "857,414", "45.8"],
    ["swissprot", "protein", "118,504", "1,206", "44,055,484", "143.1"],
]
COLUMNS = ["source", "inputs", "train", "valid", "tokens", "MB"]


def shown(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], width: int
) -> list[str]:
    monkeypatch.setenv("COLUMNS", str(width))
    Terminal().table("What is in it", COLUMNS, SOURCES)
    return capsys.readouterr().err.splitlines()


@pytest.mark.parametrize("width", [66, 80, 120])
def test_numbers_stay_whole(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], width: int
) -> None:
    lines = shown(monkeypatch, capsys, width)
    assert max(map(len, lines)) <= width
    text = "\n".join(lines)
    assert all(cell in text for row in SOURCES for cell in row[2:])


def test_on_the_narrowest_screens_nothing_is_lost(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    text = "".join(shown(monkeypatch, capsys, 40))
    told = "".join(["What is in it", *COLUMNS, *(cell for row in SOURCES for cell in row)])
    assert Counter(filter(str.isalnum, text)) == Counter(filter(str.isalnum, told))


def test_long_headings_of_numbers_are_broken_and_no_column_vanishes(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    heads = ["source", "exact duplicates", "held out samples", "torn, or near the other part"]
    Terminal().table("Left", heads, [["chemicals", "12,741", "106,635", "209"]])
    text = capsys.readouterr().err
    assert all(word in text for head in heads for word in head.split())
    assert all(cell in text for cell in ("chemicals", "12,741", "106,635", "209"))


def test_words_are_broken_before_names(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    narrow, wide = (shown(monkeypatch, capsys, width) for width in (80, 120))
    assert any("simulated-micrographs" in line for line in narrow)
    assert not any("image, text, quantity" in line for line in narrow)
    assert any("image, text, quantity" in line for line in wide)
