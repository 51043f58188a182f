"""Recipes: YAML files that say how to fine-tune, read strictly into one frozen dataclass."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, get_args

import yaml

from kagaku.config_rules import boolean, choice, integer, number, optional, text, texts
from kagaku.data.folds import SplitKind
from kagaku.data.whole_files import write_whole
from kagaku.errors import InputError
from kagaku.recipe_files import read_recipe_text, syntax_error
from kagaku.registry import did_you_mean
from kagaku.science_tasks.fit_settings import Method, check_nested

DATA_INSTEAD = "Name a YAML recipe; the data file goes into its setting 'data'."
"""What to do with a file that is too large for a recipe."""


@dataclass(frozen=True)
class FinetuneConfig:
    """Everything that decides how a fine-tuning goes.

    The names are the same on the command line, in Python and in a recipe. Lists are taken for
    tuples, and one name for a tuple of one.

    Raises:
        InputError: A value has the wrong type, lies outside its range, or contradicts another.
    """

    data: str
    """The file (or folder) with the measurements: CSV, TSV, Parquet, Excel, FASTA, SDF, a folder
    of images with a table, NetCDF or Zarr. In a recipe, relative to the recipe's folder."""

    target: tuple[str, ...]
    """The columns to predict, each with its unit in brackets where it has one, such as
    ``"logS [log10(mol/L)]"``; ``"active: binary"`` also says the kind."""

    inputs: tuple[str, ...] | None = None
    """The columns to predict from, such as ``"smiles"``, ``"temp [degC]"`` or ``"note: text"``;
    None takes every column that looks like an input."""

    method: Method = "auto"
    """``"readout"``: small models on classical features and embeddings. ``"full"``: gradient
    training of the whole network. ``"auto"``: whichever is better in cross-validation on training
    rows."""

    split: SplitKind = "auto"
    """How the held-out test rows are chosen; ``"auto"`` looks at the data and says why."""

    test_fraction: float = 0.2
    """Share of the rows held out for testing, between 0.01 and 0.9."""

    group: str | None = None
    """A column whose equal values (a batch, a plate, a patient) stay on one side of the split."""

    time: str | None = None
    """A column that orders the rows in time, for the split ``"time"``; grids have their own."""

    lead: str | None = None
    """For grids, how far ahead the target lies, such as ``"3 months"``."""

    indices: str | None = None
    """A JSON file with the row indices of ``train`` and ``test``, for the split ``"file"``. In a
    recipe, relative to the recipe's folder."""

    seed: int = 0
    """Fixes the split, the folds and whatever else is random."""

    base: str | None = None
    """The weights to start from: their name, or a folder; None takes the shipped ones."""

    confidence: float = 0.9
    """How often an interval or set shall contain the truth, between 0.5 and 0.999."""

    folds: int = 5
    """Folds of the cross-validation on training rows, 2 to 20."""

    max_seconds: float | None = None
    """No new candidate is started after this many seconds; None sets no limit."""

    nested: bool = False
    """Repeat the whole procedure, choosing and calibrating included, in each fold of the training
    rows, for a score that owes nothing to having chosen; takes about ``folds`` times as long
    besides."""

    skip_bad_rows: bool = False
    """Go on without the rows that cannot be read, instead of stopping before any work."""

    epochs: int | None = None
    """Passes over the training rows in full fine-tuning; None chooses from their number."""

    learning_rate: float | None = None
    """Peak learning rate in full fine-tuning, dimensionless; None takes the default."""

    token_budget: int = 4_096
    """Most tokens in one batch; lower it if memory runs out."""

    output: str | None = None
    """The run folder to write; never part of a stored recipe's replay."""

    def __post_init__(self) -> None:
        """Check every value once, where it is made, and bring it to its declared type."""
        for name, rule in _RULES.items():
            object.__setattr__(self, name, rule(name, getattr(self, name)))
        _check_together(self)


_RULES = {
    "data": text(),
    "target": texts(),
    "inputs": optional(texts()),
    "method": choice("auto", "readout", "full"),
    "split": choice(*get_args(SplitKind)),
    "test_fraction": number(0.01, 0.9),
    "group": optional(text()),
    "time": optional(text()),
    "lead": optional(text()),
    "indices": optional(text()),
    "seed": integer(0, 2**32 - 1),
    "base": optional(text()),
    "confidence": number(0.5, 0.999),
    "folds": integer(2, 20),
    "max_seconds": optional(number(1.0, 1e9)),
    "nested": boolean(),
    "skip_bad_rows": boolean(),
    "epochs": optional(integer(1, 100_000)),
    "learning_rate": optional(number(1e-9, 1.0)),
    "token_budget": integer(64, 2**30),
    "output": optional(text()),
}
assert list(_RULES) == [one.name for one in fields(FinetuneConfig)], "a field has no rule"


def _check_together(config: FinetuneConfig) -> None:
    """Raise InputError if two values contradict each other."""
    check_nested(config.method, nested=config.nested)
    if config.split == "file" and config.indices is None:
        raise InputError(
            "the split 'file' needs a file of indices", fix="Name it as indices (--indices)."
        )
    if config.indices is not None and config.split not in ("auto", "file"):
        raise InputError(
            f"a file of indices was named, but the split is {config.split!r}",
            fix="Set split to 'file', or leave the file of indices out.",
        )
    if config.split == "group" and config.group is None:
        raise InputError(
            "the split 'group' needs a column to group by", fix="Name it as group (--group)."
        )
    if config.inputs is not None and (both := set(config.inputs) & set(config.target)):
        raise InputError(
            f"{sorted(both)} are both inputs and targets",
            fix="Leave them out of one of the two: a target cannot predict itself.",
        )


def override(config: FinetuneConfig, changes: Mapping[str, Any]) -> FinetuneConfig:
    """Return the configuration with some values replaced: a flag wins over a recipe.

    Args:
        config: What the recipe says.
        changes: New values by field name; None means that the flag was not given.

    Raises:
        InputError: A name is unknown or a value does not fit.

    Example:
        >>> recipe = FinetuneConfig(data="lab.csv", target=("logS",), seed=1)
        >>> override(recipe, {"seed": 2, "folds": None}).seed
        2
    """
    return replace(config, **_given(changes))


def load_recipe(path: Path | str, changes: Mapping[str, Any] | None = None) -> FinetuneConfig:
    """Read a recipe; relative paths in it are taken from the recipe's folder.

    Args:
        path: The YAML file.
        changes: Values that win over the recipe's, as in `override`; with them a recipe may leave
            out ``data`` and ``target``.

    Raises:
        InputError: The file is missing or no YAML, or a key or value in it is wrong. Names the
            file and the line.
    """
    path = Path(path)
    values = _paths_from(path.parent, _read_values(path)) | _given(changes or {})
    if absent := [name for name in ("data", "target") if name not in values]:
        raise InputError(
            f"the recipe does not say {' and '.join(repr(name) for name in absent)}",
            fix=f"Add a line such as {absent[0]}: "
            + ("lab.csv." if absent[0] == "data" else "'logS [log10(mol/L)]'."),
            where=str(path),
        )
    try:
        return FinetuneConfig(**values)
    except InputError as error:
        raise error if error.where else error.at(str(path)) from None


def save_recipe(config: FinetuneConfig, path: Path | str) -> None:
    """Write a recipe that replays the run, through a temporary name.

    Paths are written relative to the recipe's folder, so that a project folder can be moved as a
    whole. ``output`` is left out: where a run was written is no part of what it was, and a replay
    must not overwrite it.
    """
    path = Path(path)
    folder = path.parent.resolve()
    values: dict[str, Any] = {}
    for name in _RULES:
        value = getattr(config, name)
        if name == "output":
            continue
        is_path = name in ("data", "indices") or (name == "base" and _is_folder(value))
        if value is not None and is_path:
            value = _relative(Path(value), folder)
        values[name] = list(value) if isinstance(value, tuple) else value
    body = yaml.safe_dump(values, sort_keys=False, allow_unicode=True, width=1_000)
    head = "# Replays this run: kagaku finetune --recipe config.yaml --output again/\n"
    write_whole(head + body, path)


def _given(changes: Mapping[str, Any]) -> dict[str, Any]:
    """Return the flags that were given, checked and in their declared types."""
    for name in changes:
        _check_known(name, "")
    return {name: _RULES[name](name, new) for name, new in changes.items() if new is not None}


def _check_known(name: str, where: str) -> None:
    if name not in _RULES:
        raise InputError(
            f"there is no setting {name!r}", fix=did_you_mean(str(name), _RULES), where=where
        )


def _is_folder(base: str | None) -> bool:
    """Tell whether a base is a folder rather than a weights name."""
    return base is not None and Path(base).expanduser().is_dir()


def _relative(path: Path, folder: Path) -> str:
    """Return a path as seen from a folder; absolute if they share no root (another drive)."""
    path = path.expanduser().resolve()
    try:
        shown = Path(os.path.relpath(path, folder)).as_posix()
    except ValueError:
        return path.as_posix()
    return shown if shown.startswith(".") else f"./{shown}"


def _paths_from(folder: Path, values: dict[str, Any]) -> dict[str, Any]:
    """Return the recipe's values with its paths made to start from its folder."""
    found = dict(values)
    for name in ("data", "indices", "output"):
        if found.get(name) is not None:
            found[name] = str(folder / Path(found[name]).expanduser())
    if found.get("base") is not None:
        beside = folder / Path(found["base"]).expanduser()
        if found["base"].startswith((".", "/", "~")) or beside.is_dir():
            found["base"] = str(beside)
    return found


def _read_values(path: Path) -> dict[str, Any]:
    """Return the checked values of a recipe by setting, with errors that name the line."""
    loader = yaml.SafeLoader(read_recipe_text(path, instead=DATA_INSTEAD))
    try:
        node = loader.get_single_node()
        if node is None:
            return {}
        if not isinstance(node, yaml.MappingNode):
            raise InputError(
                "a recipe is a list of 'setting: value' lines",
                fix="Start from the shipped configs/finetune.yaml.",
                where=str(path),
            )
        values: dict[str, Any] = {}
        for key_node, value_node in node.value:
            where = f"{path}, line {key_node.start_mark.line + 1}"
            name = str(key_node.value)
            _check_known(name, where)
            if name in values:
                raise InputError(f"{name!r} is set twice", fix="Keep one of them.", where=where)
            try:
                values[name] = _RULES[name](name, loader.construct_object(value_node, deep=True))
            except InputError as error:
                raise error.at(where) from None
    except yaml.YAMLError as error:
        raise syntax_error(path, error) from None
    finally:
        loader.dispose()
    return values
