"""Fetching with pip and apt, whose part is played by functions that leave files behind."""

import io
import subprocess
import tarfile
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from kagaku.corpus.fetching import fetch, is_fetched
from kagaku.data.corpora.sources import Package
from kagaku.errors import InputError

WHEEL = Package("pip", "molsets", "0.3.1", 52, ("moses/data/*.csv",))
SDIST = Package("pip", "parser", "0.5", 57, ("data/*.xml",), "sdist")
DEB = Package("apt", "wordnet-base", "3.0", 7, ("usr/share/wordnet/data.*",), "deb")

Commands = list[list[str]]
Run = Callable[[Sequence[str], Path], "subprocess.CompletedProcess[str]"]


def done(code: int = 0, error: str = "") -> "subprocess.CompletedProcess[str]":
    return subprocess.CompletedProcess([], code, "", error)


@pytest.fixture
def said() -> Commands:
    return []


@pytest.fixture
def clients(said: Commands) -> Run:
    """pip, apt-get and dpkg-deb, as far as they matter here."""

    def run(command: Sequence[str], folder: Path) -> "subprocess.CompletedProcess[str]":
        said.append(list(command))
        if "pip" in command and "--only-binary" in command:
            with zipfile.ZipFile(folder / "molsets-0.3.1-py3-none-any.whl", "w") as wheel:
                wheel.writestr("moses/data/train.csv", "SMILES\nCCO\n")
                wheel.writestr("moses/data/deeper/other.csv", "x")
                wheel.writestr("moses/code.py", "x")
        elif "pip" in command:
            with tarfile.open(folder / "parser-0.5.tar.gz", "w:gz") as sdist:
                for name in ("parser-0.5/data/one.xml", "parser-0.5/setup.py", "../evil.xml"):
                    member = tarfile.TarInfo(name)
                    member.size = 4
                    sdist.addfile(member, io.BytesIO(b"<a/>"))
        elif command[0] == "apt-get":
            (folder / "wordnet-base_1%3a3.0-37_all.deb").write_bytes(b"deb")
        else:
            target = Path(command[-1]) / "usr/share/wordnet/data.noun"
            target.parent.mkdir(parents=True)
            target.write_text("nouns")
            (target.parent / "index.noun").write_text("index")
        return done()

    return run


def files(folder: Path) -> set[str]:
    return {one.relative_to(folder).as_posix() for one in folder.rglob("*") if one.is_file()}


def test_only_what_is_needed_of_a_wheel_is_kept(
    tmp_path: Path, clients: Run, said: Commands
) -> None:
    assert not is_fetched(WHEEL, tmp_path)
    fetched = fetch(WHEEL, tmp_path, clients)
    assert fetched.version == "0.3.1"
    assert files(fetched.folder) == {"moses/data/train.csv", ".version"}
    assert said[0][1:4] == ["-m", "pip", "download"]
    assert said[0][-1] == "molsets==0.3.1"
    assert files(tmp_path) == {"pip/molsets-0.3.1/" + one for one in files(fetched.folder)}


def test_a_source_distribution_loses_its_outer_folder(tmp_path: Path, clients: Run) -> None:
    assert files(fetch(SDIST, tmp_path, clients).folder) == {"data/one.xml", ".version"}


def test_a_debian_package_tells_its_version_in_its_name(tmp_path: Path, clients: Run) -> None:
    fetched = fetch(DEB, tmp_path, clients)
    assert fetched.version == "1:3.0-37"
    assert files(fetched.folder) == {"usr/share/wordnet/data.noun", ".version"}


def test_what_was_fetched_is_not_fetched_again(
    tmp_path: Path, clients: Run, said: Commands
) -> None:
    fetch(WHEEL, tmp_path, clients)
    assert is_fetched(WHEEL, tmp_path)
    assert fetch(WHEEL, tmp_path, clients).version == "0.3.1"
    assert len(said) == 1


def test_a_package_of_which_more_is_needed_now_is_fetched_again(
    tmp_path: Path, clients: Run, said: Commands
) -> None:
    fetch(WHEEL, tmp_path, clients)
    more = replace(WHEEL, files=(*WHEEL.files, "moses/*.py"))
    assert not is_fetched(more, tmp_path)
    assert "moses/code.py" in files(fetch(more, tmp_path, clients).folder)
    assert len(said) == 2


def test_a_missing_client_is_told(tmp_path: Path) -> None:
    def missing(command: Sequence[str], folder: Path) -> "subprocess.CompletedProcess[str]":
        del folder
        raise FileNotFoundError(command[0])

    with pytest.raises(InputError, match=r"fetched with apt-get, which this machine does not have"):
        fetch(DEB, tmp_path, missing)

    def no_pip(command: Sequence[str], folder: Path) -> "subprocess.CompletedProcess[str]":
        del command, folder
        return done(1, "/usr/bin/python: No module named pip\n")

    with pytest.raises(InputError, match=r"fetched with pip, .*python -m ensurepip"):
        fetch(WHEEL, tmp_path, no_pip)


def test_a_failed_fetch_shows_what_the_client_said_and_leaves_nothing(tmp_path: Path) -> None:
    def failing(command: Sequence[str], folder: Path) -> "subprocess.CompletedProcess[str]":
        del command
        (folder / "half.whl").write_bytes(b"half")
        return done(1, "noise\nnoise\nERROR: No matching distribution found\n")

    with pytest.raises(
        InputError,
        match=r"pip could not fetch molsets \(.*No matching distribution found\). Check the",
    ):
        fetch(WHEEL, tmp_path, failing)
    with pytest.raises(InputError, match=r"apt-get could not fetch .*run `apt-get update` first"):
        fetch(DEB, tmp_path, failing)
    assert files(tmp_path) == set()


def test_a_client_that_leaves_nothing_is_told(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"pip left 0 files for molsets"):
        fetch(WHEEL, tmp_path, lambda *_: done())


def test_a_damaged_or_foreign_archive_is_told(tmp_path: Path) -> None:
    def damaged(command: Sequence[str], folder: Path) -> "subprocess.CompletedProcess[str]":
        del command
        (folder / "molsets.whl").write_bytes(b"no zip")
        return done()

    with pytest.raises(InputError, match=r"molsets.whl is damaged"):
        fetch(WHEEL, tmp_path, damaged)

    def foreign(command: Sequence[str], folder: Path) -> "subprocess.CompletedProcess[str]":
        del command
        with zipfile.ZipFile(folder / "molsets.whl", "w") as wheel:
            wheel.writestr("other.py", "x")
        return done()

    with pytest.raises(InputError, match=r"has no file 'moses/data/\*.csv'. Version 0.3.1 was"):
        fetch(WHEEL, tmp_path, foreign)
    assert not is_fetched(WHEEL, tmp_path)


SIMULATION = Package(
    "simulation", "jcm", "3.0.0", 560, ("segment-00.nc", "segment-01.nc"),
    program="simulate_speedy.py", n_minutes=1,
)  # fmt: skip


def simulating(made: int, said: Commands, code: int = 0) -> Run:
    """Return what plays Python and pip; the program writes some segments, then ends."""

    def run(command: Sequence[str], folder: Path) -> "subprocess.CompletedProcess[str]":
        del folder
        said.append(list(command))
        if "venv" in command:
            Path(command[-1]).mkdir()
        if command[1].endswith("simulate_speedy.py"):
            for number in range(made):
                (Path(command[2]) / f"segment-{number:02d}.nc").touch()
            return done(code, "out of memory")
        return done()

    return run


def test_a_simulation_runs_in_an_environment_of_its_own_that_does_not_stay(
    tmp_path: Path, said: Commands
) -> None:
    assert not is_fetched(SIMULATION, tmp_path)
    fetched = fetch(SIMULATION, tmp_path, simulating(2, said))
    assert files(fetched.folder) == {"segment-00.nc", "segment-01.nc", ".version"}
    assert [one.name for one in fetched.folder.parent.iterdir()] == [fetched.folder.name]
    assert fetched.version.startswith("3.0.0, program ")
    assert said[1][-1] == "jcm==3.0.0"
    assert is_fetched(SIMULATION, tmp_path)
    assert fetch(SIMULATION, tmp_path, simulating(0, said)) == fetched
    assert len(said) == 3


def test_a_stopped_simulation_goes_on_with_what_is_there(tmp_path: Path, said: Commands) -> None:
    with pytest.raises(InputError, match=r"simulation with jcm failed \(out of memory\)"):
        fetch(SIMULATION, tmp_path, simulating(1, said, code=1))
    fetched = fetch(SIMULATION, tmp_path, simulating(2, said))
    assert files(fetched.folder) == {"segment-00.nc", "segment-01.nc", ".version"}
    assert ["venv" in one for one in said] == [True, False, False, False]


def test_a_simulation_that_writes_too_little_is_told(tmp_path: Path, said: Commands) -> None:
    with pytest.raises(InputError, match=r"simulate_speedy\.py wrote no file 'segment-01\.nc'"):
        fetch(SIMULATION, tmp_path, simulating(1, said))
    assert not is_fetched(SIMULATION, tmp_path)


def test_a_simulation_and_the_package_it_runs_are_told_apart() -> None:
    assert SIMULATION.key == "jcm simulation"
    assert WHEEL.key == "molsets"
