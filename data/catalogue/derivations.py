"""How the files that are not their source's own bytes are made from it.

A derivation asks for the source's files one by one, through a function that it is handed, and
returns the bytes that the file table has the checksum of. It neither knows a network nor a folder.
"""

import json
from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType

from kagaku.data.catalogue.archives import blood_cell_archive, synthesis_archive
from kagaku.data.catalogue.dataset import DataFile
from kagaku.data.catalogue.grib import decoded_grib
from kagaku.data.catalogue.listing import list_files
from kagaku.data.catalogue.pickled_splits import pickled_splits
from kagaku.errors import InputError

Fetch = Callable[[str], bytes]
"""Returns the content of a path in the source's repository, at the catalogued commit."""

Derivation = Callable[[DataFile, Fetch], bytes]
"""Makes a file from its sources."""

_N_REPLICATES = 6
"""Replicates of each kind of split in nn4dms' `pub/splits`."""

_ANSWERS = ("reasoning_required_pred", "reasoning_free_pred", "final_decision", "LONG_ANSWER")
"""What a PubMedQA record says about its answer."""

_LEFT_OUT_RESULTS = (
    "aflow__agl_thermal_conductivity_300K",
    "aflow__agl_thermal_expansion_300K",
    "phonons",
    "steels_yield",
)
"""Rows of CrabNet's published results whose properties the catalogue does not have."""

# https://github.com/materialsproject/matbench: five shuffled folds with this seed.
_N_FOLDS, _FOLD_SEED = 5, 18012019

_FOLDED_ROWS = MappingProxyType(
    {
        "matbench_expt_gap": 4604,
        "matbench_jdft2d": 636,
        "matbench_dielectric": 4764,
        "matbench_log_gvrh": 10987,
        "matbench_log_kvrh": 10987,
        "matbench_perovskites": 18928,
    }
)
"""Rows of the Matbench tables that the file of folds is about."""


def derive(file: DataFile, fetch: Fetch) -> bytes:
    """Return the content of a derived file, not yet compared with its checksum.

    Args:
        file: A file with a derivation.
        fetch: Gives the source's files.

    Raises:
        InputError: A source cannot be had, or is not what it should be.
    """
    try:
        return DERIVATIONS[file.derivation](file, fetch)
    except (ValueError, KeyError, TypeError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(
            f"its source {'; '.join(file.sources)} does not have the form that it should "
            f"({type(error).__name__}: {error})",
            fix=f"Take the file from somebody who has it; the source is {file.address}.",
            where=file.key,
        ) from None


def listed_splits(file: DataFile, fetch: Fetch) -> bytes:
    """Return nn4dms' index files, one number a line, joined in one JSON."""
    (root,) = file.sources
    splits = {"main": _indices(fetch, f"{root}/main", ("stest", "train", "tune"))}
    for kind in ("mutation", "position"):
        for number in range(_N_REPLICATES):
            name = f"{kind}_rep_{number}"
            folder = f"{root}/{kind}_extrapolation/{name}"
            splits[name] = _indices(fetch, folder, ("test", "train", "tune"))
    return json.dumps(splits, separators=(",", ":")).encode()


def _indices(fetch: Fetch, folder: str, parts: Iterable[str]) -> dict[str, list[int]]:
    return {part: [int(line) for line in fetch(f"{folder}/{part}.txt").split()] for part in parts}


def catalogued_results(file: DataFile, fetch: Fetch) -> bytes:
    """Return MoleculeACE's published scores of the targets that the catalogue has."""
    folder = file.key.rpartition("/")[0]
    names = [one.key.removeprefix(f"{folder}/") for one in list_files() if one.key != file.key]
    targets = {name.partition(".")[0].encode() for name in names if name.startswith("CHEMBL")}
    return _rows(fetch(file.sources[0]), lambda name: name in targets)


def crabnet_results(file: DataFile, fetch: Fetch) -> bytes:
    """Return CrabNet's published errors without the properties that the catalogue has not."""
    left_out = {name.encode() for name in _LEFT_OUT_RESULTS}
    return _rows(fetch(file.sources[0]), lambda name: name not in left_out)


def _rows(table: bytes, keep: Callable[[bytes], bool]) -> bytes:
    """Return a CSV table's heading and the rows whose first cell is wanted, unchanged."""
    heading, *rows = table.splitlines(keepends=True)
    return heading + b"".join(row for row in rows if keep(row.partition(b",")[0]))


def withheld_answers(file: DataFile, fetch: Fetch) -> bytes:
    """Return PubMedQA's records, those of the test set without their answers."""
    records_path, test_path = file.sources
    records = json.loads(fetch(records_path))
    test = set(json.loads(fetch(test_path)))
    for number, record in records.items():
        if number in test:
            for name in _ANSWERS:
                del record[name]
    return json.dumps(records).encode()


def matbench_folds(file: DataFile, fetch: Fetch) -> bytes:
    """Return the test rows of Matbench's five folds, which follow from the numbers of rows."""
    del file, fetch
    from sklearn.model_selection import KFold  # takes a second

    folds = KFold(_N_FOLDS, shuffle=True, random_state=_FOLD_SEED)
    return json.dumps(
        {
            name: [test.tolist() for _, test in folds.split(range(n_rows))]
            for name, n_rows in _FOLDED_ROWS.items()
        }
    ).encode()


DERIVATIONS: Mapping[str, Derivation] = MappingProxyType(
    {
        "blood-cell-archive": blood_cell_archive,
        "crabnet-results": crabnet_results,
        "decoded-grib": decoded_grib,
        "listed-splits": listed_splits,
        "matbench-folds": matbench_folds,
        "moleculeace-results": catalogued_results,
        "pickled-splits": pickled_splits,
        "synthesis-archive": synthesis_archive,
        "withheld-answers": withheld_answers,
    }
)
"""The derivations by the name that the file table has."""
