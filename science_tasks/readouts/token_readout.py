"""Per-token targets (secondary structure, named entities) from a window around each token."""

import hashlib
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, ClassVar

import numpy as np
from jaxtyping import Float

from kagaku.data.records import TargetValues
from kagaku.data.schema import Kind
from kagaku.errors import InputError
from kagaku.science_tasks.features import FeatureBlock
from kagaku.science_tasks.prediction import Prediction
from kagaku.science_tasks.readouts.readout import READOUTS, Readout

TRAINING_TOKENS = 20_000
"""Most tokens that are fitted to, chosen at random; neighbouring tokens repeat each other."""

LETTER_WINDOW, WORD_WINDOW = 7, 2
"""Tokens on each side that are seen: seven residues are two turns of a helix, two words a
modifier and its head."""

_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_OTHER, _OUTSIDE = len(_LETTERS), len(_LETTERS) + 1
_BUCKETS = 64


def token_windows(name: str, sequences: Sequence[Sequence[str] | None]) -> FeatureBlock:
    """Return one row per token, of all sequences one after the other.

    Sequences of single characters (residues, bases) become one-hot letters in a window of seven
    on each side; sequences of words become hashed words, beginnings, endings and shapes in a
    window of two. A window never reaches into the next sequence.

    Args:
        name: Name of the input that the tokens come from.
        sequences: Tokens of each record; None, without rows, where the input is missing.
    """
    known = [list(one) for one in sequences if one is not None and len(one)]
    is_letters = all(len(token) == 1 for one in known for token in one)
    rows = [_letter_rows(one) if is_letters else _word_rows(one) for one in known]
    width = (2 * LETTER_WINDOW + 1) * (_OUTSIDE + 1)
    values = np.concatenate(rows) if rows else np.zeros((0, width), dtype=np.float32)
    kind = "letters" if is_letters else "words"
    return FeatureBlock(f"{name}:{kind}", values, "rbf", np.ones(len(values), dtype=bool))


def _letter_rows(tokens: Sequence[str]) -> Float[np.ndarray, "token feature"]:
    codes = np.array([_LETTERS.find(token.upper()) for token in tokens])
    codes[codes < 0] = _OTHER
    return _windows(np.eye(_OUTSIDE + 1, dtype=np.float32)[codes], LETTER_WINDOW, _OUTSIDE)


def _word_rows(tokens: Sequence[str]) -> Float[np.ndarray, "token feature"]:
    return _windows(np.stack([_word_vector(token) for token in tokens]), WORD_WINDOW, None)


def _windows(
    rows: Float[np.ndarray, "token feature"], reach: int, outside: int | None
) -> Float[np.ndarray, "token window"]:
    """Return each row with its neighbours beside it; ``outside`` is set beyond the ends."""
    edge = np.zeros((reach, rows.shape[1]), dtype=np.float32)
    if outside is not None:
        edge[:, outside] = 1.0
    padded = np.concatenate([edge, rows, edge])
    shifted = [padded[i : i + len(rows)] for i in range(2 * reach + 1)]
    return np.concatenate(shifted, axis=1)


@lru_cache(maxsize=100_000)
def _word_vector(word: str) -> Float[np.ndarray, " feature"]:
    vector = np.zeros(3 * _BUCKETS + 5, dtype=np.float32)
    for slot, part in enumerate((word.lower(), f"^{word[:3]}", f"{word[-3:]}$")):
        # Python's own hash differs between processes, so a stored model could not use it.
        digest = hashlib.blake2b(part.encode(), digest_size=4).digest()
        vector[slot * _BUCKETS + int.from_bytes(digest, "big") % _BUCKETS] = 1.0
    shape = (word[:1].isupper(), word.isupper(), word.isdigit(), not word.isalnum())
    vector[-5:-1] = shape
    vector[-1] = any(letter.isdigit() for letter in word)
    return vector


@READOUTS.register("tokens")
class TokenReadout(Readout):
    """A classifier of single tokens; each row of the blocks is a token, not a record.

    Args:
        inner: Registered name of the readout that classifies a row.
    """

    name: ClassVar[str] = "tokens"
    kinds: ClassVar[frozenset[Kind]] = frozenset({"per-token"})

    def __init__(self, inner: str = "linear") -> None:
        self.inner = inner

    def fit(
        self,
        blocks: Sequence[FeatureBlock],
        target: TargetValues,
        kind: Kind,
        n_classes: int,
        *,
        seed: int,
    ) -> None:
        """Fit to the tokens of all records with labels, in the order of the records.

        Args:
            blocks: One row per token of those records, such as `token_windows` gives.
            target: Class indices by token; NaN where a token has no label.
            kind: Always ``"per-token"``.
            n_classes: How many classes there are.
            seed: Chooses the tokens where there are more than `TRAINING_TOKENS`.

        Raises:
            InputError: There are not as many labels as tokens.
        """
        assert kind == "per-token"
        measured = [one for one in target.values if one is not None]
        labels = np.concatenate(measured) if measured else np.zeros(0)
        n_tokens = len(blocks[0].present)
        if len(labels) != n_tokens:
            raise InputError(
                f"there are {len(labels)} labels for {n_tokens} tokens",
                fix="Give every token of a labelled sequence one label.",
            )
        labelled = np.flatnonzero(~np.isnan(labels.astype(np.float64)))
        rows = np.random.default_rng(seed).permutation(labelled)[:TRAINING_TOKENS]
        rows = np.sort(rows)
        self.readout = READOUTS[self.inner]()
        self.readout.fit(
            [block.subset(rows) for block in blocks],
            TargetValues(labels[rows].astype(np.float64), np.zeros(len(rows), dtype=np.int64)),
            "multiclass",
            n_classes,
            seed=seed,
        )

    def predict(self, blocks: Sequence[FeatureBlock]) -> Prediction:
        """Return class probabilities by token; see `Readout.predict`."""
        return self.readout.predict(blocks)

    def state(self) -> dict[str, Any]:
        """Return the inner readout."""
        return {"inner": self.inner, "readout": self.readout.state()}

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Restore what `state` gave."""
        self.inner = state["inner"]
        self.readout = READOUTS[self.inner]()
        self.readout.load_state(state["readout"])
