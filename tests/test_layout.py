"""The folders, pyproject.toml and the links under src/kagaku/ must tell the same story."""

import subprocess
import sys
import tomllib
from pathlib import Path

from kagaku.modalities import MODALITIES

ROOT = Path(__file__).parents[1]
ROOMS = ["configs", "data", "modalities", "models", "science_tasks"]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
SETUPTOOLS = PROJECT["tool"]["setuptools"]


def test_every_package_is_shipped() -> None:
    folders = [file.parent for room in ROOMS for file in (ROOT / room).rglob("__init__.py")]
    names = {".".join(("kagaku", *folder.relative_to(ROOT).parts)) for folder in folders}
    front = ROOT / "src" / "kagaku"
    inits = [one for one in front.glob("*/__init__.py") if not one.parent.is_symlink()]
    names |= {f"kagaku.{one.parent.name}" for one in inits}
    assert names | {"kagaku"} == set(SETUPTOOLS["packages"])


def test_every_file_beside_the_code_is_shipped() -> None:
    globs = SETUPTOOLS["package-data"]
    for room in ROOMS:
        for path in (ROOT / room).rglob("*"):
            if path.is_file() and path.suffix not in {".py", ".pyc"}:
                package = ".".join(("kagaku", *path.parent.relative_to(ROOT).parts))
                assert any(path.match(glob) for glob in globs.get(package, [])), path


def test_every_room_is_mapped_and_linked() -> None:
    mapped = {f"kagaku.{room}": room for room in ROOMS}
    assert SETUPTOOLS["package-dir"] == {"kagaku": "src/kagaku", **mapped}
    for room in ROOMS:
        assert (ROOT / "src" / "kagaku" / room).resolve() == ROOT / room


def test_every_modality_is_kept_from_knowing_the_others() -> None:
    contracts = PROJECT["tool"]["importlinter"]["contracts"]
    (apart,) = [one for one in contracts if one["type"] == "independence"]
    own = {MODALITIES[name].__module__ for name in MODALITIES}
    assert set(apart["modules"]) == own


def test_importing_kagaku_does_not_import_torch() -> None:
    code = "import kagaku, sys; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_help_imports_neither_torch_nor_pandas() -> None:
    code = (
        "import sys; sys.argv = ['kagaku', '--help']\n"
        "from kagaku.cli import main\n"
        "try:\n    main()\nexcept SystemExit:\n    pass\n"
        "sys.exit(bool({'torch', 'pandas', 'rdkit'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "finetune" in done.stdout


def test_no_upper_bounds_on_dependencies() -> None:
    for requirement in PROJECT["project"]["dependencies"]:
        assert "<" not in requirement, requirement
        assert "==" not in requirement, requirement
