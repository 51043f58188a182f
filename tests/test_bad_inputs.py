"""What a user can get wrong at the command line: one paragraph, no traceback, no half output."""

import re
import shutil
import struct
import subprocess
import sys
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import xarray as xr

import kagaku
from kagaku import cli

Make = Callable[[str], Any]


@pytest.fixture
def ask(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    """Run the command in this process; return what it says when it refuses."""

    def run(*words: object) -> str:
        monkeypatch.setattr(sys, "argv", ["kagaku", *map(str, words)])
        with pytest.raises(SystemExit) as caught:
            cli.main()
        printed = capfd.readouterr()
        assert not printed.out
        assert "Traceback" not in printed.err
        told = caught.value.code
        assert isinstance(told, str), printed.err  # Python prints it on stderr and exits with 1
        assert told.startswith("kagaku: ")
        return told

    return run


def smiles(n_rows: int = 40) -> pd.DataFrame:
    chains = ["C" * (1 + i % 12) + "O" * (i % 2) + "N" * (i // 12) for i in range(n_rows)]
    return pd.DataFrame({"smiles": chains, "logS [log10(mol/L)]": np.linspace(-4, 1, n_rows)})


def table(**changes: Any) -> Callable[[Path], None]:
    """Return what writes lab.csv with some columns replaced; a pair replaces one cell."""

    def write(folder: Path) -> None:
        frame = smiles()
        for name, value in changes.items():
            column = "logS [log10(mol/L)]" if name == "logS" else name
            if isinstance(value, tuple):
                frame[column] = frame[column].astype(object)
                frame.loc[value[0], column] = value[1]
            else:
                frame[column] = value
        frame.to_csv(folder / "lab.csv", index=False)

    return write


def raw(content: bytes, name: str = "lab.csv") -> Callable[[Path], None]:
    def write(folder: Path) -> None:
        (folder / name).write_bytes(content)

    return write


def proteins(labels: str, first: str = "MKVLAA") -> Callable[[Path], None]:
    def write(folder: Path) -> None:
        rows = [("MKVLAAGIC"[: 4 + i % 6], "HHHCCCEEE"[: 4 + i % 6]) for i in range(30)]
        rows[0] = (first, labels)
        pd.DataFrame(rows, columns=["sequence", "fold"]).to_csv(folder / "lab.csv", index=False)

    return write


def grid(cut: float = 1.0, **changes: object) -> Callable[[Path], None]:
    def write(folder: Path) -> None:
        made = xr.Dataset(
            {"t": (("time", "lat", "lon"), np.random.default_rng(0).random((30, 3, 4)))},
            coords={
                "time": (("time",), np.arange(30.0), {"units": "days since 2000-01-01"}),
                "lat": (("lat",), [10.0, 20.0, 30.0]),
                "lon": (("lon",), [0.0, 1.0, 2.0, 3.0]),
            },
        )
        made.assign_coords(dict(changes)).to_netcdf(folder / "lab.nc")
        content = (folder / "lab.nc").read_bytes()
        (folder / "lab.nc").write_bytes(content[: int(len(content) * cut)])

    return write


def bomb(side: int) -> bytes:
    """Return a PNG of a few bytes that claims to have side x side pixels."""
    header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    parts = b"\x89PNG\r\n\x1a\n"
    for kind, body in ((b"IHDR", header), (b"IDAT", zlib.compress(b"\0" * 9)), (b"IEND", b"")):
        parts += struct.pack(">I", len(body)) + kind + body
        parts += struct.pack(">I", zlib.crc32(kind + body))
    return parts


def images(cell: str, content: bytes | None = None) -> Callable[[Path], None]:
    def write(folder: Path) -> None:
        from PIL import Image

        for i in range(30):
            Image.fromarray(np.full((8, 8), 8 * i, np.uint8)).save(folder / f"{i}.png")
        if content is not None:
            (folder / cell).write_bytes(content)
        names = [cell, *(f"{i}.png" for i in range(1, 30))]
        pd.DataFrame({"image": names, "count": range(30)}).to_csv(folder / "lab.csv", index=False)

    return write


def both(*writers: Callable[[Path], None]) -> Callable[[Path], None]:
    def write(folder: Path) -> None:
        for one in writers:
            one(folder)

    return write


TARGET = ["--target", "logS"]
FINETUNE: dict[str, tuple[Callable[[Path], None], list[str], str]] = {
    "broken SMILES": (
        table(smiles=(3, "C1CC")),
        TARGET,
        r"lab\.csv, row 5, column 'smiles'.*--skip-bad-rows",
    ),
    "twenty-five broken SMILES": (
        table(smiles=["C1CC"] * 25 + ["CCO"] * 15),
        ["--input", "smiles: molecule", *TARGET],
        r"25 of 40 rows cannot be used.*and 5 more",
    ),
    "odd residues": (
        proteins("HHHCCC", "MKV1A*"),
        ["--input", "sequence: protein", "--target", "fold: per-token"],
        r"row 2, column 'sequence'",
    ),
    "labels that do not fit their residues": (
        proteins("HHHC"),
        ["--input", "sequence: protein", "--target", "fold: per-token"],
        r"row 2, column 'fold': 4 labels for 6 residues",
    ),
    "truncated NetCDF": (
        grid(0.6),
        ["--target", "t", "--lead", "1 day"],
        r"lab\.nc: .*(damaged|cannot be read)",
    ),
    "latitude out of range": (
        grid(lat=[80.0, 90.0, 100.0]),
        ["--target", "t", "--lead", "1 day"],
        r"lab\.nc.*latitude.*100",
    ),
    "a field that would predict itself": (grid(), ["--target", "t"], r"--lead '3 months'"),
    "a lead longer than the file": (
        grid(),
        ["--target", "t", "--lead", "9 years"],
        "no time of the file lies 9 years",
    ),
    "a group column for a grid": (
        grid(),
        ["--target", "t", "--lead", "1 month", "--group", "batch"],
        "a group column is for tables, and this is a grid",
    ),
    "no lead at all": (grid(), ["--target", "t", "--lead", "soon"], "'soon' is no lead time"),
    "wrong unit": (table(), ["--target", "logS [K]"], r"cannot be converted to 'K'"),
    "unknown unit": (table(), ["--target", "logS [smoots]"], "'smoots' is not a unit"),
    "an input's wrong unit": (
        table(**{"temp [degC]": np.arange(40.0)}),
        [*TARGET, "--input", "temp [mol/L]", "--input", "smiles"],
        "cannot be converted",
    ),
    "duplicate columns": (
        raw(b"smiles,logS,smiles\nC,1,C\n"),
        TARGET,
        r"two columns have the same name: 'smiles' \(columns \[1, 3\]\)",
    ),
    "empty file": (raw(b""), TARGET, "lab.csv: the file is empty"),
    "only a heading": (raw(b"smiles,logS\n"), TARGET, "a heading but no rows"),
    "not UTF-8": (raw("smiles,logS\nC,1\u00b5\n".encode("latin-1")), TARGET, "not UTF-8"),
    "10 MB cell": (
        raw(b"smiles,logS\n" + b"C" * 10_000_000 + b",1\n"),
        TARGET,
        r"row 2: a cell has .* characters, more than 1,000,000",
    ),
    "a workbook of the old kind": (raw(b"\xd0\xcf\x11\xe0", "lab.xls"), TARGET, "save it as .xlsx"),
    "a pickle": (raw(b"\x80\x04.", "lab.pkl"), TARGET, "never reads pickled files"),
    "a file of no known kind": (raw(b"hello", "lab.docx"), TARGET, "'.docx' is no table"),
    "image bomb": (
        images("bomb.png", bomb(100_000)),
        ["--target", "count"],
        r"row 2, column 'image'.*(pixels|large)",
    ),
    "a text called an image": (
        images("0.png", b"hello"),
        ["--target", "count"],
        r"row 2, column 'image'",
    ),
    "path outside the folder": (
        images("../../etc/passwd"),
        ["--input", "image: image", "--target", "count"],
        r"row 2, column 'image': the path leads out of the table's folder",
    ),
    "absolute path": (
        images("/etc/hostname"),
        ["--input", "image: image", "--target", "count"],
        r"row 2, column 'image': the path is absolute",
    ),
    "target without any value": (table(logS=""), TARGET, "the target has no measured value"),
    "target of NaN": (table(logS="NaN"), TARGET, "the target has no measured value"),
    "one word in a column of numbers": (
        table(logS=(7, "cloudy")),
        ["--target", "logS: regression"],
        r"row 9, column 'logS \[log10\(mol/L\)\]'.*'cloudy' is not a number",
    ),
    "one class only": (
        table(active="yes"),
        ["--target", "active"],
        "the target has one class only: every measured row is 'yes'",
    ),
    "one value only": (
        table(logS=2.5),
        TARGET,
        r"(every measured value of the target is 2\.5|one)",
    ),
    "three rows": (raw(b"smiles,logS\nC,1\nCC,2\nCCC,3\n"), TARGET, "fewer than 10"),
    "too few rows for the confidence": (
        table(),
        [*TARGET, "--confidence", "0.99"],
        "too few to calibrate 99% intervals, which takes 100",
    ),
    "too few rows for full fine-tuning": (
        table(),
        [*TARGET, "--method", "full"],
        "too few to calibrate 90% intervals.*--method readout",
    ),
    "target not in the file": (
        table(),
        ["--target", "logP"],
        r"there is no column 'logP'\. Did you mean 'logS \[log10\(mol/L\)\]'\?",
    ),
    "target also an input": (table(), [*TARGET, "--input", "logS"], "both inputs and targets"),
    "the target's column as an input": (
        table(),
        [*TARGET, "--input", "logS [log10(mol/L)]"],
        "is a target, so it cannot be an input too",
    ),
    "no column left as an input": (
        raw(b"logS\n" + b"".join(b"%d\n" % i for i in range(30))),
        TARGET,
        "no column is left as an input",
    ),
    "a lead for a table": (table(), [*TARGET, "--lead", "3 months"], "a lead is for grids"),
    "unknown method": (table(), [*TARGET, "--method", "ful"], "method cannot be 'ful'.*'full'"),
    "unknown split": (table(), [*TARGET, "--split", "scafold"], "Did you mean 'scaffold'"),
    "unknown base": (
        table(),
        [*TARGET, "--base", "kagaku-huge"],
        "there are no weights named 'kagaku-huge'",
    ),
    "group split without groups": (table(), [*TARGET, "--split", "group"], "--group"),
    "time split without times": (table(), [*TARGET, "--split", "time"], "--time"),
    "unknown group": (table(), [*TARGET, "--group", "plate"], "there is no column 'plate'"),
    "share of test rows above one": (
        table(),
        [*TARGET, "--test-fraction", "2"],
        r"test_fraction must lie between 0\.01 and 0\.9, got 2",
    ),
    "broken file of indices": (
        both(table(), raw(b"{", "split.json")),
        [*TARGET, "--indices", "split.json"],
        r"split\.json",
    ),
    "indices outside the file": (
        both(table(), raw(b'{"train": [0, 1, 2], "test": [999]}', "split.json")),
        [*TARGET, "--indices", "split.json"],
        "999",
    ),
    "no target": (table(), [], "a target to work on is missing"),
}


@pytest.mark.parametrize("name", FINETUNE)
def test_finetune_refuses(ask: Callable[..., str], in_folder: Path, name: str) -> None:
    write, words, message = FINETUNE[name]
    write(in_folder)
    before = sorted(one.name for one in in_folder.iterdir())
    (data,) = [one for one in before if one.startswith("lab.")]
    told = ask("finetune", data, *words, "--output", "run")
    assert re.search(message, told, re.DOTALL), told
    after = sorted(one.name for one in in_folder.iterdir())
    if "run" in after:
        assert [one.name for one in (in_folder / "run").iterdir()] == ["rejected.csv"]
        after.remove("run")
    assert after == before


RECIPES = {
    "unknown key": (
        "data: lab.csv\ntarget: logS\nmetod: full\n",
        r"line 3: .*Did you mean 'method'",
    ),
    "no YAML": ("data: [lab.csv\n", "this is not YAML"),
    "a list": ("- lab.csv\n", "a recipe is a list of 'setting: value' lines"),
    "a key twice": ("data: lab.csv\ndata: b.csv\n", r"line 2: 'data' is set twice"),
    "a number for a word": ("data: lab.csv\ntarget: logS\nseed: one\n", "line 3: seed must be"),
    "no target": ("data: lab.csv\n", "does not say 'target'"),
}


@pytest.mark.parametrize("name", RECIPES)
def test_a_wrong_recipe_is_refused_with_its_line(
    ask: Callable[..., str], in_folder: Path, name: str
) -> None:
    table()(in_folder)
    content, message = RECIPES[name]
    (in_folder / "recipe.yaml").write_text(content)
    told = ask("finetune", "--recipe", "recipe.yaml", "--output", "run")
    assert "recipe.yaml" in told
    assert re.search(message, told), told
    assert not (in_folder / "run").exists()


def test_a_missing_file_is_told_with_its_neighbour(
    ask: Callable[..., str], in_folder: Path
) -> None:
    table()(in_folder)
    told = ask("finetune", "lap.csv", *TARGET, "--output", "run")
    assert "there is no such file. Did you mean 'lab.csv'?" in told


@pytest.mark.parametrize("kind", ["a file", "other files"])
def test_an_output_that_is_taken_is_left_alone(
    ask: Callable[..., str], in_folder: Path, kind: str
) -> None:
    table()(in_folder)
    if kind == "a file":
        (in_folder / "run").write_text("mine")
        message = "this is a file, not a folder"
    else:
        (in_folder / "run").mkdir()
        (in_folder / "run/thesis.txt").write_text("mine")
        message = "the folder holds other files"
    assert message in ask("finetune", "lab.csv", *TARGET, "--output", "run")
    mine = in_folder / ("run" if kind == "a file" else "run/thesis.txt")
    assert mine.read_text() == "mine"


def test_an_output_inside_a_file_is_refused(ask: Callable[..., str], in_folder: Path) -> None:
    table()(in_folder)
    told = ask("finetune", "lab.csv", *TARGET, "--output", "lab.csv/run")
    assert "lab.csv' is a file, so nothing can lie in it" in told


def copied_run(made: Make, folder: Path) -> kagaku.Run:
    run = made("regression").run
    shutil.copytree(run.folder, folder / "run")
    smiles().assign(temperature=20).to_csv(folder / "new.csv", index=False)
    return kagaku.Run.load(folder / "run")


PREDICT: dict[str, tuple[list[str], str]] = {
    "no such run": (["nowhere", "new.csv", "--output", "out.csv"], "there is no run folder"),
    "no such file": (["run", "old.csv", "--output", "out.csv"], "there is no such file"),
    "not a run": (["plain", "new.csv", "--output", "out.csv"], "not a whole run folder"),
    "an image": (["run", "a.png", "--output", "out.csv"], "'.png' is no table"),
    "a grid for a table's run": (["run", "a.nc", "--output", "out.csv"], "table"),
    "missing columns": (["run", "few.csv", "--output", "out.csv"], r"missing \['smiles'\]"),
    "an ending that is none": (["run", "new.csv", "--output", "out.docx"], "'.docx'"),
    "fields for a table": (["run", "new.csv", "--output", "out.nc"], "'.nc'"),
    "an output that is a folder": (["run", "new.csv", "--output", "plain.csv"], "plain.csv"),
    "an output inside a file": (
        ["run", "new.csv", "--output", "few.csv/out.csv"],
        "few.csv' is a file, so nothing can lie in it",
    ),
    "the input as the output": (
        ["run", "new.csv", "--output", "new.csv"],
        "would replace the input",
    ),
}


@pytest.mark.parametrize("name", PREDICT)
def test_predict_refuses(ask: Callable[..., str], made: Make, in_folder: Path, name: str) -> None:
    copied_run(made, in_folder)
    (in_folder / "plain").mkdir()
    (in_folder / "plain.csv").mkdir()
    (in_folder / "few.csv").write_text("structure,temperature\nC,20\n")
    (in_folder / "a.png").write_bytes(bomb(8))
    grid()(in_folder)
    (in_folder / "lab.nc").rename(in_folder / "a.nc")
    before = sorted(in_folder.rglob("*"))
    words, message = PREDICT[name]
    told = ask("predict", *words)
    assert re.search(message, told), told
    assert sorted(in_folder.rglob("*")) == before


def test_a_table_for_a_grid_run_is_refused(
    ask: Callable[..., str], made: Make, in_folder: Path
) -> None:
    table()(in_folder)
    for name in ("field", "series"):
        ending = "nc" if name == "field" else "csv"
        told = ask("predict", made(name).run.folder, "lab.csv", "--output", f"out.{ending}")
        assert "NetCDF" in told


def test_another_grid_for_a_field_run_is_refused(
    ask: Callable[..., str], made: Make, in_folder: Path
) -> None:
    one = made("field")
    with xr.open_dataset(one.data) as whole:
        whole.isel(lat=slice(0, 4)).to_netcdf(in_folder / "other.nc")
        whole.rename(sst_anomaly="t").to_netcdf(in_folder / "renamed.nc")
    assert "grid" in ask("predict", one.run.folder, "other.nc", "--output", "out.nc")
    assert "'sst_anomaly'" in ask("predict", one.run.folder, "renamed.nc", "--output", "out.nc")
    assert not (in_folder / "out.nc").exists()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["embed", "lab.csv", "--output", "out.txt"], "'.txt'"),
        (["embed", "lab.csv", "--model", "huge", "--output", "out.npy"], "no weights named 'huge'"),
        (["embed", "lab.csv", "--input", "smile", "--output", "out.npy"], "Did you mean 'smiles'"),
        (["samples", "molecule"], "Did you mean 'molecules'"),
        (["doctor", "lap.csv"], "there is no such file"),
    ],
)
def test_other_verbs_refuse(
    ask: Callable[..., str], in_folder: Path, words: list[str], message: str
) -> None:
    table()(in_folder)
    assert message in ask(*words)
    assert [one.name for one in in_folder.iterdir()] == ["lab.csv"]


SMALL_DISK = """
set -e
mkdir disk
mount -t tmpfs -o size={size} tmpfs disk
trap 'umount disk' EXIT
"{python}" -m kagaku {command} 2>message || code=$?
test "$code" = 1
ls disk > left
"""


def can_mount(folder: Path) -> bool:
    (folder / "probe").mkdir()
    tried = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=8k", "tmpfs", "probe"],
        cwd=folder,
        capture_output=True,
        check=False,
    )
    if tried.returncode == 0:
        subprocess.run(["umount", "probe"], cwd=folder, check=True)
    return tried.returncode == 0


READ_ONLY = """
set -e
mkdir disk
mount -t tmpfs -o ro tmpfs disk
trap 'umount disk' EXIT
"{python}" -m kagaku finetune lab.csv --target logS --output disk/run 2>message || code=$?
test "$code" = 1
"""


def test_a_read_only_folder_is_told_before_any_work(
    tmp_path: Path, ask: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    table()(tmp_path)
    if can_mount(tmp_path):
        script = READ_ONLY.format(python=sys.executable)
        subprocess.run(["bash", "-c", script], cwd=tmp_path, check=True, timeout=300)
        told = (tmp_path / "message").read_text()
    else:
        (tmp_path / "disk").mkdir(mode=0o500)
        monkeypatch.chdir(tmp_path)
        told = ask("finetune", "lab.csv", *TARGET, "--output", "disk/run")
    told = told.removeprefix("Reading lab.csv\n")
    assert told.startswith("kagaku: ")
    assert "may not be written into" in told
    assert told.count("\n") <= 1


@pytest.mark.parametrize("job", ["predict", "finetune"])
def test_a_full_disk_is_told_in_one_paragraph(made: Make, tmp_path: Path, job: str) -> None:
    if not can_mount(tmp_path):
        # Without the right to mount, /dev/full stands for the disk.
        with pytest.raises(OSError, match="No space left"):
            Path("/dev/full").write_text("x" * 100_000)
        return
    one = made("regression")
    frame = pd.concat([pd.read_csv(one.data)] * 30)
    frame["note"] = "n" * 2_000 + frame["smiles"]
    frame.to_csv(tmp_path / "new.csv", index=False)
    command = (
        f'predict "{one.run.folder}" new.csv --output disk/out.csv'
        if job == "predict"
        else f'finetune "{one.data}" --target logS --method readout --max-seconds 1 '
        "--output disk/run"
    )
    size = "200k"
    script = SMALL_DISK.format(python=sys.executable, command=command, size=size)
    subprocess.run(["bash", "-c", script], cwd=tmp_path, check=True, timeout=300)
    message = (tmp_path / "message").read_text()
    assert "Traceback" not in message
    assert "\nkagaku: " in f"\n{message}"
    assert "No space left" in message
    assert "out.csv\n" not in (tmp_path / "left").read_text()
