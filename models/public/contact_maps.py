"""Matrices of contacts of whole proteins, from the windows that a model sees of them."""

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float

from kagaku.modalities.packing import plan_by_length
from kagaku.models.public.encoder import Progress
from kagaku.models.public.network import TokenNetwork
from kagaku.models.public.running import Piece, packed_ids

CONTACT_PAIRS = 2**21
"""Pairs of tokens in one batch; each takes a number per head, several times over."""


def contact_maps(
    network: TokenNetwork,
    pieces: Sequence[Piece],
    lengths: Sequence[int],
    *,
    progress: Progress | None = None,
) -> list[Float[np.ndarray, "_residue _residue"]]:
    """Return the probability of each pair of residues to touch; NaN where no window has both.

    Args:
        network: Has ESM's regression; used without gradients.
        pieces: The windows of all proteins, in their order.
        lengths: Residues of each protein.
        progress: Called with windows done and windows in all.
    """
    found = [np.full((length, length), np.nan, dtype=np.float32) for length in lengths]
    blocks = _blocks(network, pieces, progress)
    for piece, block in zip(pieces, blocks, strict=True):
        _lay(found[piece.record], block, piece)
    return found


def _blocks(
    network: TokenNetwork, pieces: Sequence[Piece], progress: Progress | None
) -> list[Float[np.ndarray, "_residue _residue"]]:
    """Return the probabilities within each window."""
    pairs = np.array([len(one.ids) ** 2 for one in pieces], dtype=np.int64)
    device, blocks = network.words.weight.device, dict[int, np.ndarray]()
    with torch.inference_mode():
        for batch in plan_by_length(pairs, CONTACT_PAIRS, longest_first=True):
            packed = packed_ids([pieces[index].ids for index in batch]).to(device)
            for index, one in zip(batch, network.contact_logits(packed), strict=True):
                blocks[index] = torch.sigmoid(one).cpu().numpy()
            if progress is not None:
                progress(len(blocks), len(pieces))
    return [blocks[index] for index in range(len(pieces))]


def _lay(
    matrix: Float[np.ndarray, "residue residue"],
    block: Float[np.ndarray, "place place"],
    piece: Piece,
) -> None:
    """Write a window's contacts into the matrix; in an overlap, as far from a cut as can be."""
    window = piece.window
    area = matrix[window.start : window.stop, window.start : window.stop]
    place = np.arange(window.start, window.stop)
    is_left = place[:, None] + place[None, :] < 2 * window.keep_from
    area[:] = np.where(is_left & ~np.isnan(area), area, block)
