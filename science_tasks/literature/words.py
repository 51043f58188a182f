"""One vector per word, from whatever weights read the text."""

import copy
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from kagaku.errors import InputError
from kagaku.modalities import pack
from kagaku.modalities.text import Text, text_tokenizer
from kagaku.models import Encoder
from kagaku.models.public import PublicEncoder

Sentences = Sequence[Sequence[str]]
"""Words, by sentence."""


@runtime_checkable
class WordEncoder(Protocol):
    """Gives one vector per word, so that a task about words does not depend on who reads them.

    The base of this suite, a BERT of transformers and a frozen public encoder all do.
    """

    @property
    def dim(self) -> int:
        """Width of a vector."""

    @property
    def network(self) -> nn.Module | None:
        """What fine-tuning trains; None if the weights cannot be trained here."""

    def vectors(self, sentences: Sentences) -> list[Float[Tensor, "word dim"]]:
        """Return the vectors of the words of each sentence, with gradients where they are on."""

    def tokens(self, sentence: Sequence[str]) -> int:
        """Return about how many tokens a sentence costs, for the size of batches."""


class BaseWords:
    """Words read by a base of this suite: the mean of a word's byte-pair tokens, in context.

    Args:
        encoder: The base.
    """

    def __init__(self, encoder: Encoder) -> None:
        self._encoder, self._text = encoder, Text()

    @property
    def dim(self) -> int:
        """Width of a vector."""
        return self._encoder.dim

    @property
    def network(self) -> nn.Module:
        """The base."""
        return self._encoder

    def tokens(self, sentence: Sequence[str]) -> int:
        """Return about how many tokens a sentence costs."""
        return 2 + sum(1 + len(word) // 3 for word in sentence)

    def vectors(self, sentences: Sentences) -> list[Float[Tensor, "word dim"]]:
        """Return the vectors of the words of each sentence."""
        device = self._encoder.column_embedding.weight.device
        texts = [" ".join(words) for words in sentences]
        packed = pack([{0: ("text", self._text.tokenize(one))} for one in texts]).to(device)
        rows = self._encoder(packed)
        found = []
        offsets = packed.record_offsets.tolist()
        for words, text, start, end in zip(
            sentences, texts, offsets[:-1], offsets[1:], strict=True
        ):
            # Without the tokens of start and end.
            own = rows[start + 1 : end - 1]
            found.append(_means(own, _overlaps(words, text), len(words)))
        return found


def _overlaps(words: Sequence[str], text: str) -> Int[np.ndarray, "pair two"]:
    """Return which tokens of the text touch which words: pairs of (token, word)."""
    offsets = np.array(text_tokenizer().encode(text, add_special_tokens=False).offsets)
    ends = np.cumsum([len(word) + 1 for word in words]) - 1
    starts = ends - [len(word) for word in words]
    first = np.searchsorted(ends, offsets[:, 0], side="right")
    last = np.searchsorted(starts, offsets[:, 1], side="left")
    pairs = [
        (token, word)
        for token, (low, high) in enumerate(zip(first, last, strict=True))
        for word in range(low, high)
    ]
    return np.array(pairs, dtype=np.int64).reshape(-1, 2)


def _means(
    rows: Float[Tensor, "token dim"], pairs: Int[np.ndarray, "pair two"], n_words: int
) -> Float[Tensor, "word dim"]:
    """Return the mean of each word's tokens; 0 for a word without any."""
    token, word = (torch.from_numpy(pairs[:, side].copy()).to(rows.device) for side in (0, 1))
    totals = rows.new_zeros(n_words, rows.shape[1]).index_add(0, word, rows[token])
    counts = torch.bincount(word, minlength=n_words).clamp(min=1)
    return totals / counts[:, None]


class BertWords:
    """Words read by a BERT of transformers: SciBERT, MatSciBERT, BioBERT.

    A sentence that is longer than the model has seen is read in several windows.

    Args:
        model: Such as `transformers.BertModel`; takes ``input_ids`` and ``attention_mask``.
        tokenizer: Its tokenizer, of transformers.
    """

    def __init__(self, model: nn.Module, tokenizer: Any) -> None:
        self._model, self._tokenizer = model, tokenizer
        config: Any = model.config
        self._dim = int(config.hidden_size)
        self._most = int(config.max_position_embeddings) - 2
        self._pieces: dict[str, list[int]] = {}

    @classmethod
    def from_folder(cls, folder: str | Path) -> "BertWords":
        """Return the model and tokenizer in a folder of transformers' format; nothing is fetched.

        Raises:
            InputError: The folder does not hold both.
        """
        from transformers import AutoModel, AutoTokenizer  # takes seconds, and few runs need it

        try:
            model = AutoModel.from_pretrained(str(folder), local_files_only=True)
            tokenizer = AutoTokenizer.from_pretrained(str(folder), local_files_only=True)
        except (OSError, ValueError) as error:
            raise InputError(
                f"there is no BERT that transformers can read ({str(error).splitlines()[0]})",
                fix="Name a folder with config.json, the weights and the tokenizer.",
                where=str(folder),
            ) from None
        return cls(model.eval(), tokenizer)

    @property
    def dim(self) -> int:
        """Width of a vector."""
        return self._dim

    @property
    def network(self) -> nn.Module:
        """The model."""
        return self._model

    def tokens(self, sentence: Sequence[str]) -> int:
        """Return how many word pieces a sentence has, with start and end."""
        return 2 + sum(len(self._encoded(word)) for word in sentence)

    def vectors(self, sentences: Sentences) -> list[Float[Tensor, "word dim"]]:
        """Return the vectors of the words of each sentence: the mean of a word's pieces."""
        windows = [(i, part) for i, words in enumerate(sentences) for part in self._windows(words)]
        rows = self._run([[p for word in part for p in word] for _, part in windows])
        found: list[list[Tensor]] = [[] for _ in sentences]
        for (sentence, part), own in zip(windows, rows, strict=True):
            lengths = [len(word) for word in part]
            pairs = np.stack([np.arange(sum(lengths)), np.repeat(np.arange(len(part)), lengths)], 1)
            found[sentence].append(_means(own, pairs, len(part)))
        return [torch.cat(several) for several in found]

    def _encoded(self, word: str) -> list[int]:
        if word not in self._pieces:
            ids = self._tokenizer(word, add_special_tokens=False)["input_ids"]
            self._pieces[word] = list(ids)[: self._most]
        return self._pieces[word]

    def _windows(self, words: Sequence[str]) -> Iterator[list[list[int]]]:
        part: list[list[int]] = []
        used = 0
        for pieces in map(self._encoded, words):
            if used + len(pieces) > self._most:
                yield part
                part, used = [], 0
            part.append(pieces)
            used += len(pieces)
        yield part

    def _run(self, several: Sequence[list[int]]) -> list[Float[Tensor, "piece dim"]]:
        """Return the last layer's vectors of each list of pieces, run together with padding."""
        start, end = self._tokenizer.cls_token_id, self._tokenizer.sep_token_id
        longest = max(map(len, several)) + 2
        ids = torch.zeros(len(several), longest, dtype=torch.long)
        mask = torch.zeros_like(ids)
        for row, pieces in enumerate(several):
            ids[row, : len(pieces) + 2] = torch.tensor([start, *pieces, end])
            mask[row, : len(pieces) + 2] = 1
        device = next(self._model.parameters()).device
        out = self._model(input_ids=ids.to(device), attention_mask=mask.to(device))
        rows = out.last_hidden_state
        return [rows[i, 1 : len(one) + 1] for i, one in enumerate(several)]


@runtime_checkable
class PieceEncoder(Protocol):
    """A frozen encoder that gives one vector per piece of a text, as public encoders do."""

    dim: int

    def encode(self, text: str) -> Int[np.ndarray, " token"]:
        """Return the ids of a text's pieces; those of words with spaces between are theirs."""

    def embed_tokens(self, texts: Sequence[str]) -> list[Float[np.ndarray, "_token dim"]]:
        """Return one vector per piece of each text."""


class FrozenPieces:
    """Words read by an encoder of pieces that cannot be trained here.

    Args:
        encoder: Gives the vectors of pieces.
    """

    def __init__(self, encoder: PieceEncoder) -> None:
        self._encoder = encoder

    @property
    def dim(self) -> int:
        """Width of a vector."""
        return self._encoder.dim

    @property
    def network(self) -> None:
        """Nothing can be trained as it is."""
        return

    def trainable(self) -> BertWords:
        """Return the same weights as transformers reads them, which may be trained.

        Raises:
            InputError: They are in no folder of transformers' format.
        """
        if isinstance(self._encoder, PublicEncoder):
            return BertWords.from_folder(self._encoder.origin.folder)
        raise InputError("these weights cannot be trained here", fix="Use them frozen.")

    def tokens(self, sentence: Sequence[str]) -> int:
        """Return how many pieces a sentence has, with start and end."""
        return 2 + sum(len(self._encoder.encode(word)) for word in sentence)

    def vectors(self, sentences: Sentences) -> list[Float[Tensor, "word dim"]]:
        """Return the vectors of the words of each sentence."""
        found = []
        rows = self._encoder.embed_tokens([" ".join(words) for words in sentences])
        for words, own in zip(sentences, rows, strict=True):
            lengths = [len(self._encoder.encode(word)) for word in words]
            if sum(lengths) != len(own):
                raise InputError(
                    f"the encoder splits {' '.join(words)[:60]!r} into {len(own)} pieces, its "
                    f"words alone into {sum(lengths)}",
                    fix="Use an encoder that splits at spaces, such as a BERT.",
                )
            pairs = np.stack([np.arange(len(own)), np.repeat(np.arange(len(words)), lengths)], 1)
            found.append(_means(torch.from_numpy(own), pairs, len(words)))
        return found


def words_of(encoder: Any) -> WordEncoder:
    """Return what reads words with an encoder of any kind.

    Args:
        encoder: A base of this suite, a `PieceEncoder`, or a `WordEncoder`.

    Raises:
        InputError: It is none of them.
    """
    if isinstance(encoder, Encoder):
        return BaseWords(encoder)
    if isinstance(encoder, WordEncoder):
        return encoder
    if isinstance(encoder, PieceEncoder):
        return FrozenPieces(encoder)
    raise InputError(
        f"{type(encoder).__name__} gives no vectors of words",
        fix="Choose a base that reads texts.",
    )


def trainable_copy(encoder: WordEncoder) -> WordEncoder:
    """Return a copy whose network may be trained, in training mode.

    Raises:
        InputError: The encoder cannot be trained.
    """
    if isinstance(encoder, FrozenPieces):
        encoder = encoder.trainable()
    copied = copy.deepcopy(encoder)
    assert copied.network is not None
    copied.network.train().requires_grad_(requires_grad=True)
    return copied


def frozen_vectors(
    encoder: WordEncoder, sentences: Sentences, token_budget: int = 4096
) -> list[Float[np.ndarray, "_word dim"]]:
    """Return the vectors of the words of each sentence, float32, in batches of equal length.

    Args:
        encoder: Used as it is.
        sentences: Words.
        token_budget: About how many tokens a batch has.
    """
    lengths = np.array([encoder.tokens(one) for one in sentences], dtype=np.int64)
    found: list[Any] = [None] * len(sentences)
    with torch.inference_mode():
        for batch in batches(lengths, token_budget):
            for index, own in zip(
                batch, encoder.vectors([sentences[i] for i in batch]), strict=True
            ):
                found[index] = own.float().cpu().numpy()
    return found


def batches(
    lengths: Int[np.ndarray, " item"],
    token_budget: int,
    rng: np.random.Generator | None = None,
) -> list[list[int]]:
    """Return items of about equal length in batches that, filled to the longest, fit a budget.

    Args:
        lengths: Tokens of each item.
        token_budget: Most tokens of a batch with its filling; a longer item stands alone.
        rng: Shuffles the batches, and items of equal length; None keeps both in order.
    """
    noise = np.zeros(len(lengths)) if rng is None else rng.random(len(lengths))
    made: list[list[int]] = []
    for item in np.lexsort((noise, lengths)):
        if made and (len(made[-1]) + 1) * int(lengths[item]) <= token_budget:
            made[-1].append(int(item))
        else:
            made.append([int(item)])
    if rng is not None:
        rng.shuffle(made)
    return made
