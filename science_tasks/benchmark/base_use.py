"""The base of a benchmark: loaded when a method first asks for it."""

from collections.abc import Callable

from kagaku.models.pretraining.stored import Pretrained
from kagaku.science_tasks.benchmark.task import no_heads
from kagaku.science_tasks.public_embeddings import FrozenEncoder, name_of
from kagaku.science_tasks.resumable import encoder_fingerprint


class BaseUse:
    """Gives the base when a method first asks for it, and remembers whether any did.

    Args:
        load: Gives the encoder.
        load_pretrained: Gives it with its heads; raises InputError if it has none.
    """

    def __init__(
        self,
        load: Callable[[], FrozenEncoder],
        load_pretrained: Callable[[], Pretrained] = no_heads,
    ) -> None:
        self._load, self._load_pretrained = load, load_pretrained
        self._encoder: FrozenEncoder | None = None
        self._pretrained: Pretrained | None = None
        self._fingerprint = ""
        self.is_used = False

    def __call__(self) -> FrozenEncoder:
        """Return the encoder."""
        self.is_used = True
        return self._loaded()

    def pretrained(self) -> Pretrained:
        """Return the encoder with the heads that it was pretrained with.

        Raises:
            InputError: It has none.
        """
        if self._pretrained is None:
            self._pretrained = self._load_pretrained()
        self.is_used = True
        return self._pretrained

    @property
    def fingerprint(self) -> str:
        """A short text that two encoders share only if their weights are the same."""
        if not self._fingerprint:
            self._fingerprint = encoder_fingerprint(self._loaded())
        return self._fingerprint

    @property
    def name(self) -> str:
        """What the encoder is called."""
        return name_of(self._loaded())

    def _loaded(self) -> FrozenEncoder:
        if self._encoder is None:
            self._encoder = self._load()
        return self._encoder
