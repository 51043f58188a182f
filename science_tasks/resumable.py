"""Candidates whose finished folds are kept on disk, so that a stopped comparison goes on."""

import hashlib
import json
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import torch

from kagaku.data.records import Field, Records
from kagaku.models.public import PublicEncoder
from kagaku.science_tasks.prediction import Prediction
from kagaku.science_tasks.public_embeddings import FrozenEncoder
from kagaku.science_tasks.selection import Candidate, Fitted
from kagaku.science_tasks.storage import load_state, save_state


@dataclass(frozen=True)
class ResumableCandidate:
    """A candidate that remembers what it has predicted."""

    candidate: Candidate
    """What is fitted if it does not remember."""

    folder: Path
    """Where predictions are kept."""

    fingerprint: str
    """Identifies data and settings; predictions of another fingerprint are not used."""

    @property
    def name(self) -> str:
        """What the result table calls it."""
        return self.candidate.name

    def fit(self, train_index: np.ndarray) -> "RememberedFit":
        """Return a fit that is only done when it is needed."""
        return RememberedFit(self, train_index)


@dataclass(frozen=True)
class RememberedFit:
    """A candidate fitted to some records, or only its kept predictions."""

    source: ResumableCandidate
    """The candidate."""

    train_index: np.ndarray
    """The records to fit on."""

    @cached_property
    def fitted(self) -> Fitted:
        """The fitted candidate."""
        return self.source.candidate.fit(self.train_index)

    def predict(self, index: np.ndarray) -> Prediction:
        """Return predictions for the records at ``index``, from disk if they are there."""
        digest = hashlib.sha256(f"{self.source.fingerprint}{self.source.name}".encode())
        for part in (self.train_index, index):
            digest.update(np.asarray(part, dtype=np.int64).tobytes() + b"/")
        path = self.source.folder / f"{digest.hexdigest()}.safetensors"
        if path.exists():
            stored = load_state(path)
            return Prediction(stored["mean"], stored["spread"], stored["probabilities"])
        prediction = self.fitted.predict(index)
        save_state(asdict(prediction), path)
        return prediction


def encoder_fingerprint(encoder: FrozenEncoder) -> str:
    """Return a text that identifies an encoder: its configuration and its weights."""
    if isinstance(encoder, PublicEncoder):
        return encoder.origin.checksum
    digest = hashlib.sha256(json.dumps(encoder.config.to_json()).encode())
    for name, weights in encoder.state_dict().items():
        digest.update(name.encode())
        digest.update(weights.cpu().contiguous().view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def records_fingerprint(records: Records) -> str:
    """Return a text that identifies the records' inputs and targets."""
    digest = hashlib.sha256(repr(records.schema.to_json()).encode())
    for name, values in sorted(records.inputs.items()):
        digest.update(name.encode())
        for value in values:
            if isinstance(value, Field):
                digest.update(np.ascontiguousarray(value.values).tobytes())
            elif isinstance(value, Path) and value.exists():
                status = value.stat()
                digest.update(f"{value.name}{status.st_size}{status.st_mtime_ns}".encode())
            else:
                digest.update(repr(value).encode())
    for name, target in sorted(records.targets.items()):
        digest.update(name.encode() + target.censoring.tobytes())
        if target.values.dtype == object:
            digest.update(b"".join(repr(one).encode() for one in target.values))
        else:
            digest.update(np.ascontiguousarray(target.values).tobytes())
    return digest.hexdigest()
