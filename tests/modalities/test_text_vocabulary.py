import hashlib
import importlib.util
import json
import re
import sys
from pathlib import Path
from types import ModuleType

import pytest
from tokenizers import Tokenizer

ROOT = Path(__file__).parents[2]
VOCABULARY = ROOT / "modalities" / "text_vocabulary.json"


@pytest.fixture(scope="module")
def script() -> ModuleType:
    path = ROOT / "scripts" / "build_text_vocabulary.py"
    spec = importlib.util.spec_from_file_location("build_text_vocabulary", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_card_describes_the_file_that_ships() -> None:
    card = (ROOT / "modalities" / "text_vocabulary.md").read_text(encoding="utf-8")
    assert hashlib.sha256(VOCABULARY.read_bytes()).hexdigest() in card
    rows = re.findall(r"\| ([\d,]+) \| ([\d,]+) \|", card)
    texts, characters = (sum(int(row[i].replace(",", "")) for row in rows) for i in (0, 1))
    assert f"{texts:,} texts" in card
    assert f"{characters / 1e6:.1f} million characters" in card


def test_the_vocabulary_is_small_enough_to_ship_and_knows_no_added_tokens() -> None:
    assert VOCABULARY.stat().st_size < 600_000
    assert json.loads(VOCABULARY.read_text(encoding="utf-8"))["added_tokens"] == []


def test_the_same_texts_give_the_same_vocabulary(
    script: ModuleType,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    notes = tmp_path / "notes.txt"
    notes.write_text("the enzyme cleaves the bond\nthe enzyme binds\n" * 20, encoding="utf-8")
    written = []
    for name in ("first.json", "second.json"):
        output = tmp_path / name
        monkeypatch.setattr(sys, "argv", ["build", str(notes), "--output", str(output)])
        script.main()
        written.append(output.read_bytes())
    assert written[0] == written[1]
    assert "40 texts" in capsys.readouterr().out
    tokenizer = Tokenizer.from_str(written[0].decode())
    assert tokenizer.encode(" enzyme").tokens == ["Ġenzyme"]
    assert [tokenizer.token_to_id(name) for name in script.SPECIALS] == [0, 1, 2]


def test_definitions_are_found_in_every_kind_of_source(script: ModuleType) -> None:
    obo = (
        b'x\n[Term]\nname: ion\ndef: "A \\"charged\\" atom." [X]\n'
        b'\n[Term]\nname: old\ndef: "OBSOLETE."'
    )
    assert list(script.obo_definitions(obo)) == ['ion: A "charged" atom.']
    wordnet = b"  1 licence | text\n00 03 n 02 ion 0 charged_atom 0 000 | a particle  \n"
    assert list(script.wordnet_glosses(wordnet)) == ["ion, charged atom: a particle"]
    names = (
        b"<t><entry id='wind_speed'><canonical_units>m s-1</canonical_units>"
        b"<description> Speed. </description></entry><entry id='x'/></t>"
    )
    assert list(script.cf_standard_names(names)) == ["wind_speed [m s-1]: Speed."]
