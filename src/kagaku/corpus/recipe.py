"""Recipes for corpora: YAML files that name sources, limits and what must not be trained on."""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import yaml

from kagaku.config_rules import Rule, boolean, integer, number, optional, text, texts
from kagaku.data.corpora.sources import SOURCES
from kagaku.errors import InputError
from kagaku.modalities import MODALITIES
from kagaku.recipe_files import read_recipe_text, syntax_error
from kagaku.registry import did_you_mean

VALID_SHARE = 0.01
"""Default of `CorpusRecipe.valid_share`."""

MORE_VALID = {"image": 0.05, "climate": 0.1}
"""The same for modalities that there is little of."""

HELD_OUT_VARIABLE = "$KAGAKU_DATA"
"""The one folder of held-out parts that may be unset, so that shipped recipes run without it."""


@dataclass(frozen=True)
class SourceRecipe:
    """One entry under ``sources``."""

    name: str
    """What the corpus calls it; also the reader, unless ``file`` is given."""

    most: int | None = None
    """Most samples to take, chosen at random; None takes all."""

    file: str | None = None
    """For a table or grid of one's own: its path, relative to the recipe's folder."""

    inputs: tuple[str, ...] | None = None
    """For one's own file: the columns to take, as in fine-tuning; None takes what looks useful."""

    licence: str | None = None
    """For one's own file: under which licence it may be used."""


@dataclass(frozen=True)
class HeldOutRecipe:
    """What stands under ``held_out``: whose molecules, sequences and texts are not trained on."""

    folder: str | None = None
    """A folder of benchmark files. It may begin with a variable of the environment.
    ``$KAGAKU_DATA`` alone may be unset."""

    samples: bool = True
    """Whether the tables that are shipped as examples are held out too; "no" for a corpus that is
    made of them."""


@dataclass(frozen=True)
class CorpusRecipe:
    """Everything that decides what a corpus will be."""

    name: str
    """What the corpus is called."""

    sources: tuple[SourceRecipe, ...]
    """What to read, in the order in which duplicates are kept: earlier ones win."""

    seed: int = 0
    """Fixes every random choice."""

    held_out: HeldOutRecipe = HeldOutRecipe()
    """What must not be trained on."""

    valid_share: Mapping[str, float] = field(default_factory=lambda: valid_shares())
    """By the modality of a source's first input, the share that is kept for validation."""

    most_valid: int = 2_000
    """Most validation samples per source."""

    shard_megabytes: int = 64
    """About how large a shard is, in 10^6 bytes."""


_SOURCE_RULES: dict[str, Rule] = {
    "most": optional(integer(1, 10**12)),
    "file": optional(text()),
    "inputs": optional(texts()),
    "licence": optional(text()),
}


def load_corpus_recipe(path: Path | str) -> CorpusRecipe:
    """Read a recipe strictly.

    Raises:
        InputError: The file is missing or no YAML, or a key or value in it is wrong. Names the
            file and the line.
    """
    path = Path(path)
    lines, stored = _read(path)
    rules: dict[str, Rule] = {
        "name": text(),
        "sources": lambda name, value: _sources(path, lines, name, value),
        "seed": integer(0, 2**32 - 1),
        "held_out": lambda name, value: _held_out(path, lines, name, value),
        "valid_share": lambda name, value: _shares(path, lines, name, value),
        "most_valid": integer(1, 10**9),
        "shard_megabytes": integer(1, 10_000),
    }
    values = _checked(stored, rules, "setting", (), path, lines)
    for needed in ("name", "sources"):
        if needed not in values:
            raise InputError(
                f"the recipe does not say {needed!r}",
                fix="Start from the shipped configs/corpus_tiny.yaml.",
                where=str(path),
            )
    return CorpusRecipe(**values)


def _sources(
    path: Path, lines: Mapping[tuple[str, ...], int], name: str, value: Any
) -> tuple[SourceRecipe, ...]:
    entries = _mapping(value, (name,), path, lines)
    if not entries:
        raise InputError("no source is named", fix=f"Choose from {list(SOURCES)}.")
    found = []
    for source, settings in entries.items():
        place = (name, str(source))
        given = _mapping(settings if settings is not None else {}, place, path, lines)
        checked = _checked(given, _SOURCE_RULES, "setting of a source", place, path, lines)
        if checked.get("file") is None:
            if source not in SOURCES:
                raise InputError(
                    f"there is no source named {source!r}",
                    fix=did_you_mean(str(source), SOURCES)
                    + " A file of your own needs the setting 'file'.",
                    where=_place(path, lines, place),
                )
            if extra := sorted({"inputs", "licence"} & set(checked)):
                raise InputError(
                    f"{extra[0]!r} is for files of your own, and {source!r} is a known source",
                    fix="Leave it out.",
                    where=_place(path, lines, (*place, extra[0])),
                )
        else:
            checked["file"] = str(path.parent / Path(checked["file"]).expanduser())
        if "." in str(source) or "/" in str(source) or not str(source).strip():
            raise InputError(
                f"{source!r} cannot name a source: it becomes part of file names",
                fix="Use letters, digits, - and _.",
                where=_place(path, lines, place),
            )
        found.append(SourceRecipe(str(source), **checked))
    return tuple(found)


def valid_shares() -> dict[str, float]:
    """Return by modality which share of the samples is kept for validation unless told."""
    return dict.fromkeys(MODALITIES, VALID_SHARE) | MORE_VALID


def _held_out(
    path: Path, lines: Mapping[tuple[str, ...], int], name: str, value: Any
) -> HeldOutRecipe:
    """Return what is held out; no folder where it is `HELD_OUT_VARIABLE` and that is not set."""
    given = _mapping(value, (name,), path, lines)
    rules = {"folder": optional(text()), "samples": boolean()}
    held_out = HeldOutRecipe(**_checked(given, rules, "setting", (name,), path, lines))
    if held_out.folder is None:
        return held_out
    expanded = os.path.expandvars(held_out.folder)
    if "$" in expanded or not expanded.strip():
        if held_out.folder == HELD_OUT_VARIABLE:
            return replace(held_out, folder=None)
        raise InputError(
            f"the variable in {held_out.folder!r} is not set, so nothing would be held out",
            fix="Set it, correct its name, or leave held_out out.",
            where=_place(path, lines, (name, "folder")),
        )
    found = path.parent / Path(expanded).expanduser()
    if not found.is_dir():
        raise InputError(
            f"there is no folder {str(found)!r}",
            fix="Correct it, or leave held_out out.",
            where=_place(path, lines, (name, "folder")),
        )
    return replace(held_out, folder=str(found))


def _shares(
    path: Path, lines: Mapping[tuple[str, ...], int], name: str, value: Any
) -> dict[str, float]:
    given = _mapping(value, (name,), path, lines)
    rules = dict.fromkeys(MODALITIES, number(0.0, 0.5))
    return valid_shares() | _checked(given, rules, "modality", (name,), path, lines)


def _checked(
    given: Mapping[Any, Any],
    rules: Mapping[str, Callable[[str, Any], Any]],
    what: str,
    place: tuple[str, ...],
    path: Path,
    lines: Mapping[tuple[str, ...], int],
) -> dict[str, Any]:
    """Return the checked values of one mapping of a recipe."""
    values = {}
    for name, value in given.items():
        where = _place(path, lines, (*place, str(name)))
        if name not in rules:
            raise InputError(
                f"there is no {what} {name!r}", fix=did_you_mean(str(name), rules), where=where
            )
        try:
            values[str(name)] = rules[name](name, value)
        except InputError as error:
            raise error if error.where else error.at(where) from None
    return values


def _mapping(
    value: Any, place: tuple[str, ...], path: Path, lines: Mapping[tuple[str, ...], int]
) -> dict[Any, Any]:
    if not isinstance(value, dict):
        raise InputError(
            f"{place[-1]} must be a list of 'setting: value' lines, got {value!r}",
            fix="Start from the shipped configs/corpus_tiny.yaml.",
            where=_place(path, lines, place),
        )
    return value


def _place(path: Path, lines: Mapping[tuple[str, ...], int], place: tuple[str, ...]) -> str:
    return f"{path}, line {lines[place]}" if place in lines else str(path)


def _read(path: Path) -> tuple[dict[tuple[str, ...], int], dict[str, Any]]:
    """Return (line of each key by its path, the values) of a YAML file."""
    loader = yaml.SafeLoader(read_recipe_text(path))
    try:
        node = loader.get_single_node()
        if not isinstance(node, yaml.MappingNode):
            raise InputError(
                "a recipe is a list of 'setting: value' lines",
                fix="Start from the shipped configs/corpus_tiny.yaml.",
                where=str(path),
            )
        lines = dict(_lines(node, (), path))
        values: dict[str, Any] = loader.construct_document(node)
    except yaml.YAMLError as error:
        raise syntax_error(path, error) from None
    finally:
        loader.dispose()
    return lines, values


def _lines(
    node: yaml.MappingNode, place: tuple[str, ...], path: Path
) -> list[tuple[tuple[str, ...], int]]:
    """Return the line of every key, from 1.

    Raises:
        InputError: A key is set twice.
    """
    found: list[tuple[tuple[str, ...], int]] = []
    for key, value in node.value:
        here = (*place, str(key.value))
        line = key.start_mark.line + 1
        if any(other == here for other, _ in found):
            raise InputError(
                f"{key.value!r} is set twice",
                fix="Keep one of them.",
                where=f"{path}, line {line}",
            )
        found.append((here, line))
        if isinstance(value, yaml.MappingNode):
            found += _lines(value, here, path)
    return found
