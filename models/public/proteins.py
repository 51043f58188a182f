"""Public protein language models: embeddings, residue logits, contacts, and scores of variants."""

from collections.abc import Sequence
from typing import ClassVar

import numpy as np
from jaxtyping import Float, Int

from kagaku.errors import InputError
from kagaku.modalities.protein import Protein
from kagaku.models.public.alphabet import ResidueAlphabet
from kagaku.models.public.contact_maps import contact_maps
from kagaku.models.public.encoder import Origin, Progress
from kagaku.models.public.marginals import masked_marginals
from kagaku.models.public.network import TokenNetwork
from kagaku.models.public.running import (
    OVERLAP,
    Framing,
    Piece,
    mean_rows,
    pieces_of,
    token_rows,
)
from kagaku.models.public.token_encoder import Pooling, TokenEncoder, strings
from kagaku.models.public.variants import METHODS, parse_variant
from kagaku.registry import did_you_mean

MASK = "<mask>"
"""What stands for a hidden residue in `ProteinLanguageModel.logits`, whatever the vocabulary."""

LONGEST_CONTACTS = 8_192
"""Residues of the longest protein for which a matrix of contacts is made; it takes 268 MB."""


class ProteinLanguageModel(TokenEncoder):
    """ESM-2 of any size, ESM-1b and ESM-1v, or a BERT on residues such as AntiBERTy.

    Sequences may be of any length. What is longer than the model has seen (1,022 residues for ESM)
    is read in windows of that length that overlap by at least ``overlap`` residues; each residue's
    result is taken from the window in which it stands farther from a cut, and nothing is averaged.

    Args:
        network: The weights.
        origin: Where they came from.
        alphabet: Which id each residue has.
        overlap: Residues that two windows share.
        token_budget: Most tokens in one batch, see `reading_budget`; what is longer gets a batch
            of its own. None for what suits the device.
    """

    modality: ClassVar[str] = "protein"

    def __init__(
        self,
        network: TokenNetwork,
        origin: Origin,
        alphabet: ResidueAlphabet,
        *,
        overlap: int = OVERLAP,
        token_budget: int | None = None,
    ) -> None:
        super().__init__(network, origin)
        self.network: TokenNetwork = network
        self.alphabet, self.token_budget = alphabet, token_budget
        self.framing = Framing(alphabet.start, alphabet.end, network.config.longest - 2, overlap)
        self.dim = network.config.sizes.dim

    @property
    def depth(self) -> int:
        """Number of blocks."""
        return len(self.network.blocks)

    @property
    def pools(self) -> Pooling:
        """Which tokens' mean is the embedding of a protein: its residues'."""
        return "inner"

    def ids_of(self, value: str) -> Int[np.ndarray, " residue"]:
        """Return the ids of a checked sequence's residues, without start and end."""
        return self.alphabet.encode(value)

    def embed(
        self, sequences: Sequence[str], *, layer: int = -1, progress: Progress | None = None
    ) -> Float[np.ndarray, "sequence dim"]:
        """Return the mean embedding of each sequence's residues, float32, in their order.

        Args:
            sequences: One-letter code.
            layer: After which block; 0 is before the first, -1 after the last and its norm.
            progress: Called with windows done and windows in all.

        Raises:
            InputError: A sequence is empty, too long or has other letters; there is no such layer.
        """
        pieces, lengths = self._pieces(sequences)
        return mean_rows(
            self.network,
            pieces,
            len(lengths),
            kept=lambda piece: piece.inner,
            layer=self._layer(layer),
            token_budget=self.token_budget,
            progress=progress,
        )

    def embed_residues(
        self, sequences: Sequence[str], *, layer: int = -1, progress: Progress | None = None
    ) -> list[Float[np.ndarray, "_residue dim"]]:
        """Return one embedding per residue of each sequence, float32; arguments as in `embed`."""
        pieces, lengths = self._pieces(sequences)
        return token_rows(
            self.network,
            pieces,
            lengths,
            layer=self._layer(layer),
            token_budget=self.token_budget,
            progress=progress,
        )

    def logits(
        self, sequences: Sequence[str], *, progress: Progress | None = None
    ) -> list[Float[np.ndarray, "_residue token"]]:
        """Return the model's logits at each residue, float32.

        Columns are the tokens of ``alphabet.tokens``.

        Args:
            sequences: One-letter code; ``<mask>`` hides a residue, such as ``"MK<mask>AYI"``.
            progress: Called with windows done and windows in all.

        Raises:
            InputError: The checkpoint has no language head, or a sequence cannot be used.
        """
        self._need_language_head()
        pieces, lengths = self._pieces(sequences, may_hide=True)
        return token_rows(
            self.network,
            pieces,
            lengths,
            with_logits=True,
            token_budget=self.token_budget,
            progress=progress,
        )

    def contacts(
        self, sequences: Sequence[str], *, progress: Progress | None = None
    ) -> list[Float[np.ndarray, "_residue _residue"]]:
        """Return the probability of each pair of residues to be in contact, float32.

        Of a protein in several windows, pairs that no window has both residues of are NaN, since
        the model never saw them together.

        Raises:
            InputError: The checkpoint has no regression for contacts, or a sequence cannot be used.
        """
        if self.network.contact is None:
            raise InputError(
                f"{self.name} has no regression from attention to contacts",
                fix="Name an ESM checkpoint with contact_head weights.",
            )
        for number, sequence in enumerate(self._checked(sequences), start=1):
            if len(sequence) > LONGEST_CONTACTS:
                raise InputError(
                    f"the protein has {len(sequence)} residues, too many for a matrix of contacts",
                    fix=f"Cut it into domains of at most {LONGEST_CONTACTS}.",
                    where=f"sequence {number}",
                )
        pieces, lengths = self._pieces(sequences)
        return contact_maps(self.network, pieces, lengths, progress=progress)

    def score_variants(
        self,
        sequence: str,
        variants: Sequence[str],
        *,
        method: str = "masked-marginals",
        first_residue: int = 1,
        progress: Progress | None = None,
    ) -> Float[np.ndarray, " variant"]:
        """Return how much likelier each variant is to the model than the wild type, in nats.

        No measurement is used. In a protein longer than the model has seen, a hidden position is
        judged in the window that has it nearest to its middle, and a seen one as in `logits`.

        Args:
            sequence: The wild type.
            variants: Such as ``"A42G"``, or ``"A42G:D51E"`` for several substitutions.
            method: ``"masked-marginals"`` or ``"wild-type-marginals"``; see `variants.METHODS`.
            first_residue: The number that the first residue has in ``variants``.
            progress: Called with passes done and passes in all.

        Raises:
            InputError: The checkpoint has no language head; the sequence cannot be used; or a
                variant does not fit it.
        """
        self._need_language_head()
        if method not in METHODS:
            raise InputError(
                f"there is no method {method!r} to score variants",
                fix=did_you_mean(method, METHODS),
            )
        (wild_type,) = self._checked([sequence])
        if isinstance(variants, str):
            raise InputError("variants must be a list", fix=f"Write [{variants!r}].")
        parsed = [parse_variant(one, wild_type, first_residue) for one in variants]
        return masked_marginals(
            self.network,
            self.framing,
            self.alphabet,
            wild_type,
            parsed,
            hides=method == "masked-marginals",
            token_budget=self.token_budget,
            progress=progress,
        )

    def _checked(self, sequences: Sequence[str]) -> list[str]:
        protein, found = Protein(), []
        for number, sequence in enumerate(strings(sequences, "sequence"), start=1):
            try:
                found.append(protein.check(sequence))
            except InputError as error:
                raise error.at(f"sequence {number}") from None
        return found

    def _pieces(
        self, sequences: Sequence[str], *, may_hide: bool = False
    ) -> tuple[list[Piece], list[int]]:
        hidden: list[list[int]] = []
        if may_hide:
            sequences = strings(sequences, "sequence")
            hidden = [_hidden_places(one) for one in sequences]
            # Whatever stands there while letters are checked is replaced below.
            sequences = [one.replace(MASK, "X") for one in sequences]
        ids = [self.alphabet.encode(one) for one in self._checked(sequences)]
        for one, places in zip(ids, hidden, strict=False):
            one[places] = self.alphabet.mask
        return pieces_of(ids, self.framing), [len(one) for one in ids]

    def _layer(self, layer: int) -> int:
        if not -1 <= layer <= self.depth:
            raise InputError(
                f"there is no layer {layer}",
                fix=f"Choose 0 (before the first block) to {self.depth}, or -1 for the last.",
            )
        return layer

    def _need_language_head(self) -> None:
        if self.network.language is None:
            raise InputError(
                f"{self.name} has no language head, so it gives embeddings only",
                fix="Name a checkpoint that was saved for masked-token prediction.",
            )


def _hidden_places(sequence: str) -> list[int]:
    """Return which residues of a sequence stand as ``<mask>``."""
    places, before = [], 0
    for part in "".join(sequence.split()).split(MASK)[:-1]:
        before += len(part)
        places.append(before)
        before += 1
    return places
