"""A fitted property model: raw records in, calibrated predictions out; saved without pickle."""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int

from kagaku.data.bad_rows import BadCell
from kagaku.data.records import Records
from kagaku.data.schema import Schema, Target
from kagaku.errors import InputError
from kagaku.modalities import Modality
from kagaku.modalities.checking import modality_states, restore_modalities
from kagaku.models import load_encoder, save_encoder
from kagaku.models.public import PublicEncoder, load_public
from kagaku.models.public.trunk import PublicTrunk
from kagaku.models.public.weights import is_public
from kagaku.science_tasks.applicability import Applicability
from kagaku.science_tasks.blending import blend
from kagaku.science_tasks.conformal import Calibration
from kagaku.science_tasks.embeddings import EmbeddingFeatures, domain_blocks
from kagaku.science_tasks.features import FeatureBlock, Featurizer
from kagaku.science_tasks.featurizing import (
    feature_blocks,
    featurizer_states,
    restore_featurizers,
)
from kagaku.science_tasks.full import FullModel, too_long
from kagaku.science_tasks.prediction import Prediction
from kagaku.science_tasks.public_embeddings import FrozenEncoder
from kagaku.science_tasks.readouts import READOUTS
from kagaku.science_tasks.readouts.readout import Readout
from kagaku.science_tasks.readouts.terms import TermsReadout
from kagaku.science_tasks.storage import load_state, save_state
from kagaku.science_tasks.tempering import tempered
from kagaku.science_tasks.term_counts import CountedLater
from kagaku.science_tasks.token_blocks import per_token_blocks, token_counts

MODEL_FILE, ENCODER_FOLDER = "model.safetensors", "encoder"
FULL = "full"
"""The member that is the fine-tuned network itself, not a readout."""

ProgressCallback = Callable[[int, int, str], None]


@dataclass
class Member:
    """One of the models whose predictions a target's answer is the mean of."""

    readout: Readout | None
    """The fitted readout; None for the fine-tuned network."""

    blocks: tuple[str, ...]
    """Names of the feature blocks that it reads."""

    temperature: float = 1.0
    """What its log-odds are divided by."""


@dataclass
class TargetModel:
    """Everything that predicts one target."""

    target: Target
    """What is predicted."""

    members: list[Member]
    """At least one."""

    calibration: Calibration
    """Turns predictions into intervals or sets."""


@dataclass(frozen=True)
class TargetPrediction:
    """The calibrated answer for one target, in its unit."""

    prediction: Prediction
    """Centre and spread, or probabilities."""

    in_domain: Bool[np.ndarray, " record"]
    """Whether a record is as near to the training records as they are to each other."""

    distance: Float[np.ndarray, " record"]
    """Distance to the nearest training records, dimensionless; 0 is identical."""

    lower: Float[np.ndarray, " record *grid"] | None = None
    """Lower end of the interval, for regression and fields."""

    upper: Float[np.ndarray, " record *grid"] | None = None
    """Upper end of the interval."""

    sets: Bool[np.ndarray, "row choice"] | None = None
    """Which classes the confidence level cannot rule out, per record (or token)."""

    token_counts: Int[np.ndarray, " record"] | None = None
    """For per-token targets, how many labelled tokens each record has."""


@dataclass
class Features:
    """What turns records into feature blocks: classical ones, and embeddings where used."""

    featurizers: Mapping[str, Featurizer[Any]]
    """By input name, fitted on training records."""

    embeddings: EmbeddingFeatures | None
    """Frozen embeddings, if any model reads them."""

    def blocks(
        self, records: Records, *, progress: ProgressCallback | None = None
    ) -> list[FeatureBlock]:
        """Return all feature blocks of the records."""
        blocks = feature_blocks(records, self.featurizers)
        if self.embeddings is not None:

            def report(done: int, total: int) -> None:
                if progress is not None:
                    progress(done, total, "embedding")

            blocks += self.embeddings.transform(records, progress=report)
        return blocks


@dataclass
class PropertyModel:
    """Predicts every target of a schema, each with its interval or set and in-domain verdict."""

    schema: Schema
    """What the columns mean."""

    modalities: Mapping[str, Modality[Any]]
    """By name, fitted on training records."""

    features: Features
    """Makes the feature blocks."""

    applicability: Applicability
    """Judges distances to the training records."""

    targets: list[TargetModel]
    """In the schema's order."""

    full: FullModel | None = None
    """The fine-tuned network, if any target uses it."""

    @property
    def encoder(self) -> FrozenEncoder | None:
        """The encoder that the predictions use: fine-tuned, frozen, or None."""
        if self.full is not None:
            trunk = self.full.network.encoder
            return trunk.fine_tuned() if isinstance(trunk, PublicTrunk) else trunk
        return None if self.features.embeddings is None else self.features.embeddings.encoder

    def unreadable(self, records: Records) -> list[BadCell]:
        """Return the cells that the modalities accept and the fine-tuned network cannot read."""
        if self.full is None or not isinstance(self.full.network.encoder, PublicTrunk):
            return []
        return too_long(self.full.network.encoder.source, records)

    def predict(
        self, records: Records, *, progress: ProgressCallback | None = None
    ) -> dict[str, TargetPrediction]:
        """Return the answers for each target, by name, in the order of the records.

        Args:
            records: Checked records with the schema's inputs.
            progress: Called with (done, total, what).
        """
        blocks = self.features.blocks(records, progress=progress)
        network: dict[str, Prediction] = {}
        if self.full is not None:
            network = self.full.predict(
                records,
                progress=None if progress is None else (lambda d, t: progress(d, t, "network")),
            )
        distance = self.applicability.distance(domain_blocks(blocks))
        in_domain = self.applicability.in_domain(distance)
        texts, answers = CountedLater(records), {}
        for model in self.targets:
            raw = raw_prediction(model, records, blocks, texts, network)
            answers[model.target.name] = calibrated(model, raw, records, in_domain, distance)
        return answers

    def fingerprint(self) -> str:
        """Return a short text that two models share only if they predict the same."""
        digest = hashlib.sha256(json.dumps(self.schema.to_json()).encode())
        for model in self.targets:
            for member in model.members:
                digest.update(repr((member.blocks, member.temperature)).encode())
                if member.readout is not None:
                    digest.update(_digest(member.readout.state()))
        if self.full is not None:
            digest.update(_digest(self.full.state()))
        return digest.hexdigest()

    def save(self, folder: Path) -> None:
        """Write everything needed to predict offline into a folder."""
        embeddings = self.features.embeddings
        state = {
            "modalities": modality_states(self.modalities),
            "featurizers": featurizer_states(self.features.featurizers),
            "applicability": self.applicability.state(),
            "embeddings": None
            if embeddings is None
            else {"means": embeddings.means, "deviations": embeddings.deviations},
            "full": None if self.full is None else self.full.state(),
            "targets": {
                model.target.name: {
                    "members": [_member_state(member) for member in model.members],
                    "calibration": model.calibration.state(),
                }
                for model in self.targets
            },
        }
        save_state(state, folder / MODEL_FILE)
        if embeddings is not None:
            _save_encoder(embeddings.encoder, folder / ENCODER_FOLDER)
        elif self.full is not None and isinstance(self.full.network.encoder, PublicTrunk):
            # What tokenises, and the sizes, are in its files.
            _save_encoder(self.full.network.encoder.source, folder / ENCODER_FOLDER)

    @classmethod
    def load(cls, folder: Path, schema: Schema) -> "PropertyModel":
        """Return the model that `save` wrote.

        Raises:
            InputError: A file is missing, damaged or of a newer version.
        """
        state = load_state(folder / MODEL_FILE)
        try:
            return cls._from_state(folder, schema, state)
        except (KeyError, TypeError) as error:
            raise InputError(
                f"the fitted model does not fit the schema ({error!r})",
                fix="Copy the run folder again, or fine-tune again.",
                where=str(folder),
            ) from None

    @classmethod
    def _from_state(cls, folder: Path, schema: Schema, state: Mapping[str, Any]) -> "PropertyModel":
        modalities = restore_modalities(state["modalities"])
        full, embeddings, encoder = state["full"], None, None
        if state["embeddings"] is not None or (full is not None and full["encoder"] is None):
            encoder = _load_encoder(folder / ENCODER_FOLDER)
        if state["embeddings"] is not None:
            assert encoder is not None
            parts = state["embeddings"]
            embeddings = EmbeddingFeatures(encoder, modalities, parts["means"], parts["deviations"])
        applicability = Applicability()
        applicability.load_state(state["applicability"])
        targets = []
        for target in schema.targets:
            stored = state["targets"][target.name]
            calibration = Calibration()
            calibration.load_state(stored["calibration"])
            members = [_restored_member(one) for one in stored["members"]]
            targets.append(TargetModel(target, members, calibration))
        return cls(
            schema,
            modalities,
            Features(restore_featurizers(schema, state["featurizers"]), embeddings),
            applicability,
            targets,
            None if full is None else FullModel.from_state(full, modalities, schema, encoder),
        )


def _save_encoder(encoder: FrozenEncoder, folder: Path) -> None:
    """Write an encoder; a public one's files are copied, under its name."""
    if isinstance(encoder, PublicEncoder):
        encoder.origin.copy(folder / encoder.name)
    else:
        save_encoder(encoder, folder)


def _load_encoder(folder: Path) -> FrozenEncoder:
    """Return what `_save_encoder` wrote."""
    copies = [one for one in folder.iterdir() if is_public(one)] if folder.is_dir() else []
    return load_public(copies[0]) if copies else load_encoder(folder)


def raw_prediction(
    model: TargetModel,
    records: Records,
    blocks: Sequence[FeatureBlock],
    texts: CountedLater,
    network: Mapping[str, Prediction],
) -> Prediction:
    """Return the mean of the members' predictions, before calibration."""
    by_name = {block.name: block for block in blocks}
    has_labels = model.target.kind == "multilabel"
    parts = []
    for member in model.members:
        if member.readout is None:
            given = network[model.target.name]
        elif model.target.kind == "per-token":
            given = member.readout.predict(per_token_blocks(records, model.target))
        elif isinstance(member.readout, TermsReadout):
            given = member.readout.predict([texts.block])
        else:
            given = member.readout.predict([by_name[name] for name in member.blocks])
        parts.append(tempered(given, member.temperature, has_labels=has_labels))
    return blend(parts)


def calibrated(
    model: TargetModel,
    raw: Prediction,
    records: Records,
    in_domain: np.ndarray,
    distance: np.ndarray,
) -> TargetPrediction:
    """Return a raw prediction with its interval or set and the in-domain verdict."""
    if model.target.kind in {"regression", "field"}:
        lower, upper = model.calibration.interval(raw)
        return TargetPrediction(raw, in_domain, distance, lower=lower, upper=upper)
    counts = None
    if model.target.kind == "per-token":
        counts = token_counts(records, model.target)
    sets = model.calibration.sets(raw)
    return TargetPrediction(raw, in_domain, distance, sets=sets, token_counts=counts)


def _member_state(member: Member) -> dict[str, Any]:
    if member.readout is None:
        return {
            "readout": FULL,
            "blocks": [],
            "state": {},
            "temperature": member.temperature,
        }
    return {
        "readout": member.readout.name,
        "blocks": list(member.blocks),
        "state": member.readout.state(),
        "temperature": member.temperature,
    }


def _restored_member(stored: Mapping[str, Any]) -> Member:
    temperature = float(stored.get("temperature", 1.0))  # runs of before there was one have none
    if stored["readout"] == FULL:
        return Member(None, (), temperature)
    readout = READOUTS[stored["readout"]]()
    readout.load_state(stored["state"])
    return Member(readout, tuple(stored["blocks"]), temperature)


def _digest(state: Any) -> bytes:
    """Return a hash of nested plain values and arrays."""
    if isinstance(state, np.ndarray):
        return hashlib.sha256(np.ascontiguousarray(state).tobytes()).digest()
    if isinstance(state, Mapping):
        return b"".join(str(key).encode() + _digest(value) for key, value in state.items())
    if isinstance(state, list | tuple):
        return b"".join(_digest(value) for value in state)
    return repr(state).encode()
