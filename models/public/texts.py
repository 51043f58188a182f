"""Public text encoders of BERT's family: SciBERT, MatSciBERT, sentence encoders such as MiniLM."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from jaxtyping import Float, Int
from tokenizers import Tokenizer
from tokenizers.implementations import BertWordPieceTokenizer

from kagaku.errors import InputError
from kagaku.models.checkpoint import read_stored
from kagaku.models.public.encoder import Origin, Progress
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

TOKENIZER_FILES = ("tokenizer.json", "vocab.txt", "tokenizer_config.json")
POOLING_FILE = Path("1_Pooling") / "config.json"
MODULES_FILE = "modules.json"
MODULES = ("Transformer", "Pooling", "Normalize")
"""Parts that a sentence encoder may be made of; vectors are not scaled to length 1 here, whatever
it says."""

START, END = "[CLS]", "[SEP]"

_CAPITAL = re.compile(r"[A-Z]")


def read_tokenizer(folder: Path, vocabulary_size: int) -> Tokenizer:
    """Return the word-piece tokenizer of a folder: its tokenizer.json, or made from its vocab.txt.

    Raises:
        InputError: There is neither, or it does not fit the model.
    """
    stored, vocabulary = folder / "tokenizer.json", folder / "vocab.txt"
    if stored.is_file():
        try:
            tokenizer = Tokenizer.from_file(str(stored))
        except Exception as error:  # noqa: BLE001 (tokenizers raises plain Exceptions)
            raise InputError(
                f"it cannot be read ({error})", fix="Copy the folder again.", where=str(stored)
            ) from None
        # Stored settings would cut texts and fill up short ones; here none is cut or filled.
        tokenizer.no_truncation()
        tokenizer.no_padding()
    elif vocabulary.is_file():
        tokenizer = _from_vocabulary(vocabulary)
    else:
        raise InputError(
            "there is neither tokenizer.json nor vocab.txt, so no text can be read",
            fix="Copy one from where the weights are from.",
            where=str(folder),
        )
    ids = [tokenizer.token_to_id(one) for one in (START, END)]
    if None in ids or tokenizer.get_vocab_size() > vocabulary_size:
        raise InputError(
            f"the tokenizer has {tokenizer.get_vocab_size()} tokens ({START}: {ids[0]}, {END}: "
            f"{ids[1]}), and config.json says {vocabulary_size}",
            fix="Check that the tokenizer and the weights belong together.",
            where=str(folder),
        )
    return tokenizer


def _from_vocabulary(path: Path) -> Tokenizer:
    """Return BERT's tokenizer; where no file says so, capitals in the vocabulary tell its case."""
    tokens = path.read_text(encoding="utf-8").splitlines()
    settings: dict[str, Any] = {}
    if (beside := path.with_name("tokenizer_config.json")).is_file():
        settings = _entries(beside)
    is_cased = any(_CAPITAL.search(one) for one in tokens if not one.startswith("["))
    made = BertWordPieceTokenizer(
        str(path),
        lowercase=bool(settings.get("do_lower_case", not is_cased)),
        strip_accents=_switch(settings, "strip_accents", beside),
        handle_chinese_chars=bool(settings.get("tokenize_chinese_chars", True)),
    )
    tokenizer: Tokenizer = made._tokenizer  # the plain one beneath, which has the settings
    return tokenizer


def read_pooling(folder: Path) -> str:
    """Return ``"mean"`` or ``"start"``: what a sentence encoder's folder says; else the mean.

    Raises:
        InputError: It says something else.
    """
    _check_modules(folder / MODULES_FILE)
    path = folder / POOLING_FILE
    if not path.is_file():
        return "mean"
    stored = _entries(path)
    modes = [name for name, is_on in stored.items() if name.startswith("pooling_mode") and is_on]
    known = {"pooling_mode_mean_tokens": "mean", "pooling_mode_cls_token": "start"}
    if len(modes) != 1 or modes[0] not in known:
        raise InputError(
            f"it pools by {modes}", fix=f"Only one of {sorted(known)} is known.", where=str(path)
        )
    return known[modes[0]]


def _entries(path: Path) -> dict[str, Any]:
    """Return the entries of a file of settings."""
    stored = read_stored(path)
    if not isinstance(stored, dict):
        raise InputError("it holds no settings", fix="Copy the folder again.", where=str(path))
    return stored


def _switch(settings: Mapping[str, Any], name: str, path: Path) -> bool | None:
    """Return an entry that is true, false or null."""
    value = settings.get(name)
    if value is not None and not isinstance(value, bool):
        raise InputError(
            f"its {name} is {value!r}, and neither true, false nor null",
            fix="Copy the folder again.",
            where=str(path),
        )
    return value


def _check_modules(path: Path) -> None:
    """Refuse a sentence encoder with further parts, such as a dense layer behind the pooling."""
    if not path.is_file():
        return
    stored = read_stored(path)
    parts = stored if isinstance(stored, list) else [stored]
    kinds = [str(one.get("type") if isinstance(one, dict) else one) for one in parts]
    if odd := [one for one in kinds if one.rpartition(".")[2] not in MODULES]:
        raise InputError(
            f"the sentence encoder has parts that are not supported: {odd}",
            fix=f"Name one that is made of {list(MODULES)}.",
            where=str(path),
        )


class TextEncoder(TokenEncoder):
    """A BERT on word pieces.

    A text longer than the model has seen (510 word pieces for BERT) is read in windows that
    overlap, as a `ProteinLanguageModel` reads proteins; nothing is cut off.

    Args:
        network: The weights.
        origin: Where they came from.
        tokenizer: Makes word pieces.
        pooling: ``"mean"`` of all tokens with start and end, as sentence encoders take it; or
            ``"start"``, the first token (of a long text, the mean of its windows' first tokens).
        overlap: Word pieces that two windows share.
        token_budget: Most tokens in one batch, see `reading_budget`; None for what suits the
            device.
    """

    modality: ClassVar[str] = "text"

    def __init__(
        self,
        network: TokenNetwork,
        origin: Origin,
        tokenizer: Tokenizer,
        *,
        pooling: str = "mean",
        overlap: int = OVERLAP // 2,
        token_budget: int | None = None,
    ) -> None:
        super().__init__(network, origin)
        self.network: TokenNetwork = network
        self.tokenizer, self.pooling, self.token_budget = tokenizer, pooling, token_budget
        ids = tokenizer.get_vocab()
        start, end = ids[START], ids[END]
        self.framing = Framing(start, end, network.config.longest - 2, overlap)
        self.dim = network.config.sizes.dim

    def encode(self, text: str) -> Int[np.ndarray, " token"]:
        """Return the ids of a text's word pieces, without start and end."""
        ids = self.tokenizer.encode(text, add_special_tokens=False).ids
        return np.array(ids, dtype=np.int64)

    @property
    def pools(self) -> Pooling:
        """Which tokens' mean is the embedding of a text."""
        return "start" if self.pooling == "start" else "all"

    def ids_of(self, value: str) -> Int[np.ndarray, " token"]:
        """Return the ids of a checked text's word pieces, without start and end."""
        return self.encode(value)

    def embed(
        self, texts: Sequence[str], *, layer: int = -1, progress: Progress | None = None
    ) -> Float[np.ndarray, "text dim"]:
        """Return one embedding per text, float32, in their order; not scaled to length 1.

        Args:
            texts: Any length.
            layer: After which block; 0 is before the first, -1 after the last.
            progress: Called with windows done and windows in all.

        Raises:
            InputError: A text is empty; there is no such layer.
        """
        pieces, lengths = self._pieces(texts)

        def first(_: Piece) -> slice:
            return slice(0, 1)

        def all_tokens(piece: Piece) -> slice:
            return piece.whole

        return mean_rows(
            self.network,
            pieces,
            len(lengths),
            kept=first if self.pooling == "start" else all_tokens,
            layer=self._layer(layer),
            token_budget=self.token_budget,
            progress=progress,
        )

    def embed_tokens(
        self, texts: Sequence[str], *, layer: int = -1, progress: Progress | None = None
    ) -> list[Float[np.ndarray, "_token dim"]]:
        """Return one embedding per word piece of each text, float32; arguments as in `embed`."""
        pieces, lengths = self._pieces(texts)
        return token_rows(
            self.network,
            pieces,
            lengths,
            layer=self._layer(layer),
            token_budget=self.token_budget,
            progress=progress,
        )

    def logits(
        self, texts: Sequence[str], *, progress: Progress | None = None
    ) -> list[Float[np.ndarray, "_token vocabulary"]]:
        """Return the logits of the whole vocabulary at each word piece of each text, float32.

        Raises:
            InputError: The checkpoint has no language head, or a text is empty.
        """
        if self.network.language is None:
            raise InputError(
                f"{self.name} has no language head, so it gives embeddings only",
                fix="Name a checkpoint that was saved for masked-token prediction.",
            )
        pieces, lengths = self._pieces(texts)
        return token_rows(
            self.network,
            pieces,
            lengths,
            with_logits=True,
            token_budget=self.token_budget,
            progress=progress,
        )

    def _pieces(self, texts: Sequence[str]) -> tuple[list[Piece], list[int]]:
        texts = strings(texts, "text")
        for number, text in enumerate(texts, start=1):
            if not text.strip():
                raise InputError(
                    "the text is empty", fix="Drop it or fill it in.", where=f"text {number}"
                )
        ids = [self.encode(one) for one in texts]
        return pieces_of(ids, self.framing), [len(one) for one in ids]

    def _layer(self, layer: int) -> int:
        depth = len(self.network.blocks)
        if not -1 <= layer <= depth:
            raise InputError(
                f"there is no layer {layer}",
                fix=f"Choose 0 (before the first block) to {depth}, or -1 for the last.",
            )
        return layer
