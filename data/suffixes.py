"""Endings of files, by what they hold."""

DELIMITED = (".csv", ".tsv", ".tab", ".txt")
PARQUET = (".parquet", ".pq")
WORKBOOK = (".xlsx", ".xlsm")
FASTA = (".fasta", ".fa", ".faa", ".fas", ".fna", ".ffn", ".frn")
SDF = (".sdf", ".sd")

TABLE_SUFFIXES = (*DELIMITED, *PARQUET, *WORKBOOK, *FASTA, *SDF)
"""Of the files that hold tables; text formats also with .gz behind."""

IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp", ".gif", ".webp")
"""Of files that are taken for images."""

GRID_SUFFIXES = (".nc", ".nc4", ".netcdf", ".cdf", ".zarr")
"""Of NetCDF files and Zarr stores."""
