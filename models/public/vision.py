"""Public vision transformers of timm: one vector per image, whatever its shape."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import interpolate

from kagaku.errors import InputError
from kagaku.modalities.image import ImageConfig
from kagaku.modalities.image_files import read_image
from kagaku.modalities.image_pixels import unit_range
from kagaku.models.public.config import entries_of
from kagaku.models.public.encoder import Origin, Progress, PublicEncoder
from kagaku.models.public.vision_network import VisionNetwork, from_timm
from kagaku.models.public.weights import read_weights
from kagaku.models.token_budget import reading_budget

_TIMM_REFUSES = (
    TypeError,
    ValueError,
    AssertionError,
    RuntimeError,
    ArithmeticError,
    AttributeError,
    LookupError,
)
"""What timm raises on settings that make no sense; it has no error of its own."""


@dataclass(frozen=True)
class Pixels:
    """How a model wants its images; timm's pretrained_cfg."""

    mean: tuple[float, ...]
    """Of each channel, for pixels from 0 to 1."""

    std: tuple[float, ...]
    """Of each channel."""


class VisionEncoder(PublicEncoder):
    """A plain vision transformer of timm, without its classifier.

    An image is read whole: scaled, with its proportions kept, so that its longer side is that of
    the model's own input, and to whole patches. timm's evaluation instead crops the middle square;
    for square images without a crop both see the same.

    Args:
        network: The weights.
        origin: Where they came from.
        pixels: What is subtracted from pixels and divides them.
    """

    modality: ClassVar[str] = "image"

    def __init__(self, network: VisionNetwork, origin: Origin, pixels: Pixels) -> None:
        super().__init__(network, origin)
        self.network: VisionNetwork = network
        self.pixels = pixels
        self.dim = network.config.sizes.dim

    def prepare(self, value: Path | np.ndarray) -> Float[Tensor, "channel row column"]:
        """Return an image file, or an array (row, column[, channel]), as the model wants it.

        Raises:
            InputError: It cannot be read, or has another number of channels than the model and
                more than one.
        """
        stored = (
            read_image(Path(value), ImageConfig().max_pixels)
            if not isinstance(value, np.ndarray)
            else value.reshape(*value.shape[:2], -1)
        )
        image = torch.from_numpy(unit_range(stored))
        wanted = self.network.config.channels
        if len(image) == 1:
            image = image.expand(wanted, -1, -1)
        if len(image) != wanted:
            raise InputError(
                f"the image has {len(image)} channels, and {self.name} reads {wanted}",
                fix="Choose the channels that matter, or a model without such a limit.",
            )
        size = self._size(image.shape[1], image.shape[2])
        resized = interpolate(
            image[None], size=size, mode="bicubic", align_corners=False, antialias=True
        )[0].clamp(0, 1)
        mean, std = (
            torch.tensor(one)[:, None, None] for one in (self.pixels.mean, self.pixels.std)
        )
        return (resized - mean) / std

    def _size(self, rows: int, columns: int) -> tuple[int, int]:
        """Return rows and columns, in whole patches, of an image of the given shape."""
        height, width = self.network.config.patch
        down, across = self.network.config.grid
        scale = min(down * height / rows, across * width / columns)
        return (
            max(1, round(rows * scale / height)) * height,
            max(1, round(columns * scale / width)) * width,
        )

    def embed(
        self, images: Sequence[Path | np.ndarray], *, progress: Progress | None = None
    ) -> Float[np.ndarray, "image dim"]:
        """Return one embedding per image, float32, in their order: what a classifier would read.

        Raises:
            InputError: An image cannot be read or has other channels.
        """
        found = np.zeros((len(images), self.dim), dtype=np.float32)
        down, across = self.network.config.grid
        step = max(1, reading_budget(self.network.prefix) // (down * across))
        with torch.inference_mode():
            for start in range(0, len(images), step):
                batch = [self.prepare(one).to(self.device) for one in images[start : start + step]]
                pooled = self.network.pooled(*self.network(batch))
                found[start : start + len(batch)] = pooled.float().cpu().numpy()
                if progress is not None:
                    progress(start + len(batch), len(images))
        return found


def load_vision(folder: Path, stored: Mapping[str, Any]) -> VisionEncoder:
    """Return the encoder in a folder of timm's format.

    Args:
        folder: Holds config.json and the weights.
        stored: What config.json says.

    Raises:
        InputError: The architecture is not known or not supported, or the weights do not fit it.
    """
    import timm

    architecture = str(stored["architecture"]).partition(".")[0]
    if not timm.is_model(architecture):
        raise InputError(
            f"timm {timm.__version__} knows no architecture {architecture!r}",
            fix="Install a newer timm.",
        )
    weights = read_weights(folder)
    settings = entries_of(stored, "pretrained_cfg")
    try:
        model = timm.create_model(
            architecture,
            pretrained=False,
            num_classes=stored.get("num_classes", settings.get("num_classes", 1000)),
            **entries_of(stored, "model_args"),
        )
    except _TIMM_REFUSES as error:
        raise InputError(
            f"timm makes no {architecture} of it ({type(error).__name__}: {error})",
            fix="Copy the model's config.json again, and check its num_classes and model_args.",
        ) from None
    try:
        model.load_state_dict(weights, strict=True)
    except RuntimeError as error:
        lines = [line.strip() for line in str(error).splitlines()[1:]]
        raise InputError(
            f"the weights are not those of {architecture}: {' '.join(lines)[:300]}",
            fix="Check that config.json and the weights belong together.",
        ) from None
    network = from_timm(model)
    mean, std = (
        _channels(settings.get(name) or model.default_cfg[name], name, network.config.channels)
        for name in ("mean", "std")
    )
    return VisionEncoder(network, Origin.of(folder), Pixels(mean, std))


def _channels(values: Any, name: str, n_channels: int) -> tuple[float, ...]:
    """Return one number for each channel; what divides pixels is positive.

    Raises:
        InputError: They are something else.
    """
    try:
        numbers = tuple(float(one) for one in values)
    except (TypeError, ValueError):
        numbers = ()
    least = -math.inf if name == "mean" else 0.0
    if len(numbers) != n_channels or not all(least < one < math.inf for one in numbers):
        kind = "numbers" if name == "mean" else "positive numbers"
        raise InputError(
            f"the {name} of its pixels (pretrained_cfg) is {values!r}, and not {n_channels} {kind}",
            fix="Copy the model's config.json again.",
        )
    return numbers
