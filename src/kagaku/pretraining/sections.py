"""Recipes with sections: YAML read strictly into nested frozen dataclasses, errors with lines."""

import types
import typing
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, fields, is_dataclass
from pathlib import Path
from typing import Any, TypeVar

import yaml

from kagaku.errors import InputError
from kagaku.recipe_files import read_recipe_text, syntax_error
from kagaku.registry import did_you_mean

T = TypeVar("T")

_PLAIN: dict[Any, tuple[tuple[type, ...], str]] = {
    bool: ((bool,), "true or false"),
    int: ((int,), "a whole number"),
    float: ((int, float), "a number"),
    str: ((str,), "text"),
}


@dataclass(frozen=True)
class Section:
    """One mapping of a recipe, with the line of each of its keys."""

    place: str
    """The file, and the line where it starts."""

    values: dict[str, Any]
    """By key, plain values; a nested mapping is a `Section`."""

    places: dict[str, str]
    """By key, the file and the line."""


def read_sections(path: Path) -> Section:
    """Return the contents of a recipe with their places.

    Raises:
        InputError: The file is missing, no YAML, no mapping, or sets a key twice.
    """
    loader = yaml.SafeLoader(read_recipe_text(path))
    try:
        node = loader.get_single_node()
        if not isinstance(node, yaml.MappingNode):
            raise InputError(
                "a recipe is a list of 'setting: value' lines",
                fix="Start from one of the shipped recipes.",
                where=str(path),
            )
        return _section(loader, node, path)
    except yaml.YAMLError as error:
        raise syntax_error(path, error) from None
    finally:
        loader.dispose()


def build(kind: type[T], section: Section, *, absent: tuple[str, ...] = ()) -> T:
    """Return a dataclass made of a section; nested dataclasses are made of nested sections.

    Args:
        kind: The dataclass; its own checks may raise `InputError`.
        section: The values.
        absent: Fields that a recipe may not set here.

    Raises:
        InputError: A key is unknown or missing, or a value has the wrong type or range. Names the
            line.
    """
    assert is_dataclass(kind)
    hints = typing.get_type_hints(kind)
    known = [one.name for one in fields(kind) if one.name not in absent]
    values = {}
    for name, value in section.values.items():
        where = section.places[name]
        if name not in known:
            raise InputError(
                f"there is no setting {name!r} here", fix=did_you_mean(name, known), where=where
            )
        try:
            values[name] = _converted(name, value, hints[name])
        except InputError as error:
            raise error if error.where else error.at(where) from None
    required = [
        one.name
        for one in fields(kind)
        if one.default is MISSING and one.default_factory is MISSING and one.name not in values
    ]
    if required:
        raise InputError(
            f"the recipe does not say {required[0]!r}",
            fix=f"Add a line '{required[0]}: ...'.",
            where=section.place,
        )
    try:
        return kind(**values)
    except InputError as error:
        # The line of the setting that the message is about, where it names one.
        named = [name for name in values if name in error.what.split()]
        place = section.places[named[0]] if named else section.place
        raise error if error.where else error.at(place) from None


def _converted(name: str, value: Any, hint: Any) -> Any:
    """Return a value in the type of its field."""
    choices = typing.get_args(hint)
    if typing.get_origin(hint) in (types.UnionType, typing.Union):
        if value is None:
            return None
        hint = next(one for one in choices if one is not types.NoneType)
    if isinstance(value, Section):
        if is_dataclass(hint) and isinstance(hint, type):
            return build(hint, value)
        if typing.get_origin(hint) in (dict, Mapping) or _is_mapping(hint):
            inner = typing.get_args(hint)[1]
            return {
                key: _converted(f"{name}.{key}", one, inner) for key, one in value.values.items()
            }
        raise InputError(f"{name} must be one value, got a list of settings", fix="Correct it.")
    if hint is float and isinstance(value, str):
        value = _parsed(value)  # YAML 1.1 takes 1e-3, without a dot, for text
    wanted, word = _PLAIN.get(hint, ((Section,), "a list of indented settings"))
    if not isinstance(value, wanted) or (isinstance(value, bool) and hint is not bool):
        raise InputError(f"{name} must be {word}, got {value!r}", fix="Correct it.")
    return float(value) if isinstance(value, (int, float)) and hint is float else value


def _is_mapping(hint: Any) -> bool:
    origin = typing.get_origin(hint)
    return isinstance(origin, type) and issubclass(origin, Mapping)


def _section(loader: yaml.SafeLoader, node: yaml.MappingNode, path: Path) -> Section:
    values: dict[str, Any] = {}
    places: dict[str, str] = {}
    for key_node, value_node in node.value:
        name = str(key_node.value)
        where = f"{path}, line {key_node.start_mark.line + 1}"
        if name in values:
            raise InputError(f"{name!r} is set twice", fix="Keep one of them.", where=where)
        places[name] = where
        if isinstance(value_node, yaml.MappingNode):
            values[name] = _section(loader, value_node, path)
        else:
            values[name] = loader.construct_object(value_node, deep=True)
    return Section(f"{path}, line {node.start_mark.line + 1}", values, places)


def _parsed(value: str) -> float | str:
    try:
        return float(value)
    except ValueError:
        return value
