"""Where and how exactly embeddings are computed: the device and the precision."""

from contextlib import AbstractContextManager
from dataclasses import dataclass

import torch

from kagaku.errors import InputError
from kagaku.models.precision import bfloat16_gain
from kagaku.models.public import PublicEncoder
from kagaku.registry import did_you_mean
from kagaku.science_tasks.public_embeddings import FrozenEncoder

DEVICES = ("auto", "cpu", "cuda")

PRECISIONS = ("float32", "bfloat16")


@dataclass(frozen=True)
class Computing:
    """On which device encoders run, and in which precision; vectors are float32 in any case."""

    device: str = "auto"
    """``"cpu"``, ``"cuda"``, or ``"auto"``: the GPU where this process finds one."""

    precision: str = "float32"
    """``"float32"``, or ``"bfloat16"`` for matrix products (of a public model, for everything)."""

    def __post_init__(self) -> None:
        """Check both names."""
        for flag, given, known in (
            ("device", self.device, DEVICES),
            ("precision", self.precision, PRECISIONS),
        ):
            if given not in known:
                raise InputError(f"there is no {flag} {given!r}", fix=did_you_mean(given, known))

    def settled(self) -> "Computing":
        """Return the same with a device that has a name."""
        if self.device != "auto":
            return self
        return Computing("cuda" if torch.cuda.is_available() else "cpu", self.precision)

    def check(self) -> None:
        """Check that this process has the device.

        Raises:
            InputError: It finds no GPU.
        """
        if self.device == "cuda" and not torch.cuda.is_available():
            raise InputError(
                "torch finds no GPU here",
                fix="Give --device cpu, or run where there is one, with a torch built for it.",
            )

    def warning(self) -> str | None:
        """Return what the user should know of the precision on this machine; None if nothing."""
        if self.precision != "bfloat16" or self.settled().device != "cpu":
            return None
        if (gain := bfloat16_gain("cpu")) >= 1.0:
            return None
        return (
            f"Matrix products take {1 / gain:,.0f} times as long in bfloat16 as in float32 on this "
            "processor: leave --precision out."
        )

    def place(self, encoder: FrozenEncoder) -> None:
        """Move an encoder to the device; a public one takes on the precision too.

        Raises:
            InputError: This process finds no GPU.
        """
        self.check()
        device = self.settled().device
        if isinstance(encoder, PublicEncoder):
            encoder.to(device, self.precision)
        else:
            encoder.to(device)

    def running(self, encoder: FrozenEncoder) -> AbstractContextManager[object]:
        """Return the context in which an encoder runs, once it is placed.

        Of the suite's encoders, weights, sums and norms stay float32, as in pretraining.
        """
        is_mixed = self.precision == "bfloat16" and not isinstance(encoder, PublicEncoder)
        return torch.autocast(self.settled().device, torch.bfloat16, enabled=is_mixed)
