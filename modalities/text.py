"""Text in any script, as byte-pair tokens of its UTF-8 bytes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any, ClassVar

from tokenizers import Tokenizer

from kagaku.errors import InputError
from kagaku.modalities.base import MODALITIES, Tokens
from kagaku.modalities.sequence import (
    END_ID,
    N_SPECIALS,
    START_ID,
    SequenceModality,
    sequence_tokens,
)
from kagaku.modalities.stored_config import restore_config

MAX_TOKEN_BYTES = 16
"""Longest token of the vocabulary, in bytes; fixed when it was trained."""

ANY_LENGTH = 2**31 - 1
"""As `TextConfig.max_tokens`: no limit, where another model's tokens are made of the text."""


@dataclass(frozen=True)
class TextConfig:
    """Settings of the text modality."""

    max_tokens: int = 4_096
    """Longest text accepted, in tokens with start and end; longer ones are refused, never cut."""

    def __post_init__(self) -> None:
        """Check the settings once, where they are made."""
        if self.max_tokens < 3:
            raise InputError(
                f"max_tokens must be at least 3, got {self.max_tokens}",
                fix="A start token, an end token and one in between are the shortest text.",
            )


@cache
def text_tokenizer() -> Tokenizer:
    """Return the shipped vocabulary, loaded once; see text_vocabulary.md for where it is from."""
    stored = resources.files("kagaku.modalities").joinpath("text_vocabulary.json")
    return Tokenizer.from_str(stored.read_text(encoding="utf-8"))


@MODALITIES.register("text")
class Text(SequenceModality[str]):
    """Free text: a procedure, an abstract, a category.

    The text is taken byte by byte: nothing is normalised, so every text comes back unchanged from
    its tokens, and two spellings of one letter stay two spellings.

    Args:
        config: Limits; see `TextConfig`.
    """

    name: ClassVar[str] = "text"
    vocabulary_size: ClassVar[int] = 8_192

    config: TextConfig

    def __init__(self, config: TextConfig | None = None) -> None:
        self.config = config or TextConfig()

    def check(self, value: str) -> str:
        """Return the text as it is.

        Raises:
            InputError: It is empty, too long, has NUL characters, or is not valid Unicode.
        """
        if not value.strip():
            raise InputError("the text is empty", fix="Drop the row or fill it in.")
        if (position := value.find("\0")) >= 0:
            raise InputError(
                f"the text has a NUL character (character {position + 1})",
                fix="The file is probably not plain text; export it again as UTF-8.",
            )
        try:
            n_bytes = len(value.encode())
        except UnicodeEncodeError as error:
            raise InputError(
                f"the text is not valid Unicode (character {error.start + 1} is half of a pair)",
                fix="The file was read with the wrong encoding; save it as UTF-8.",
            ) from None
        if n_bytes + 2 <= self.config.max_tokens:
            return value  # no token is shorter than a byte
        # A 10 MB cell is refused by its size, before time is spent on counting its tokens.
        if n_bytes > MAX_TOKEN_BYTES * self.config.max_tokens:
            raise self._too_long(
                f"{n_bytes:,} bytes, too long for {self.config.max_tokens:,} tokens"
            )
        if (n_tokens := len(_encode(value)) + 2) > self.config.max_tokens:
            raise self._too_long(f"{n_tokens:,} tokens, more than {self.config.max_tokens:,}")
        return value

    def _too_long(self, how: str) -> InputError:
        return InputError(
            f"the text has {how}",
            fix="Use a shorter text, such as the abstract, or one passage per row.",
        )

    def tokenize(self, value: str) -> Tokens:
        """Return a start token, the text's tokens, and an end token."""
        return sequence_tokens([START_ID, *_encode(value), END_ID])

    def decode(self, ids: Sequence[int]) -> str:
        """Return the text that tokens stand for, leaving out start, end and mask.

        Example:
            >>> Text().decode(Text().tokenize("µ = 3.5 Å").ids[:, 0].tolist())
            'µ = 3.5 Å'
        """
        text: str = text_tokenizer().decode(
            [one for one in ids if one >= N_SPECIALS], skip_special_tokens=False
        )
        return text

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Restore the limits."""
        self.config = restore_config(TextConfig, state, self.name)


def _encode(text: str) -> list[int]:
    ids: list[int] = text_tokenizer().encode(text, add_special_tokens=False).ids
    return ids
