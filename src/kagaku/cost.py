"""What fine-tuning on a table would cost on this machine, from its tokens and a short benchmark."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from kagaku.errors import InputError

if TYPE_CHECKING:
    from kagaku.data import BadCell, Grid, Records, Schema, Table
    from kagaku.modalities import RecordTokens
    from kagaku.modalities.checking import Modalities
    from kagaku.models.multitask import Trunk

SAMPLED_ROWS = 64
"""How many rows are tokenised to learn the length of a record."""

BENCHMARK_SECONDS = 0.6
"""How long each of the three speeds is measured."""

BENCHMARK_TOKENS = 256
"""Most tokens in the benchmark's batch, so that one step stays well under a second."""

FOLDS_FITTED = 6
"""Fits of every readout: one per cross-validation fold, and one on all training rows."""

CHOLESKYS_PER_FIT = 300
"""What fitting one exact Gaussian process costs, in Cholesky factorisations of its kernel matrix:
the evaluations of the marginal likelihood with its gradient. Measured with 800 rows."""

SECONDS_PER_FIT = 1.0
"""What it costs besides, however few the rows. Measured with 150 rows."""

CHOLESKYS_OF_ALL = 2
"""Factorisations of the matrix of all rows: the fit itself, and the errors left one out."""

OTHER_READOUTS_PER_ROW = 0.015
"""Seconds per training row and fit for linear models, trees, forests and support vectors together.
Measured on two busy cores with 2,148 features of molecules: 0.013 with 175 rows, 0.04 with 800."""

BYTES_PER_FEATURE_ROW = 4 * 2_500
"""Classical features and embeddings of one row, float32."""

IDLE_BYTES = 700 * 2**20
"""Resident memory once torch, rdkit and pandas are loaded."""


@dataclass(frozen=True)
class Cost:
    """What fine-tuning would cost; times are good to a factor of about three."""

    rows: int
    """Rows (or times of a grid)."""

    tokens: Mapping[str, float]
    """By input, mean tokens of a filled cell in the sample."""

    longest_record: int
    """Tokens of the longest record in the sample."""

    total_tokens: int
    """Tokens of the whole table, from the sample's mean."""

    readout_seconds: float
    """Readouts on features and frozen embeddings, with cross-validation."""

    full_seconds: float
    """Training the whole network for the most epochs allowed; often it stops earlier."""

    readout_bytes: int
    """Most memory in use with readouts."""

    full_bytes: int
    """Most memory in use when training the whole network."""

    embed_tokens_per_second: float
    """Measured here, with the encoder that would be used."""

    train_tokens_per_second: float
    """Measured here: forward, backward and optimiser step."""

    unreadable_rows: int
    """Rows of the sample that cannot be used as they are."""


def estimate(
    path: Path | str,
    targets: Sequence[str] = (),
    *,
    inputs: Sequence[str] | None = None,
    base: str | None = None,
) -> Cost:
    """Return what fine-tuning on a file would cost on this machine.

    Reads the file, tokenises a sample of rows and measures the machine for a few seconds.

    Args:
        path: The table or grid.
        targets: What to predict; without any, every usable column counts as an input.
        inputs: Columns to predict from; None takes every column that looks like an input.
        base: The weights to start from, as in a recipe.

    Raises:
        InputError: The file cannot be read, a column is unknown, no sampled row can be used, or the
            base is a public model that cannot be fine-tuned on such a table.
    """
    from kagaku.bases import open_base
    from kagaku.data import infer_schema, read
    from kagaku.modalities.checking import fit_modalities, make_modalities
    from kagaku.models import extended
    from kagaku.models.public import PublicEncoder
    from kagaku.science_tasks.full import read_tokens, trunk_of, why_not_trainable

    source = read(path)
    schema = infer_schema(source, targets=list(targets), inputs=inputs)
    sample, unreadable = _usable_sample(source, schema, make_modalities(schema))
    encoder = open_base(base)
    if why_not := why_not_trainable(encoder, sample):
        raise InputError(
            f"the cost of fine-tuning it cannot be told: {why_not}",
            fix="Name what it reads with --input, or leave --base out.",
        )
    if not isinstance(encoder, PublicEncoder):
        encoder = extended(encoder, {one.modality for one in schema.inputs})
    trunk = trunk_of(encoder, schema)
    tokens = read_tokens(trunk, sample, fit_modalities(sample))
    lengths = np.array([sum(len(one) for _, one in row.values()) for row in tokens])
    embed, train = _token_speeds(trunk, tokens)
    rows, total = len(source), int(lengths.mean() * len(source))
    return Cost(
        rows=rows,
        tokens=_mean_tokens(schema, tokens),
        longest_record=int(lengths.max()),
        total_tokens=total,
        readout_seconds=total / embed + _featurise_seconds(sample) * rows + _readout_seconds(rows),
        full_seconds=_epochs() * total / train,
        readout_bytes=_readout_bytes(rows),
        full_bytes=_full_bytes(trunk, int(lengths.max())),
        embed_tokens_per_second=embed,
        train_tokens_per_second=train,
        unreadable_rows=unreadable,
    )


def _usable_sample(
    source: "Table | Grid", schema: "Schema", modalities: "Modalities"
) -> tuple["Records", int]:
    """Return up to `SAMPLED_ROWS` usable records spread over the file, and how many were not."""
    from kagaku.data import grid_records, parse_records, without_bad_rows
    from kagaku.data.grids import Grid
    from kagaku.modalities.checking import check_records

    bad: list[BadCell] = []
    spread = np.unique(np.linspace(0, len(source) - 1, SAMPLED_ROWS).astype(np.int64))
    if isinstance(source, Grid):
        records = grid_records(source, schema, with_targets=False)
        records = records.subset(spread)
    else:
        cells = [one for one in source.bad_cells if one.row in set(source.rows[spread].tolist())]
        part = replace(
            source,
            frame=source.frame.iloc[spread].reset_index(drop=True),
            rows=source.rows[spread],
            ids=None,
            bad_cells=tuple(cells),
        )
        records, bad = parse_records(part, schema, with_targets=False)
    checked, more = check_records(records, modalities)
    usable = without_bad_rows(checked, [*bad, *more])
    if not len(usable):
        raise InputError(
            f"none of the {len(spread)} sampled rows can be used",
            fix="Run kagaku finetune on it: it lists every bad row with the reason.",
            where=records.source,
        )
    return usable, len(spread) - len(usable)


def _mean_tokens(schema: "Schema", tokens: "Sequence[RecordTokens]") -> dict[str, float]:
    """Return by input the mean number of tokens of its filled cells; 0 if all are empty."""
    found = {}
    for column, one in enumerate(schema.inputs):
        lengths = [len(row[column][1]) for row in tokens if column in row]
        found[one.name] = float(np.mean(lengths)) if lengths else 0.0
    return found


def _token_speeds(encoder: "Trunk", tokens: "Sequence[RecordTokens]") -> tuple[float, float]:
    """Return tokens per second of embedding and of training steps."""
    import torch

    from kagaku.modalities import n_tokens, pack

    chosen, used = [tokens[0]], n_tokens(tokens[0])
    for row in tokens[1:]:
        if used + n_tokens(row) <= BENCHMARK_TOKENS:
            chosen.append(row)
            used += n_tokens(row)
    batch = pack(chosen).to(encoder.device)
    optimizer = torch.optim.AdamW(encoder.parameters(), lr=0.0, fused=True)

    def embed() -> None:
        with torch.inference_mode():
            encoder(batch).sum().item()

    def train() -> None:
        optimizer.zero_grad()
        encoder(batch).square().mean().backward()
        optimizer.step()

    return used / _seconds_of(embed), used / _seconds_of(train)


def _seconds_of(work: Callable[[], None]) -> float:
    """Return the shortest time of one call, tried for about `BENCHMARK_SECONDS`.

    The shortest, since warming up and whatever else the machine does can only make a call longer.
    """
    times: list[float] = []
    while not times or sum(times) < BENCHMARK_SECONDS:
        begin = time.perf_counter()
        work()
        times.append(time.perf_counter() - begin)
    return min(times)


def _featurise_seconds(sample: "Records") -> float:
    """Return seconds per row for the classical features."""
    from kagaku.science_tasks.featurizing import feature_blocks, fit_featurizers

    begin = time.perf_counter()
    feature_blocks(sample, fit_featurizers(sample))
    return (time.perf_counter() - begin) / len(sample)


def _readout_seconds(rows: int) -> float:
    """Return seconds for fitting every readout with cross-validation."""
    import torch

    from kagaku.science_tasks.readouts.gaussian_process import GaussianProcessConfig

    size = 600
    matrix = torch.eye(size, dtype=torch.float64)
    cholesky = _seconds_of(lambda: torch.linalg.cholesky(matrix).sum().item() and None)
    limits = GaussianProcessConfig()
    settings = min(rows, limits.hyperparameter_rows)
    per_fit = CHOLESKYS_PER_FIT * cholesky * (settings / size) ** 3
    if rows <= limits.rows:  # larger tables have none
        per_fit += CHOLESKYS_OF_ALL * cholesky * (rows / size) ** 3
    return FOLDS_FITTED * (SECONDS_PER_FIT + per_fit + OTHER_READOUTS_PER_ROW * rows)


def _readout_bytes(rows: int) -> int:
    """Return memory for features and the kernel matrices of the Gaussian process."""
    from kagaku.science_tasks.readouts.gaussian_process import GaussianProcessConfig

    kernels = 6 * 8 * min(rows, GaussianProcessConfig().rows) ** 2
    return IDLE_BYTES + kernels + 3 * BYTES_PER_FEATURE_ROW * rows


def _full_bytes(encoder: "Trunk", longest_record: int) -> int:
    """Return memory for weights, gradients, two optimiser moments, and one batch's activations.

    Of a public model, whose weights are most of it, the copies count as well: the encoder's own,
    the best epoch's, and what is written after each epoch (weights, moments, best weights).
    """
    from kagaku.models.multitask import FinetuningConfig
    from kagaku.models.public.trunk import PublicTrunk

    sizes = encoder.sizes
    n_parameters = sum(one.numel() for one in encoder.parameters())
    budget = max(FinetuningConfig().token_budget, longest_record)
    # Kept for the backward pass per block and token: the stream, queries, keys, values and their
    # normalised forms, and the three feed-forward activations.
    per_token = 4 * sizes.depth * (10 * sizes.dim + 4 * sizes.hidden)
    copies = 10 if isinstance(encoder, PublicTrunk) else 4
    return IDLE_BYTES + 4 * copies * n_parameters + budget * per_token


def _epochs() -> int:
    from kagaku.models.multitask import FinetuningConfig

    return FinetuningConfig().epochs
