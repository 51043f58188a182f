"""What every modality must do: check raw values, turn them into tokens, embed the tokens."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Generic, TypeVar

import numpy as np
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from kagaku.data.columns import know_modality
from kagaku.registry import Registry

Raw = TypeVar("Raw")


@dataclass(frozen=True)
class Tokens:
    """The tokens of one raw value.

    One form serves every modality, so that packing and the backbone need not know which kind of
    data they carry: each token has some integers (`ids`: a residue, a word piece, a hashed
    variable name), some reals (`values`: the pixels of a patch, a standardised number), or both.
    """

    ids: Int[np.ndarray, "token n_ids"]
    """Integer features of each token; n_ids is fixed per modality and may be 0."""

    values: Float[np.ndarray, "token n_values"]
    """Real features of each token, float32; n_values is fixed per modality and may be 0."""

    positions: Float[np.ndarray, "token 3"]
    """Where each token stands: (sequence index or time, row or latitude, column or longitude)."""

    def __len__(self) -> int:
        return len(self.positions)


class Modality(ABC, Generic[Raw]):
    """Turns raw values of one kind into tokens, and gives the module that embeds them.

    To add a modality, write one file in ``modalities/`` with one subclass under
    ``@MODALITIES.register("name")``, import it in ``modalities/__init__.py`` and add its entry to
    the contract tests; ARCHITECTURE.md lists what else can be taught about it.

    Tokenising is plain NumPy, so that it can run in a worker process; only `embedder` is torch.
    Statistics that tokenising needs (the mean of a variable, say) are learnt once by `fit` on
    training values and travel with the run through `state`.
    """

    name: ClassVar[str]
    """The word that names this modality in recipes, schemas and checkpoints."""

    n_ids: int
    """Integer features per token."""

    n_values: int
    """Real features per token; fixed per instance, since a patch's size is a setting."""

    vocabulary_size: ClassVar[int] = 0
    """For modalities whose token is one of a fixed set (ids[:, 0]), how many there are; masked
    pretraining predicts these. 0 for continuous modalities, whose `values` are reconstructed."""

    n_specials: ClassVar[int] = 0
    """How many ids at the start of a vocabulary say nothing about the value: start, end, mask.
    They are never hidden, and never asked for but for the end of what is generated."""

    @abstractmethod
    def check(self, value: Raw) -> Raw:
        """Return ``value`` in its canonical form.

        Raises:
            InputError: The value cannot be tokenised. Says what is wrong and how to mend it; the
                caller adds the place.
        """

    @abstractmethod
    def tokenize(self, value: Raw) -> Tokens:
        """Return the tokens of one checked value; at least one token."""

    @abstractmethod
    def hide(self, tokens: Tokens, chosen: Bool[np.ndarray, " token"]) -> Tokens:
        """Return the tokens with the chosen ones blanked, as pretraining shows them.

        A blank token keeps its position and whatever tells what is asked there (the name of a
        variable), and loses what the answer is.
        """

    @abstractmethod
    def crop(self, tokens: Tokens, most: int, rng: np.random.Generator) -> Tokens:
        """Return a random connected part of at most ``most`` tokens: a window, a region.

        What fits is returned as it is. Positions of a window start anew, those on a grid stay.
        """

    def vary(self, value: Raw, rng: np.random.Generator) -> Raw:  # noqa: ARG002
        """Return a checked value as it might as well have been measured; by default, itself.

        What pretraining shows of little data is varied by this, where the value stands alone:
        nothing beside it tells of what is changed. It gives no more tokens than the value does.
        """
        return value

    def answers(
        self, tokens: Tokens
    ) -> tuple[Float[np.ndarray, "token answer"], Float[np.ndarray, "token answer"]]:
        """Return the reals that pretraining asks of hidden tokens, and how much each counts.

        Only continuous modalities are asked for reals. A weight of 0 says that nothing was
        measured; else weights are relative to an ordinary answer's, which has 1.

        Args:
            tokens: As `tokenize` gave them, nothing hidden.
        """
        return tokens.values, np.ones_like(tokens.values)

    @abstractmethod
    def embedder(self, dim: int) -> nn.Module:
        """Return a fresh module: (ids (token, n_ids), values (token, n_values)) -> (token, dim).

        Its random weights shall give values of about unit size, so that a modality which joins a
        pretrained encoder late speaks neither louder nor lower than the others.
        """

    def fit(self, values: Sequence[Raw]) -> None:
        """Learn what tokenising needs from checked training values; most need nothing."""

    def state(self) -> dict[str, Any]:
        """Return what `fit` learnt as plain JSON values."""
        return {}

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Restore what `state` gave."""


MODALITIES: Registry[Modality[Any]] = Registry("modality", told=know_modality)
Embeddings = Float[Tensor, "token dim"]
