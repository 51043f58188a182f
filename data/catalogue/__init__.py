"""The catalogue of public data sets: what each is, where it comes from, and what it must contain.

There is no network in here: `kagaku.datasets` fetches what no folder has.
"""

from kagaku.data.catalogue.contents import locate, open_file, open_stream, verify
from kagaku.data.catalogue.dataset import DOMAINS, DataFile, Dataset
from kagaku.data.catalogue.listing import data_file, find_dataset, list_datasets, list_files
from kagaku.data.catalogue.source import FolderSource, Source

__all__ = [
    "DOMAINS",
    "DataFile",
    "Dataset",
    "FolderSource",
    "Source",
    "data_file",
    "find_dataset",
    "list_datasets",
    "list_files",
    "locate",
    "open_file",
    "open_stream",
    "verify",
]
