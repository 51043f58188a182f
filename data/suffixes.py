"""Endings of files, by what they hold."""

DELIMITED = (".csv", ".tsv", ".tab", ".txt")
PARQUET = (".parquet", ".pq")
WORKBOOK = (".xlsx", ".xlsm")
PROTEIN_FASTA = (".faa",)
BASE_FASTA = (".fna", ".ffn", ".frn")
OTHER_FASTA = (".fasta", ".fa", ".fas")
FASTA = (*PROTEIN_FASTA, *BASE_FASTA, *OTHER_FASTA)
SDF = (".sdf", ".sd")

TABLE_SUFFIXES = (*DELIMITED, *PARQUET, *WORKBOOK, *FASTA, *SDF)
"""Of the files that hold tables; text formats also with .gz behind."""

IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp", ".gif", ".webp")
"""Of files that are taken for images."""

GRID_SUFFIXES = (".nc", ".nc4", ".netcdf", ".cdf", ".zarr")
"""Of NetCDF files and Zarr stores."""
