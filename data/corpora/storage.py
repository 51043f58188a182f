"""The manifest as JSON beside its shards."""

import json
from collections.abc import Mapping
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any, TypeVar

from kagaku.data.corpora.manifest import (
    DescriptorScale,
    Manifest,
    ShardInfo,
    SourceInfo,
    StepCount,
)
from kagaku.data.whole_files import write_json
from kagaku.errors import InputError

MANIFEST = "manifest.json"
HELD_OUT = "held_out.csv"

FORMAT_VERSION = 1
"""Version of the layout of a corpus folder."""

T = TypeVar("T")


def save_manifest(manifest: Manifest, folder: Path) -> None:
    """Write the manifest through a temporary name."""
    write_json({"format_version": FORMAT_VERSION, **asdict(manifest)}, folder / MANIFEST)


def load_manifest(folder: Path) -> Manifest:
    """Return the manifest of a corpus folder.

    Raises:
        InputError: There is none, it is damaged, or another version of kagaku wrote it.
    """
    path = folder / MANIFEST
    if not folder.is_dir():
        raise InputError(
            "there is no such folder",
            fix="Build a corpus first: kagaku corpus build RECIPE.",
            where=str(folder),
        )
    if not path.is_file():
        raise InputError(
            f"the folder has no {MANIFEST}, so it is no finished corpus",
            fix="Run the same `kagaku corpus build` again; it goes on where it stopped.",
            where=str(folder),
        )
    try:
        stored = json.loads(path.read_text(encoding="utf-8"))
        version = stored.pop("format_version")
    except (ValueError, KeyError, AttributeError) as error:
        raise _damaged(path, error) from None
    if version != FORMAT_VERSION:
        raise InputError(
            f"the corpus has format {version!r}, and this kagaku reads format {FORMAT_VERSION}",
            fix="Build it again, or use the kagaku version that built it.",
            where=str(path),
        )
    try:
        return _manifest(stored)
    except (TypeError, ValueError, KeyError, AttributeError) as error:
        raise _damaged(path, error) from None


def source_from_json(stored: Mapping[str, Any]) -> SourceInfo:
    """Return the source that ``asdict`` turned into these plain values."""
    return _made(
        SourceInfo,
        stored,
        inputs=dict(stored["inputs"]),
        steps=tuple(_made(StepCount, step) for step in stored["steps"]),
        train=tuple(_made(ShardInfo, shard) for shard in stored["train"]),
        valid=tuple(_made(ShardInfo, shard) for shard in stored["valid"]),
    )


def _manifest(stored: Mapping[str, Any]) -> Manifest:
    scale = stored["descriptors"]
    if scale is not None:
        scale = _made(DescriptorScale, {name: tuple(values) for name, values in scale.items()})
    return _made(
        Manifest,
        stored,
        sources=tuple(source_from_json(one) for one in stored["sources"]),
        descriptors=scale,
        held_out=dict(stored["held_out"]),
        notes=tuple(stored["notes"]),
    )


def _made(cls: type[T], stored: Mapping[str, Any], **replaced: Any) -> T:
    names = {one.name for one in fields(cls)}  # type: ignore[arg-type]
    if unknown := set(stored) - names:
        raise ValueError(f"unknown entries {sorted(unknown)}")
    return cls(**{**stored, **replaced})


def _damaged(path: Path, error: Exception) -> InputError:
    return InputError(
        f"the manifest is damaged ({type(error).__name__}: {error})",
        fix="Copy the corpus again, or build it again.",
        where=str(path),
    )
