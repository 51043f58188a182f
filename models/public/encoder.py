"""What every public encoder offers to the rest of the suite: one vector per raw value."""

import hashlib
import shutil
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar, TypeVar

import numpy as np
import torch
from jaxtyping import Float
from torch import nn

from kagaku.data.whole_files import written_whole
from kagaku.errors import InputError
from kagaku.models.public.weights import CONFIG_FILE, INDEXED, weights_files

Progress = Callable[[int, int], None]
"""Called with (done, in all)."""

Same = TypeVar("Same", bound="PublicEncoder")

PRECISIONS = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
"""By name, what weights and all that is computed may be held in."""


@dataclass(frozen=True)
class Origin:
    """The folder that a public model came from."""

    folder: Path
    """Holds config.json, the weights, and what tokenises."""

    files: tuple[str, ...]
    """All files that decide what the model answers, as paths within the folder."""

    tuned: str = ""
    """Digest of the weights that fine-tuning made of those in the folder; empty where they are as
    they came."""

    @classmethod
    def of(cls, folder: Path, others: Sequence[str] = ()) -> "Origin":
        """Return the origin of a folder's model, with the other files that it was made from."""
        there = [name for name in (CONFIG_FILE, *others) if (folder / name).is_file()]
        weights = weights_files(folder)
        index = [name for name in INDEXED if (folder / name).is_file() and len(weights) > 1]
        return cls(folder, (*there, *index, *(one.name for one in weights)))

    @cached_property
    def checksum(self) -> str:
        """The sha256 of the list of ``sha256  name`` lines of the files, sorted by name."""
        lines = []
        for name in sorted(self.files):
            with (self.folder / name).open("rb") as stream:
                lines.append(f"{hashlib.file_digest(stream, 'sha256').hexdigest()}  {name}\n")
        return hashlib.sha256("".join([*lines, self.tuned]).encode()).hexdigest()

    @property
    def name(self) -> str:
        """The last part of the folder's name; of a hub's cache, the model's own."""
        folder = self.folder.resolve()
        # The cache lays models--owner--name/snapshots/<commit>.
        if folder.parent.name == "snapshots" and folder.parts[-3].startswith("models--"):
            return folder.parts[-3].rpartition("--")[2]
        return folder.name

    def describe(self) -> dict[str, str]:
        """Return name and checksum, for a run's provenance."""
        return {"name": self.name, "sha256": self.checksum}

    def copy(self, folder: Path) -> None:
        """Copy the files into a folder, each through a temporary name."""
        for name in self.files:
            place = folder / name
            place.parent.mkdir(parents=True, exist_ok=True)
            with written_whole(place) as partial:
                shutil.copyfile(self.folder / name, partial)


class PublicEncoder(ABC):
    """A public model as an encoder of one modality.

    It is not a base of the shared backbone: it has its own tokens and reads one modality. What it
    shares is the packed path beneath, and this face above.

    Args:
        network: The weights.
        origin: Where they came from.
    """

    modality: ClassVar[str]
    """The registered name of what it reads."""

    dim: int
    """Width of an embedding."""

    def __init__(self, network: nn.Module, origin: Origin) -> None:
        self.network, self.origin = network, origin

    @property
    def name(self) -> str:
        """What reports call it."""
        return self.origin.name

    @property
    def device(self) -> torch.device:
        """Where its weights are."""
        return next(self.network.parameters()).device

    def to(
        self: Same, device: torch.device | str | None = None, precision: str | None = None
    ) -> Same:
        """Move the weights to a device, and to another precision, and return the encoder.

        Raises:
            InputError: There is no precision of that name.
        """
        dtype = None if precision is None else precision_of(precision)
        self.network.to(device=device, dtype=dtype)
        return self

    @abstractmethod
    def embed(
        self, values: Sequence[Any], *, progress: Progress | None = None
    ) -> Float[np.ndarray, "value dim"]:
        """Return one vector per value of its modality, float32, in their order."""

    def embed_values(
        self, values: Sequence[Any], *, progress: Progress | None = None
    ) -> Float[np.ndarray, "value dim"]:
        """Return what `embed` gives for checked values, whatever the modality calls them."""
        return self.embed(values, progress=progress)


def precision_of(name: str) -> torch.dtype:
    """Return the type of a precision by its name.

    Raises:
        InputError: There is none of that name.
    """
    if name not in PRECISIONS:
        raise InputError(
            f"there is no precision {name!r}", fix=f"Choose from {sorted(PRECISIONS)}."
        )
    return PRECISIONS[name]
