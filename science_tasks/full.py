"""Full fine-tuning of the network on a table: all targets at once, one head each."""

import copy
import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch

from kagaku.data.bad_rows import BadCell
from kagaku.data.records import Records
from kagaku.data.schema import Schema, Target
from kagaku.modalities import Modality, RecordTokens, n_tokens, pack, plan_batches
from kagaku.modalities.checking import SHOWN_CHARACTERS, tokenize_records
from kagaku.modalities.field_layout import assemble, field_layout
from kagaku.models import Encoder, EncoderConfig
from kagaku.models.heads import Head
from kagaku.models.multitask import FinetuningConfig, MultitaskNetwork, Trunk
from kagaku.models.public import PublicEncoder
from kagaku.models.public.token_encoder import TokenEncoder
from kagaku.models.public.trunk import PublicTrunk, most_labelled, public_trunk
from kagaku.science_tasks.labels import Scale, labelled_input, record_examples, target_plan
from kagaku.science_tasks.prediction import Prediction
from kagaku.science_tasks.public_embeddings import FrozenEncoder
from kagaku.science_tasks.resumable import encoder_fingerprint, records_fingerprint

VALIDATION_SHARE = 0.12
"""Share of the training records that choose the best epoch."""

DEFAULT_PATCH_CELLS = 4
"""Side of a climate patch where no climate modality takes part; unused then."""


@dataclass
class FullModel:
    """The fine-tuned network and the scales of its targets."""

    network: MultitaskNetwork
    """Encoder and heads."""

    modalities: Mapping[str, Modality[Any]]
    """Fitted; they tokenise."""

    scales: dict[str, Scale]
    """By numeric target."""

    history: tuple[tuple[float, float], ...] = ()
    """Training and validation loss after each epoch."""

    targets: tuple[Target, ...] = field(default=())
    """In the order of the heads."""

    def predict(
        self, records: Records, *, progress: Callable[[int, int], None] | None = None
    ) -> dict[str, Prediction]:
        """Return the predictions of every target, in the order of the records."""
        tokens = read_tokens(self.network.encoder, records, self.modalities)
        lengths = np.array([n_tokens(record) for record in tokens], dtype=np.int64)
        budget = max(self.network.config.token_budget, int(lengths.max(initial=1)))
        parts: dict[str, list[Prediction]] = {target.name: [] for target in self.targets}
        done = 0
        with torch.inference_mode():
            for batch in plan_batches(lengths, budget):
                here, subset = [tokens[i] for i in batch], records.subset(batch)
                outputs = self.network.outputs(pack(here).to(self.network.device))
                for target, head, output in zip(
                    self.targets, self.network.heads, outputs, strict=True
                ):
                    assert isinstance(head, Head)
                    first, second = head.predict(output)
                    raw = first.float().cpu().numpy(), _numpy(second)
                    parts[target.name].append(self._in_unit(target, raw, subset, here))
                done += len(batch)
                if progress is not None:
                    progress(done, len(records))
        return {name: _joined(several) for name, several in parts.items()}

    def _in_unit(
        self,
        target: Target,
        raw: tuple[np.ndarray, np.ndarray | None],
        records: Records,
        tokens: list[RecordTokens],
    ) -> Prediction:
        """Return one batch's raw head output as a prediction in the target's unit."""
        first, second = raw
        if target.kind == "regression":
            assert second is not None
            return _rescaled(first, second, self.scales[target.name])
        if target.kind == "field":
            assert second is not None
            return self._field(target, first, second, records, tokens)
        if target.kind != "per-token":
            return Prediction(probabilities=_normalised(first, target.kind))
        plan = target_plan(target, records.schema, self._patch_cells())
        assert plan.labelled_column is not None
        kept, start = [], 0
        for record in tokens:
            if plan.labelled_column in record:
                length = len(record[plan.labelled_column][1])
                # Without the start and end marks, which carry no label.
                kept.append(first[start + 1 : start + length - 1])
                start += length
        empty = np.zeros((0, first.shape[1]))
        return Prediction(probabilities=_normalised(np.concatenate([*kept, empty]), "per-token"))

    def _field(
        self,
        target: Target,
        mean: np.ndarray,
        deviation: np.ndarray,
        records: Records,
        tokens: list[RecordTokens],
    ) -> Prediction:
        name = labelled_input(target, records.schema)
        assert name is not None
        column = [known.name for known in records.schema.inputs].index(name)
        scale, patch_cells = self.scales[target.name], self._patch_cells()
        means, spreads, start = [], [], 0
        for index, record in enumerate(tokens):
            field_value = records.inputs[name][index]
            if field_value is None:
                means.append(scale.mean)
                spreads.append(np.full_like(scale.mean, scale.deviation))
                continue
            layout = field_layout(field_value, patch_cells)
            own = slice(start, start + layout.n_patches)
            start += len(record[column][1])
            means.append(assemble(mean[own], layout)[0] * scale.deviation + scale.mean)
            spreads.append(assemble(deviation[own], layout)[0] * scale.deviation)
        return Prediction(
            mean=np.stack(means).astype(np.float64), spread=np.stack(spreads).astype(np.float64)
        )

    def _patch_cells(self) -> int:
        return patch_cells_of(self.modalities)

    def state(self) -> dict[str, Any]:
        """Return weights, sizes and scales; see `storage.save_state`."""
        encoder = self.network.encoder
        return {
            "encoder": encoder.config.to_json() if isinstance(encoder, Encoder) else None,
            "config": asdict(self.network.config),
            "n_columns": self.network.n_columns,
            "weights": {k: v.numpy() for k, v in self.network.state_dict().items()},
            "scales": {
                name: {"mean": scale.mean, "deviation": scale.deviation}
                for name, scale in self.scales.items()
            },
            "history": [list(pair) for pair in self.history],
        }

    @classmethod
    def from_state(
        cls,
        state: Mapping[str, Any],
        modalities: Mapping[str, Modality[Any]],
        schema: Schema,
        base: FrozenEncoder | None = None,
    ) -> "FullModel":
        """Rebuild what `state` gave.

        Args:
            state: Weights, sizes and scales.
            modalities: Fitted; they tokenise.
            schema: What the columns mean.
            base: The public encoder that was fine-tuned, if it was one.
        """
        if state["encoder"] is None:
            assert isinstance(base, PublicEncoder)
            encoder: Trunk = public_trunk(base, has_labels=_has_labels(schema))
        else:
            encoder = Encoder(EncoderConfig.from_json(state["encoder"]))
        patch_cells = patch_cells_of(modalities)
        plans = [target_plan(one, schema, patch_cells) for one in schema.targets]
        config = FinetuningConfig(**state["config"])
        network = MultitaskNetwork(encoder, plans, state["n_columns"], config)
        network.load_state_dict({k: torch.from_numpy(v) for k, v in state["weights"].items()})
        scales = {
            name: Scale(np.asarray(one["mean"]), float(one["deviation"]))
            for name, one in state["scales"].items()
        }
        history = tuple((train, valid) for train, valid in state["history"])
        return cls(network.eval(), modalities, scales, history, schema.targets)


def fit_full(
    encoder: FrozenEncoder,
    modalities: Mapping[str, Modality[Any]],
    records: Records,
    config: FinetuningConfig,
    *,
    folder: Path | None = None,
    report: Callable[[int, int, str], None] | None = None,
) -> FullModel:
    """Return a copy of the encoder, fine-tuned with one head per target.

    Args:
        encoder: Where training starts; not changed. A public one can be trained here; see
            `why_not_trainable`.
        modalities: Fitted on the training records.
        records: Training records, checked.
        config: Settings.
        folder: Where the state is kept, so that a stopped training goes on; None keeps none.
        report: Called after each epoch with (epoch, epochs, text).
    """
    # Here, so that prediction does not wait for Lightning to be imported.
    from kagaku.models.finetuning import finetune

    targets, schema = records.schema.targets, records.schema
    patch_cells = patch_cells_of(modalities)
    scales = {
        target.name: Scale.of(records.targets[target.name].values)
        for target in targets
        if target.kind in {"regression", "field"}
    }
    trunk = trunk_of(encoder, schema)
    tokens = read_tokens(trunk, records, modalities)
    examples = record_examples(records, tokens, scales, patch_cells)
    order = np.random.default_rng(config.seed).permutation(len(examples))
    n_valid = max(1, round(VALIDATION_SHARE * len(examples)))
    network, progress = finetune(
        trunk.train(),
        [target_plan(target, schema, patch_cells) for target in targets],
        len(schema.inputs),
        [examples[i] for i in order[n_valid:]],
        [examples[i] for i in order[:n_valid]],
        config,
        fingerprint=_fingerprint(encoder, records, config),
        folder=folder,
        report=report,
    )
    return FullModel(network, modalities, scales, progress.history, targets)


def trunk_of(encoder: FrozenEncoder, schema: Schema) -> Trunk:
    """Return a copy of an encoder to train; of a public one, see `why_not_trainable`."""
    if isinstance(encoder, PublicEncoder):
        return public_trunk(encoder, has_labels=_has_labels(schema))
    return copy.deepcopy(encoder)


def _has_labels(schema: Schema) -> bool:
    return any(one.kind == "per-token" for one in schema.targets)


def why_not_trainable(encoder: FrozenEncoder, records: Records) -> str:
    """Return why an encoder cannot be fine-tuned on such records; empty if it can."""
    schema = records.schema
    if not isinstance(encoder, PublicEncoder):
        return ""
    if others := sorted({one.modality for one in schema.inputs} - {encoder.modality}):
        return (
            f"{encoder.name} reads the modality {encoder.modality!r} only, and its network would "
            f"see nothing of {', '.join(others)}"
        )
    if not _has_labels(schema):
        return ""
    if encoder.modality == "text":
        return f"the word pieces of {encoder.name} are not what the labels are about"
    cells = too_long(encoder, records)
    return "" if not cells else f"in row {cells[0].row} {cells[0].reason}"


def too_long(encoder: PublicEncoder, records: Records) -> list[BadCell]:
    """Return the values whose tokens have labels and which an encoder cannot read whole."""
    if not _has_labels(records.schema):
        return []
    assert isinstance(encoder, TokenEncoder), "only letters have labels of their own"
    most = most_labelled(encoder)
    labelled = {one.labels for one in records.schema.targets if one.labels is not None}
    return [
        BadCell(
            records.source,
            int(row),
            one.column,
            value[:SHOWN_CHARACTERS],
            f"the {encoder.modality} has {len(value):,} letters, and {encoder.name} has positions "
            f"for {most:,}",
            "Cut it into domains.",
        )
        for one in records.schema.inputs
        if one.name in labelled and most is not None
        for row, value in zip(records.rows, records.inputs[one.name], strict=True)
        if value is not None and len(value) > most
    ]


def read_tokens(
    trunk: Trunk, records: Records, modalities: Mapping[str, Modality[Any]]
) -> list[RecordTokens]:
    """Return each record's tokens as the trunk reads them; what it cannot read was refused."""
    if not isinstance(trunk, PublicTrunk):
        return tokenize_records(records, modalities)
    return tokenize_records(records, {trunk.modality: trunk})


def patch_cells_of(modalities: Mapping[str, Modality[Any]]) -> int:
    """Return the side of a climate patch, in cells."""
    climate = modalities.get("climate")
    return DEFAULT_PATCH_CELLS if climate is None else int(climate.config.patch_cells)  # type: ignore[attr-defined]


def _fingerprint(encoder: FrozenEncoder, records: Records, config: FinetuningConfig) -> str:
    """Return what identifies a training: the records, the start and the settings."""
    parts = [asdict(config), encoder_fingerprint(encoder), records_fingerprint(records)]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


def _numpy(tensor: torch.Tensor | None) -> np.ndarray | None:
    return None if tensor is None else tensor.float().cpu().numpy()


def _rescaled(mean: np.ndarray, deviation: np.ndarray, scale: Scale) -> Prediction:
    return Prediction(
        mean=(mean * scale.deviation + scale.mean).astype(np.float64),
        spread=(deviation * scale.deviation).astype(np.float64),
    )


def _normalised(probabilities: np.ndarray, kind: str) -> np.ndarray:
    """Return probabilities in double precision; exclusive ones sum to 1 again."""
    double = probabilities.astype(np.float64)
    return double if kind == "multilabel" else double / double.sum(axis=1, keepdims=True)


def _joined(parts: list[Prediction]) -> Prediction:
    """Return the predictions of several batches as one."""

    def join(arrays: list[np.ndarray | None]) -> np.ndarray | None:
        filled = [array for array in arrays if array is not None]
        return np.concatenate(filled) if filled else None

    return Prediction(
        mean=join([part.mean for part in parts]),
        spread=join([part.spread for part in parts]),
        probabilities=join([part.probabilities for part in parts]),
    )
