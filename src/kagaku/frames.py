"""Tables as Parquet and CSV can hold them, whatever a spreadsheet had in its cells."""

from pathlib import Path

import pandas as pd
import pyarrow as pa

from kagaku.data.whole_files import written_whole


def storable(frame: pd.DataFrame, *, with_lists: bool = True) -> pd.DataFrame:
    """Return the table with mixed columns, such as 1.5 beside "<5", as text.

    Args:
        frame: Any table.
        with_lists: Whether columns of lists may stay; CSV cannot hold them.
    """
    held = frame.copy(deep=False)
    for place, name in enumerate(frame.columns):
        if pd.api.types.is_object_dtype(frame.iloc[:, place]):
            cells = frame.iloc[:, place].tolist()
            if not _is_uniform(cells, with_lists=with_lists):
                told = [None if _is_missing(cell) else str(cell) for cell in cells]
                held[name] = pd.Series(told, index=frame.index, dtype=object)
    return held


def write_frame(frame: pd.DataFrame, path: Path) -> None:
    """Write a table through a temporary name: as CSV if the ending says so, else as Parquet."""
    with written_whole(path) as partial:
        if path.suffix == ".csv":
            storable(frame, with_lists=False).to_csv(partial, index=False)
        else:
            storable(frame).to_parquet(partial, index=False)


def _is_uniform(cells: list[object], *, with_lists: bool) -> bool:
    try:
        stored = pa.array(cells, from_pandas=True)
    except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError):
        return False
    return with_lists or not pa.types.is_nested(stored.type)


def _is_missing(cell: object) -> bool:
    return cell is None or cell is pd.NA or cell is pd.NaT or cell != cell
