"""Per-token targets."""

from pathlib import Path

import numpy as np
import pytest

from kagaku.data.records import TargetValues
from kagaku.errors import InputError
from kagaku.science_tasks.readouts import linear, trees
from kagaku.science_tasks.readouts.token_readout import TokenReadout, token_windows
from kagaku.science_tasks.storage import load_state, save_state

INNER = (linear.LinearReadout.name, trees.TreesReadout.name)


def sequences(n_records: int, seed: int) -> tuple[list[str], TargetValues]:
    """Residues, labelled 1 where the residue before them is a proline."""
    rng = np.random.default_rng(seed)
    letters = ["".join(rng.choice(list("ACDEP"), rng.integers(5, 40))) for _ in range(n_records)]
    labels = np.empty(n_records, dtype=object)
    labels[:] = [
        np.array([int(i > 0 and one[i - 1] == "P") for i in range(len(one))]) for one in letters
    ]
    return letters, TargetValues(labels, np.zeros(n_records, dtype=np.int64))


@pytest.mark.parametrize("inner", INNER)
def test_what_a_neighbour_decides_is_learnt(inner: str) -> None:
    letters, target = sequences(40, 0)
    readout = TokenReadout(inner)
    readout.fit([token_windows("protein", letters)], target, "per-token", 2, seed=0)
    new, truth = sequences(10, 1)
    table = readout.predict([token_windows("protein", new)]).probabilities
    assert table is not None
    assert (table.argmax(axis=1) == np.concatenate(list(truth.values))).mean() > 0.97


def test_a_stored_token_readout_predicts_the_same_bits(tmp_path: Path) -> None:
    letters, target = sequences(15, 0)
    blocks = [token_windows("protein", letters)]
    readout = TokenReadout()
    readout.fit(blocks, target, "per-token", 2, seed=0)
    save_state(readout.state(), tmp_path / "tokens.safetensors")
    loaded = TokenReadout()
    loaded.load_state(load_state(tmp_path / "tokens.safetensors"))
    np.testing.assert_array_equal(
        readout.predict(blocks).probabilities, loaded.predict(blocks).probabilities
    )


def test_a_window_does_not_reach_into_the_next_sequence() -> None:
    together = token_windows("protein", ["ACD", None, "WWWW"]).values
    alone = token_windows("protein", ["ACD"]).values
    np.testing.assert_array_equal(together[:3], alone)
    assert len(together) == 7


def test_words_are_told_apart_by_spelling_and_shape() -> None:
    words = token_windows("text", [["Heat", "TiO2", "at", "500", "K"]])
    assert words.name == "text:words"
    assert len(words.values) == 5
    assert len(np.unique(words.values, axis=0)) == 5
    again = token_windows("text", [["Heat", "TiO2", "at", "500", "K"]])
    np.testing.assert_array_equal(words.values, again.values)


def test_no_sequences_give_no_rows() -> None:
    assert token_windows("protein", [None, ""]).values.shape[0] == 0


def test_labels_that_do_not_fit_the_tokens_are_refused() -> None:
    letters, target = sequences(3, 0)
    with pytest.raises(InputError, match=r"there are \d+ labels for \d+ tokens") as error:
        TokenReadout().fit([token_windows("protein", letters[:2])], target, "per-token", 2, seed=0)
    assert error.value.fix == "Give every token of a labelled sequence one label."
