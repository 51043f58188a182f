"""Publications whose scores stand beside ours."""

SCIBERT = "https://doi.org/10.18653/v1/D19-1371"
"""Beltagy, Lo, Cohan 2019: SciBERT, a pretrained language model for scientific text."""

SCIBERT_PREPRINT = "https://arxiv.org/abs/1903.10676"
"""Its first version, whose figures are others."""

ADAPTED = "https://doi.org/10.18653/v1/2020.acl-main.740"
"""Gururangan and others 2020: language models adapted to domains and tasks."""

MATSCIBERT = "https://doi.org/10.1038/s41524-022-00784-w"
"""Gupta and others 2022: MatSciBERT, a language model of materials."""

MATSCHOLAR = "https://doi.org/10.1021/acs.jcim.9b00470"
"""Weston and others 2019: named entities in the literature on materials."""

READING = "https://doi.org/10.1186/s13321-024-00874-5"
"""Named entities of materials found by asking a language model for each kind, 2024."""
