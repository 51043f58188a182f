"""What a user can get wrong with a file: each refusal says what, where, and how to mend it."""

import gzip
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from kagaku.data import infer_schema, read, read_grid, read_table, read_tables, table_from_frame
from kagaku.errors import InputError


def grid(**changes: object) -> xr.Dataset:
    made = xr.Dataset(
        {"t": (("time", "lat", "lon"), np.ones((2, 3, 4), np.float32), {"units": "K"})},
        coords={
            "time": (("time",), [0.0, 1.0], {"units": "days since 2000-01-01"}),
            "lat": (("lat",), [10.0, 20.0, 30.0]),
            "lon": (("lon",), [0.0, 1.0, 2.0, 3.0]),
        },
    )
    return made.assign_coords(dict(changes))


def write_misnamed_book(path: Path) -> None:
    write_book(path.with_suffix(".xlsx"))
    path.with_suffix(".xlsx").rename(path)


def write_two_tables(path: Path) -> None:
    path.mkdir()
    (path / "a.csv").write_text("a")
    (path / "b.csv").write_text("b")


def write_book(path: Path) -> None:
    pd.DataFrame({"a": range(50)}).to_excel(path, index=False)


def truncated(write: Callable[[Path], None], path: Path, share: float = 0.5) -> None:
    write(path)
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])


FILES: dict[str, tuple[str, Callable[[Path], object], str]] = {
    "empty file": ("a.csv", lambda p: p.write_bytes(b""), "a.csv: the file is empty"),
    "empty workbook": ("a.xlsx", lambda p: p.write_bytes(b""), "the file is empty"),
    "empty grid": ("a.nc", lambda p: p.write_bytes(b""), "the file is empty"),
    "heading only": ("a.csv", lambda p: p.write_text("a,b\n"), "a heading but no rows"),
    "blank lines only": ("a.csv", lambda p: p.write_text("\n\n\n"), "has no heading"),
    "latin-1": (
        "a.csv",
        lambda p: p.write_bytes("a,b\n1,caf\xe9\n".encode("latin-1")),
        r"line 2 is not UTF-8 text \(byte 0xe9 at byte 9 of the file\).*iconv",
    ),
    "utf-16": ("a.csv", lambda p: p.write_bytes("a,b\n1,2\n".encode("utf-16")), "UTF-16"),
    "NUL byte": ("a.csv", lambda p: p.write_bytes(b"a,b\n1,\x002\n"), r"NUL byte \(byte 6\)"),
    "old Macintosh lines": ("a.csv", lambda p: p.write_bytes(b"a,b\r1,2\r"), "carriage returns"),
    "workbook called csv": (
        "a.csv",
        write_misnamed_book,
        "zip archive or an Excel workbook",
    ),
    "duplicate columns": (
        "a.csv",
        lambda p: p.write_text("x,y, x \n1,2,3\n"),
        r"two columns have the same name: 'x' \(columns \[1, 3\]\)",
    ),
    "short row": (
        "a.csv",
        lambda p: p.write_text("a,b\n1,2\n3\n"),
        "row 3 has 1 cells.*heading has 2",
    ),
    "long row": ("a.csv", lambda p: p.write_text("a,b\n1,2\n3,4,5\n"), "row 3 has 3 cells"),
    "ten megabyte cell": (
        "a.csv",
        lambda p: p.write_text(f"a,b\n1,{'x' * 10_000_000}\n"),
        "row 2: a cell has .* more than 1,000,000",
    ),
    "unclosed quotation mark": (
        "a.csv",
        lambda p: p.write_text('a,b\n1,"2\n' + "3,4\n" * 400_000),
        "quotation mark that is never closed",
    ),
    "endless line": ("a.csv", lambda p: p.write_bytes(b"x" * 17_000_000), "line 1: a cell has"),
    "too many columns": (
        "a.csv",
        lambda p: p.write_text(",".join(map(str, range(3000))) + "\n" + "1," * 2999 + "1\n"),
        "3,000 columns, more than 2,000.*transposed",
    ),
    "truncated gzip": (
        "a.csv.gz",
        lambda p: p.write_bytes(gzip.compress(b"a,b\n" + b"1,2\n" * 9999)[:-20]),
        "damaged or cut short",
    ),
    "no gzip": ("a.csv.gz", lambda p: p.write_text("a,b\n1,2\n"), "damaged or cut short"),
    "truncated parquet": (
        "a.parquet",
        lambda p: truncated(lambda q: pd.DataFrame({"a": range(50)}).to_parquet(q), p),
        "Parquet file is damaged",
    ),
    "parquet without rows": (
        "a.parquet",
        lambda p: pd.DataFrame({"a": []}).to_parquet(p),
        "the file has no rows",
    ),
    "big parquet cell": (
        "a.parquet",
        lambda p: pd.DataFrame({"a": ["x" * 2_000_000]}).to_parquet(p),
        "column 'a': a cell has 2,000,000 characters",
    ),
    "truncated workbook": ("a.xlsx", lambda p: truncated(write_book, p), "workbook is damaged"),
    "workbook with a heading only": (
        "a.xlsx",
        lambda p: pd.DataFrame({"a": []}).to_excel(p, index=False),
        "a heading but no rows",
    ),
    "old workbook": (
        "a.xls",
        lambda p: p.write_bytes(b"\xd0\xcf"),
        "'.xls' is no table.*save it as",
    ),
    "pickle": ("a.pkl", lambda p: p.write_bytes(b"\x80"), "never reads pickled files"),
    "unknown ending": ("a.cvs", lambda p: p.write_text("a\n1\n"), "'.cvs'.*Did you mean '.csv'"),
    "no ending": ("table", lambda p: p.write_text("a\n1\n"), "a file without ending"),
    "zipped parquet": ("a.parquet.gz", lambda p: p.write_bytes(b"x"), "compressed already"),
    "no FASTA": ("a.fasta", lambda p: p.write_text("MKT\n"), "stands before the first header"),
    "empty FASTA": ("a.fasta", lambda p: p.write_text("\n"), "the file has no entry"),
    "giant sequence": (
        "a.fasta",
        lambda p: p.write_text(">p\n" + ("A" * 80 + "\n") * 20_000),
        "entry 1: a cell has",
    ),
    "empty SDF": ("a.sdf", lambda p: p.write_text("\n"), "the file has no entry"),
    "folder without table": ("scans", lambda p: p.mkdir(), "0 images but no table.*labels.csv"),
    "folder with two tables": (
        "scans",
        write_two_tables,
        r"2 tables: \['a.csv', 'b.csv'\]",
    ),
    "text called NetCDF": ("a.nc", lambda p: p.write_text("hello"), "neither NetCDF nor HDF5"),
    "GRIB called NetCDF": ("a.nc", lambda p: p.write_bytes(b"GRIB\0\0\0\2"), "a GRIB file.*cdo"),
    "truncated NetCDF": (
        "a.nc",
        lambda p: truncated(lambda q: grid().to_netcdf(q), p, 0.3),
        "the grid cannot be read.*download it again",
    ),
    "no latitude": (
        "a.nc",
        lambda p: grid().drop_vars("lat").to_netcdf(p),
        "the file has no latitude.*standard_name",
    ),
    "latitude out of range": (
        "a.nc",
        lambda p: grid(lat=[10.0, 20.0, 130.0]).to_netcdf(p),
        "latitude out of range: 'lat' holds 130",
    ),
    "longitude out of range": (
        "a.nc",
        lambda p: grid(lon=[-10.0, 100.0, 200.0, 300.0]).to_netcdf(p),
        "longitude out of range.*-10 to 300.*sortby",
    ),
    "unsorted latitude": (
        "a.nc",
        lambda p: grid(lat=[10.0, 30.0, 20.0]).to_netcdf(p),
        "'lat' is not monotonic.*sortby",
    ),
    "latitude with gaps": (
        "a.nc",
        lambda p: grid(lat=[10.0, np.nan, 30.0]).to_netcdf(p),
        "empty or has missing values",
    ),
    "time going backwards": (
        "a.nc",
        lambda p: grid(time=("time", [1.0, 0.0], {"units": "days since 2000-01-01"})).to_netcdf(p),
        "'time' does not increase",
    ),
    "unreadable time": (
        "a.nc",
        lambda p: grid(time=("time", [0.5, 1.5], {"units": "fortnights"})).to_netcdf(p),
        "time axis 'time' cannot be read.*CF units",
    ),
    "series only": (
        "a.nc",
        lambda p: grid().mean(("lat", "lon")).to_netcdf(p),
        "no latitude|no variable is a field",
    ),
    "pickles in Zarr": (
        "a.zarr",
        lambda p: (
            grid().to_zarr(p, zarr_format=2, consolidated=False),
            (p / "t" / ".zarray").write_text('{"filters": [{"id": "pickle"}]}'),
        ),
        "pickled arrays, which kagaku never reads",
    ),
}


@pytest.mark.parametrize("name", list(FILES))
def test_a_bad_file_is_refused_with_its_own_words(tmp_path: Path, name: str) -> None:
    file, write, text = FILES[name]
    write(tmp_path / file)
    with pytest.raises(InputError, match=f"(?s){text}") as caught:
        read(tmp_path / file)
    assert caught.value.fix
    assert caught.value.where


def test_a_misspelt_file_gets_advice_from_its_folder(tmp_path: Path) -> None:
    (tmp_path / "solubility.csv").write_text("a\n1\n")
    with pytest.raises(InputError, match=r"no such file. Did you mean 'solubility.csv'"):
        read_table(tmp_path / "solubilty.csv")
    with pytest.raises(InputError, match=r"The folder holds \['solubility.csv'\]"):
        read_grid(tmp_path / "zzzz.nc")
    with pytest.raises(InputError, match="there is no folder"):
        read(tmp_path / "nowhere" / "a.csv")
    with pytest.raises(InputError, match="is not a path"):
        read("a\0b.csv")


def test_an_unreadable_file_is_told_as_such(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.csv"
    path.write_text("a\n1\n")

    def refuse(*_: object) -> object:
        raise PermissionError(13, "denied")

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(InputError, match=r"may not be read. Change its permissions"):
        read_table(path)


def test_a_curved_grid_is_refused() -> None:
    from kagaku.data import grid_from_dataset

    lat, lon = np.meshgrid([0.0, 1.0, 2.0], [0.0, 1.0, 2.0, 3.0], indexing="ij")
    made = xr.Dataset(
        {"t": (("y", "x"), np.ones((3, 4)))},
        coords={"lat": (("y", "x"), lat + 0.3 * lon), "lon": (("y", "x"), lon)},
    )
    with pytest.raises(InputError, match=r"the grid is curved.*Interpolate"):
        grid_from_dataset(made)


def test_chunks_have_at_least_one_row(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="rows_per_chunk is 0"):
        next(read_tables(tmp_path / "a.csv", rows_per_chunk=0))


COLUMNS = {"smiles": ["CCO", "CCN", "CCC"] * 5, "temp [degC]": range(15), "logS": range(15),
           "name": ["x"] * 15, "note": [f"word{i}, of several words" for i in range(15)],
           "when": ["2024-01-01"] * 15, "empty": [None] * 15}  # fmt: skip


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"targets": ["logs"]}, "no column 'logs'. Did you mean 'logS'.*The columns are 'smiles'"),
        ({"targets": ["logS: regresion"]}, "'regresion' in .* Did you mean 'regression'"),
        ({"targets": ["logS [wobbles]"]}, "'wobbles' is not a unit"),
        ({"targets": ["temp [mol/L]"]}, "'degC' cannot be converted to 'mol/L'"),
        ({"targets": ["logS", "logS"]}, "the target 'logS' was named twice"),
        ({"targets": ["empty"]}, "no measured value"),
        ({"targets": ["name"]}, "one class only: every measured row is 'x'"),
        ({"targets": ["note"]}, "15 different labels in 15 rows"),
        ({"targets": ["smiles: binary"]}, "3 classes.*': multiclass'"),
        ({"targets": ["logS: field"]}, "a table has no fields"),
        ({"targets": ["logS: per-token"]}, "needs a protein"),
        ({"targets": ["logS"], "inputs": ["smils"]}, "Did you mean 'smiles'"),
        ({"targets": ["logS"], "inputs": ["smiles: mollecule"]}, "Did you mean 'molecule'"),
        (
            {"targets": ["logS"], "inputs": ["smiles", "smiles"]},
            "the input 'smiles' was named twice",
        ),
        ({"targets": ["logS"], "inputs": ["logS"]}, "is a target, so it cannot be an input"),
        (
            {"targets": ["logS"], "inputs": ["smiles [K]"]},
            "given the unit 'K', but its cells are no",
        ),
        ({"targets": ["logS"], "inputs": ["temp [m]"]}, "'degC' cannot be converted to 'm'"),
        ({"targets": ["logS"], "inputs": ["empty"]}, "the input 'empty' is empty in every row"),
        ({"targets": ["logS"], "group": "lab"}, "no column 'lab'"),
        ({"targets": ["logS"], "lead": "3 months"}, "a lead is for grids"),
    ],
)
def test_a_bad_request_is_refused_with_advice(options: dict[str, object], text: str) -> None:
    table = table_from_frame(pd.DataFrame(COLUMNS, dtype=object), source="lab.csv")
    targets, inputs = options["targets"], options.get("inputs")
    group, lead = options.get("group"), options.get("lead")
    assert isinstance(targets, list)
    assert inputs is None or isinstance(inputs, list)
    assert group is None or isinstance(group, str)
    assert lead is None or isinstance(lead, str)
    with pytest.raises(InputError, match=text) as caught:
        infer_schema(table, targets=targets, inputs=inputs, group=group, lead=lead)
    assert caught.value.fix


def test_a_table_without_useful_columns_says_why_of_each() -> None:
    frame = pd.DataFrame({"id": range(1, 16), "batch": ["a"] * 15, "y": np.arange(15) / 7})
    with pytest.raises(
        InputError, match=r"no column is left as an input.*'id' numbers the rows.*--input"
    ):
        infer_schema(table_from_frame(frame), targets=["y"])


def test_dataframes_are_checked_too() -> None:
    with pytest.raises(InputError, match="the table has no rows"):
        table_from_frame(pd.DataFrame({"a": []}))
    with pytest.raises(InputError, match="two columns have the same name"):
        table_from_frame(pd.DataFrame([[1, 2]], columns=["a", "a"]))
    with pytest.raises(InputError, match="no columns"):
        table_from_frame(pd.DataFrame(index=[0, 1]))
