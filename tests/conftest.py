"""Fine-tuned runs that several test files look at; each is made once, when first asked for."""

from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import pandas as pd
import pytest
import xarray as xr

import kagaku
from kagaku.finetuning import verb as train
from kagaku.science_tasks import fitting
from kagaku.science_tasks.fitting import PropertyFit
from kagaku.science_tasks.property import PropertyModel

SAMPLES = Path(str(files("kagaku.data.samples")))


@dataclass(frozen=True)
class Made:
    """A finished run, and what went into it."""

    data: Path
    """The file that it was made from."""

    run: kagaku.Run
    """The run, loaded from its folder."""

    before: PropertyModel
    """The fitted model as it was before it was saved."""


@pytest.fixture(scope="session")
def samples() -> Path:
    return SAMPLES


@pytest.fixture(scope="session")
def quickly() -> Callable[[], ExitStack]:
    """Fit a linear readout only: what is tested here is the way of the data, not the accuracy."""

    def enter() -> ExitStack:
        stack = ExitStack()
        for name, value in {
            "candidates.CLASSICAL_READOUTS": ("linear",),
            "candidates.FIELD_READOUTS": ("linear",),
            "candidates.TOKEN_READOUTS": ("linear",),
            "resampling.BOOTSTRAPS": 12,
        }.items():
            stack.enter_context(patch(f"kagaku.science_tasks.{name}", value))
        return stack

    return enter


@pytest.fixture(scope="session")
def made(
    tmp_path_factory: pytest.TempPathFactory, quickly: Callable[[], ExitStack]
) -> Callable[[str], Made]:
    """Return the run of a name in `KINDS`."""
    kept: dict[str, Made] = {}

    def make(name: str) -> Made:
        if name not in kept:
            folder = tmp_path_factory.mktemp(name)
            build, target, settings = KINDS[name]
            data = build(folder)
            models: list[PropertyModel] = []

            def remember(*given: Any, **named: Any) -> PropertyFit:
                fitted = fit_property(*given, **named)
                models.append(fitted.model)
                return fitted

            fit_property = fitting.fit_property
            with quickly(), patch.object(train, "fit_property", remember):
                run = kagaku.finetune(
                    data, target, folder / "run", quiet=True, **{"method": "readout", **settings}
                )
            kept[name] = Made(data, run, models[0])
        return kept[name]

    return make


def _saved(frame: pd.DataFrame, folder: Path) -> Path:
    frame.to_csv(folder / "lab.csv", index=False)
    return folder / "lab.csv"


def _molecules(n_rows: int = 80) -> pd.DataFrame:
    frame = pd.read_csv(SAMPLES / "molecules.csv").head(n_rows)
    frame["temperature [degC]"] = 20.0 + np.arange(n_rows) % 7
    return frame


def molecules(folder: Path) -> Path:
    """Molecules, a temperature and one number."""
    return _saved(_molecules(), folder)


def two_targets(folder: Path) -> Path:
    """A number with bounds and gaps, and yes or no with gaps."""
    frame = _molecules()
    logs = frame["logS [log10(mol/L)]"]
    told = logs.map("{:.2f}".format)
    told[logs < -6] = "<-6"
    told[logs > 0] = ">0"
    told[::9] = ""
    frame["logS [log10(mol/L)]"] = told
    frame["soluble"] = np.where(logs > -2.5, "yes", "no")
    frame.loc[3::8, "soluble"] = None
    return _saved(frame, folder)


def active(folder: Path) -> Path:
    """Molecules, yes or no."""
    frame = _molecules()
    frame["soluble"] = np.where(frame.pop("logS [log10(mol/L)]") > -2.5, "yes", "no")
    return _saved(frame, folder)


def text(folder: Path) -> Path:
    """Definitions and one of three units."""
    frame = pd.read_csv(SAMPLES / "text.csv")
    frame = frame[frame["canonical_units"].isin(["m", "kg m-2 s-1", "W m-2"])]
    frame["text"] = frame["text"].str[:250]
    return _saved(frame.groupby("canonical_units").head(25), folder)


def topics(folder: Path) -> Path:
    """Definitions, and the words of a list that they contain."""
    frame = pd.read_csv(SAMPLES / "text.csv").iloc[::10].head(80)
    frame["text"] = frame["text"].str[:250]
    words = ("flux", "sea", "mass")
    frame["topics"] = [
        ";".join(word for word in words if word in one.lower()) or "other" for one in frame["text"]
    ]
    return _saved(frame[["text", "topics"]], folder)


def residues(folder: Path) -> Path:
    """Proteins of several lengths, each residue labelled as water-loving or not."""
    whole = pd.read_csv(SAMPLES / "proteins.csv")["sequence"].iloc[::40].head(40)
    cut = [one[i % 9 : 30 - i % 5] for i, one in enumerate(whole)]
    labels = ["".join("h" if one in "AFILMVW" else "p" for one in protein) for protein in cut]
    return _saved(pd.DataFrame({"sequence": cut, "burial": labels}), folder)


def grid(folder: Path) -> Path:
    """Ten years of a small box of the Pacific, and the index of the whole."""
    with xr.open_dataset(SAMPLES / "climate.nc") as whole:
        whole.isel(time=slice(0, 100), lat=slice(5, 11), lon=slice(45, 57)).to_netcdf(
            folder / "box.nc"
        )
    return folder / "box.nc"


def images(folder: Path) -> Path:
    """Micrographs in a folder with their table."""
    labels = pd.read_csv(SAMPLES / "images/labels.csv").head(60)
    (folder / "plate").mkdir()
    for name in labels["image"]:
        (folder / "plate" / name).write_bytes((SAMPLES / "images" / name).read_bytes())
    labels.to_csv(folder / "plate/labels.csv", index=False)
    return folder / "plate"


def reactions(folder: Path) -> Path:
    """Three molecules, two conditions and a yield."""
    return _saved(pd.read_csv(SAMPLES / "reactions.csv").iloc[::17].head(100), folder)


FEW_STEPS = {"epochs": 1, "token_budget": 512}
FULL = {"method": "full", "settings": FEW_STEPS}
KINDS: Mapping[str, tuple[Callable[[Path], Path], str | list[str], dict[str, Any]]] = {
    "regression": (molecules, "logS [log10(mol/L)]", {}),
    "several": (two_targets, ["logS", "soluble"], {}),
    "binary": (active, "soluble", {"method": "auto"}),
    "multiclass": (text, "canonical_units", {}),
    "multilabel": (topics, "topics: multilabel", {}),
    "per-token": (residues, "burial", {}),
    "field": (grid, "sst_anomaly", {"settings": {"lead": "1 month"}}),
    "series": (grid, "nino34", {"settings": {"lead": "3 months"}}),
    "images": (images, "n_nuclei", {}),
    "reactions": (reactions, "yield [percent]", {}),
    "regression, full": (molecules, "logS", FULL),
    "multiclass, full": (text, "canonical_units", FULL),
    "per-token, full": (residues, "burial", FULL),
    "field, full": (grid, "sst_anomaly", {**FULL, "settings": {**FEW_STEPS, "lead": "1 month"}}),
}


@pytest.fixture
def in_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Run the test inside an empty folder."""
    monkeypatch.chdir(tmp_path)
    return tmp_path
