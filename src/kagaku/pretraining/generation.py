"""`kagaku generate`: new molecules, proteins or texts from pretrained weights."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from kagaku.bases import weights_folder
from kagaku.data.records import Quantity
from kagaku.errors import InputError
from kagaku.frames import write_frame
from kagaku.modalities import Modality
from kagaku.modalities.sequence import END_ID
from kagaku.models.pretraining.properties import PROPERTIES
from kagaku.models.pretraining.sampling import SamplingConfig, prefix_of, sample_tokens
from kagaku.models.pretraining.stored import load_pretrained
from kagaku.outputs import check_ending
from kagaku.registry import did_you_mean
from kagaku.science_tasks.generation_metrics import canonical_or_none
from kagaku.terminal import Terminal

WRITABLE = (".csv", ".parquet")

LONGEST = {"molecule": 128, "protein": 512, "text": 256}
"""By modality, tokens after which a value is cut, unless the user says otherwise."""

GIVEN_KINDS = ("molecule", "protein", "text")
"""Modalities whose raw value can be written on a command line."""


def generate(
    modality: str,
    *,
    weights: str | None = None,
    given: Sequence[str] = (),
    number: int = 100,
    config: SamplingConfig | None = None,
    terminal: Terminal | None = None,
) -> pd.DataFrame:
    """Return new values of a modality, one a row.

    The column is called as the modality; ``is_whole`` tells whether the value ended by itself
    before it was cut at ``config.most_tokens``. Molecules have two more: ``canonical``, RDKit's
    SMILES, empty where what was generated is no molecule, and ``is_valid``. Nothing is left out, so
    that the share of valid ones can be seen.

    Args:
        modality: ``"molecule"``, ``"protein"`` or ``"text"``.
        weights: A shipped name, or the folder of a pretraining; None takes the default.
        given: What the values shall follow from, each ``"text: ..."``, ``"molecule: SMILES"``,
            ``"protein: RESIDUES"``, or a property such as ``"logP: 2.5"``.
        number: How many.
        config: How they are drawn.
        terminal: Where to show progress; None shows nothing.

    Raises:
        InputError: A word is not known, a value cannot be read, or the weights cannot generate.

    Example:
        >>> generate("molecule", number=2).columns.tolist()
        ['molecule', 'is_whole', 'canonical', 'is_valid']
    """
    if number < 1:
        raise InputError(f"number must be at least 1, got {number}", fix="Ask for 1 or more.")
    terminal = terminal or Terminal(quiet=True)
    pretrained = load_pretrained(weights_folder(weights))
    values = [given_value(one, pretrained.modalities) for one in given]
    prefix = prefix_of(values, pretrained.modalities)
    with terminal.progress("generating") as progress:
        drawn = sample_tokens(
            pretrained.network,
            modality,
            [prefix] * number,
            config,
            progress=lambda done, total: progress(done, total, ""),
        )
    decoder: Any = pretrained.modalities[modality]
    frame = pd.DataFrame({modality: [decoder.decode(ids.tolist()) for ids in drawn]})
    frame["is_whole"] = [int(ids[-1]) == END_ID for ids in drawn]
    if modality == "molecule":
        frame["canonical"] = [canonical_or_none(one) for one in frame[modality]]
        frame["is_valid"] = frame["canonical"].notna()
    return frame


def given_value(text: str, modalities: Mapping[str, Modality[Any]]) -> tuple[str, Any]:
    """Return the modality and the raw value of what a user gives, such as ``"logP: 2.5"``.

    Raises:
        InputError: There is no colon, the word before it is not known, or the number is none.
    """
    word, colon, value = (part.strip() for part in text.partition(":"))
    properties = {one.name.casefold(): one for one in PROPERTIES.values()}
    kinds = [one for one in GIVEN_KINDS if one in modalities]
    if not colon or not value:
        raise InputError(
            f"{text!r} does not say what is given",
            fix='Write the kind, a colon and the value, such as "text: a steroid" or "logP: 2.5".',
        )
    if word in kinds:
        return word, value
    if (known := properties.get(word.casefold())) is None:
        raise InputError(
            f"{word!r} is neither a kind of data nor a property",
            fix=did_you_mean(word, [*kinds, *sorted({one.name for one in properties.values()})]),
        )
    try:
        number = float(value)
    except ValueError:
        raise InputError(
            f"the {known.name} {value!r} is not a number",
            fix=f"Write a number in {known.unit}, such as {known.name}: 2.5.",
        ) from None
    return "quantity", Quantity(known.name, number, known.unit)


def generate_to_file(
    modality: str,
    output: Path,
    *,
    weights: str | None,
    given: Sequence[str],
    number: int,
    config: SamplingConfig,
) -> None:
    """Generate values, write them through a temporary name, and say what came of it."""
    check_ending(output, WRITABLE, "generated values")
    terminal = Terminal()
    frame = generate(
        modality, weights=weights, given=given, number=number, config=config, terminal=terminal
    )
    output.parent.mkdir(parents=True, exist_ok=True)
    write_frame(frame, output)
    if cut := int((~frame["is_whole"]).sum()):
        terminal.say(
            f"{cut:,} of {len(frame):,} were cut at {config.most_tokens} tokens; --longest sets it."
        )
    if "is_valid" in frame:
        valid = frame["canonical"].dropna()
        terminal.say(
            f"{len(valid):,} of {len(frame):,} are molecules, {valid.nunique():,} of them "
            "distinct. Nobody has made or tested them: check stability and safety before you act."
        )
    terminal.say(f"Wrote {len(frame):,} values to", path=output)
