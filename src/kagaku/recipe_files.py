"""Recipe files as text: found, small enough, UTF-8; and what a YAML parser says of them."""

from importlib.resources import files
from pathlib import Path

import yaml

from kagaku.errors import InputError
from kagaku.registry import did_you_mean

MAX_RECIPE_BYTES = 1_000_000
"""No recipe is longer than this; a longer file is data that was named by mistake."""


def read_recipe_text(path: Path, *, instead: str = "Name a YAML recipe.") -> str:
    """Return the text of a recipe.

    Args:
        path: The file.
        instead: What to do where the file is too large to be a recipe.

    Raises:
        InputError: There is no such file, it is too large, or it is not UTF-8.
    """
    where = str(path)
    if not path.is_file():
        beside = [one.name for one in path.parent.glob("*.y*ml")] if path.parent.is_dir() else []
        fix = did_you_mean(path.name, beside) if beside else "Check the path."
        if (shipped := Path(str(files("kagaku.configs") / path.name))).is_file():
            fix = f"The one that came with kagaku is {shipped}."
        raise InputError("there is no such recipe", fix=fix, where=where)
    if path.stat().st_size > MAX_RECIPE_BYTES:
        raise InputError(
            f"the file has {path.stat().st_size:,} bytes, too many for a recipe",
            fix=instead,
            where=where,
        )
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise InputError(
            f"the file is not UTF-8 text (byte {error.start})",
            fix="Save the recipe as UTF-8 text.",
            where=where,
        ) from None


def syntax_error(path: Path, error: yaml.YAMLError) -> InputError:
    """Return a YAML parser's complaint as an error that names the line."""
    mark = getattr(error, "problem_mark", None)
    problem = getattr(error, "problem", None) or str(error).splitlines()[0]
    return InputError(
        f"this is not YAML ({problem})",
        fix="Quote names with a colon, a hash or a leading bracket; indent with spaces.",
        where=f"{path}, line {mark.line + 1}" if mark else str(path),
    )
