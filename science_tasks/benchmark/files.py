"""Reading catalogued files: tables, split lists and sequences."""

import io
import json
from typing import Any

import numpy as np
import pandas as pd

from kagaku.data.catalogue import Source
from kagaku.science_tasks.benchmark.task import Rows


def frame(source: Source, key: str, **how: Any) -> pd.DataFrame:
    """Return a delimited file as a frame; ``how`` goes to `pandas.read_csv`."""
    table: pd.DataFrame = pd.read_csv(io.BytesIO(source(key)), **how)
    return table


def text(source: Source, key: str) -> str:
    """Return a UTF-8 text file."""
    return source(key).decode("utf-8")


def stored_json(source: Source, key: str) -> Any:
    """Return the content of a JSON file."""
    return json.loads(source(key))


def rows_of(stored: dict[str, list[int]]) -> Rows:
    """Return a split stored as lists of positions under ``train``, ``valid`` and ``test``."""
    parts = {name: np.array(rows, dtype=np.int64) for name, rows in stored.items()}
    return Rows(parts["train"], parts["test"], parts.get("valid"))
