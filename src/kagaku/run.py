"""A run: the folder that a fine-tuning leaves behind, and everything needed to predict offline."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kagaku.data import (
    BadCell,
    BadRowsError,
    Grid,
    Records,
    Schema,
    Table,
    grid_records,
    parse_records,
    read,
)
from kagaku.data.fields import FIELDS
from kagaku.data.table import table_from_frame
from kagaku.errors import InputError
from kagaku.experiment import FinetuneConfig, load_recipe
from kagaku.modalities.checking import check_records
from kagaku.models.checkpoint import upgrade
from kagaku.prediction_fields import predictions_dataset, record_times
from kagaku.prediction_table import predictions_frame
from kagaku.science_tasks.property import PropertyModel, TargetPrediction
from kagaku.terminal import Terminal

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

RUN_FORMAT_VERSION = 1
"""Raised by one whenever a run folder would mean something else."""

METRICS_FILE, SCHEMA_FILE, CONFIG_FILE = "metrics.json", "schema.json", "config.yaml"
MODEL_FOLDER = "model"
UNFINISHED_FILE = "UNFINISHED"
"""Stands in a run folder from its first moment until everything in it is written."""


class Run:
    """A finished fine-tuning, ready to predict.

    Made by `kagaku.finetune` and `kagaku.load`.

    Args:
        folder: The run folder.
        model: What it holds.
        metrics: Its metrics.json.
    """

    def __init__(self, folder: Path, model: PropertyModel, metrics: dict[str, Any]) -> None:
        self.folder, self.model, self.metrics = folder, model, metrics

    @classmethod
    def load(cls, folder: str | Path) -> "Run":
        """Return the run in a folder.

        Raises:
            InputError: The folder is not a finished run, or is damaged, or is of a newer version.
        """
        path = Path(folder)
        if not path.is_dir():
            raise InputError(
                f"there is no run folder {str(folder)!r}",
                fix="Give the --output folder of a `kagaku finetune`.",
            )
        if (path / UNFINISHED_FILE).exists():
            raise InputError(
                "this fine-tuning has not finished",
                fix="Run the same `kagaku finetune` command again: it goes on where it stopped.",
                where=str(folder),
            )
        metrics = read_json(path / METRICS_FILE)
        upgrade(metrics, str(path / METRICS_FILE), current=RUN_FORMAT_VERSION, steps={})
        stored = read_json(path / SCHEMA_FILE)
        try:
            schema = Schema.from_json(stored)
        except InputError as error:
            raise error.at(str(path / SCHEMA_FILE)) from None
        targets = metrics.get("targets")
        if not isinstance(targets, dict) or set(targets) != {one.name for one in schema.targets}:
            raise InputError(
                f"the file does not tell of the targets in {SCHEMA_FILE}",
                fix="Copy the run folder again: its files do not belong together.",
                where=str(path / METRICS_FILE),
            )
        return cls(path, PropertyModel.load(path / MODEL_FOLDER, schema), metrics)

    @property
    def schema(self) -> Schema:
        """What the run reads and predicts."""
        return self.model.schema

    @property
    def config(self) -> FinetuneConfig:
        """The settings that made the run."""
        return load_recipe(self.folder / CONFIG_FILE)

    @property
    def reads_grids(self) -> bool:
        """Whether the run was made from a grid, and so predicts grids; otherwise tables."""
        return any(one.name == FIELDS for one in self.schema.inputs if one.modality == "climate")

    @property
    def predicts_fields(self) -> bool:
        """Whether a target is a field, so that the answer is a Dataset and not a table."""
        return any(target.kind == "field" for target in self.schema.targets)

    @property
    def report(self) -> Path:
        """The HTML report."""
        return self.folder / "report.html"

    def predict(
        self,
        data: "str | Path | pd.DataFrame | xr.Dataset",
        *,
        abstain: bool = False,
        skip_bad_rows: bool = False,
        quiet: bool = True,
    ) -> "pd.DataFrame":
        """Return predictions with intervals, one row per record, in the order of the input.

        Args:
            data: A file as in `kagaku.finetune`, a DataFrame, or (for grids) a Dataset. Targets
                need not be in it.
            abstain: Leave the answer empty for records unlike the training data.
            skip_bad_rows: Leave the answer empty for rows that cannot be read, instead of
                stopping before any work.
            quiet: Show no progress bar.

        Returns:
            For each target: its prediction in the target's unit, ``_lower`` and ``_upper`` (or
            ``_set`` and the probability of each class), and ``_in_domain``. For grids the time of
            the input, and of the prediction, stand before them.

        Raises:
            InputError: A column is missing, rows cannot be used, or the run predicts fields.
        """
        import pandas as pd

        if self.predicts_fields:
            raise InputError(
                "this run predicts fields, which are no table",
                fix="Call predict_fields, or `kagaku predict` with an --output that ends in .nc.",
            )
        source = _source(data)
        records, bad, predictions = self._answer(source, skip_bad_rows=skip_bad_rows, quiet=quiet)
        frame = predictions_frame(self.schema.targets, predictions, abstain=abstain)
        if isinstance(source, Grid):
            times = record_times(self.schema, source, records)
            frame = pd.concat([pd.DataFrame(times), frame], axis=1)
        if bad:
            frame = self.with_bad_rows(frame, records, source, bad)
        if isinstance(data, pd.DataFrame):
            frame.index = data.index
        return frame

    def predict_fields(
        self, data: "str | Path | xr.Dataset", *, quiet: bool = True
    ) -> "xr.Dataset":
        """Return predictions of field targets, with intervals, on the input's own grid.

        Args:
            data: A grid as in `kagaku.finetune`, or a Dataset.
            quiet: Show no progress bar.

        Returns:
            For each target a variable, ``_lower``, ``_upper`` and ``_in_domain``.

        Raises:
            InputError: A variable is missing, or the run predicts no fields.
        """
        if not self.predicts_fields:
            raise InputError("this run predicts no fields", fix="Call predict.")
        source = _source(data)
        records, _, predictions = self._answer(source, skip_bad_rows=False, quiet=quiet)
        assert isinstance(source, Grid)
        return predictions_dataset(self.schema, source, records, predictions)

    def _answer(
        self, source: "Table | Grid", *, skip_bad_rows: bool, quiet: bool
    ) -> tuple[Records, list[BadCell], dict[str, TargetPrediction]]:
        """Return the usable records, the bad cells and the predictions."""
        records, bad = self.records(source)
        if bad and not skip_bad_rows:
            raise BadRowsError(bad, len(source))
        with Terminal(quiet=quiet).progress("predicting") as progress:
            return records, bad, self.model.predict(records, progress=progress)

    def records(self, source: "Table | Grid") -> tuple[Records, list[BadCell]]:
        """Return the usable records of a table or grid, and every cell that cannot be used.

        Raises:
            InputError: It is a table and the run reads grids, or the other way round; or columns or
                variables are missing.
        """
        if isinstance(source, Grid) != self.reads_grids:
            wanted = "grids: NetCDF or Zarr" if self.reads_grids else "tables, such as CSV"
            raise InputError(
                f"this is a {'table' if self.reads_grids else 'grid'}, but the run was made from "
                f"{wanted.partition(':')[0].partition(',')[0]}",
                fix=f"Give it {wanted}.",
                where=source.source,
            )
        if isinstance(source, Grid):
            records, bad = grid_records(source, self.schema, with_targets=False), list[BadCell]()
        else:
            records, bad = parse_records(source, self.schema, with_targets=False)
        return checked(records, bad, self.model)

    def with_bad_rows(
        self, frame: "pd.DataFrame", records: Records, source: "Table | Grid", bad: list[BadCell]
    ) -> "pd.DataFrame":
        """Return predictions with an empty row, and its reason, for each row that was left out."""
        assert isinstance(source, Table)
        placed = frame.set_index(records.rows).reindex(source.rows)
        reasons = {cell.row: str(cell) for cell in bad}
        placed["problem"] = [reasons.get(int(row), "") for row in source.rows]
        return placed.reset_index(drop=True)


def _source(data: "str | Path | pd.DataFrame | xr.Dataset") -> Table | Grid:
    """Return a file's, a DataFrame's or a Dataset's table or grid."""
    import pandas as pd

    if isinstance(data, pd.DataFrame):
        return table_from_frame(data)
    if isinstance(data, str | Path):
        return read(data)
    from kagaku.data.grids import grid_from_dataset

    return grid_from_dataset(data)


def checked(
    records: Records, bad: list[BadCell], model: PropertyModel
) -> tuple[Records, list[BadCell]]:
    """Return the records that every modality accepts, and the bad cells, old and new."""
    kept, more = check_records(records, model.modalities)
    everything = [*bad, *more, *model.unreadable(kept)]
    rejected = {cell.row for cell in everything}
    good = [i for i, row in enumerate(kept.rows) if int(row) not in rejected]
    return (kept.subset(good) if len(good) < len(kept) else kept), everything


def read_json(path: Path) -> dict[str, Any]:
    """Return the JSON object in a file of a run folder.

    Raises:
        InputError: It is missing or damaged.
    """
    try:
        stored = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError(
            f"there is no {path.name}, so this is not a whole run folder",
            fix="Copy the run folder again, with everything in it.",
            where=str(path.parent),
        ) from None
    except (OSError, ValueError) as error:
        raise InputError(
            f"the file is damaged ({error})", fix="Copy the run folder again.", where=str(path)
        ) from None
    if not isinstance(stored, dict):
        raise InputError("the file is damaged", fix="Copy the run folder again.", where=str(path))
    return stored
