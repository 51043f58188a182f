"""Every readout there is: importing this file registers them all.

A new readout is imported here and named in `candidates`.
"""

from kagaku.science_tasks.field_readout import FieldReadout
from kagaku.science_tasks.forest import ForestReadout
from kagaku.science_tasks.gaussian_process_readout import GaussianProcessReadout
from kagaku.science_tasks.linear import LinearReadout
from kagaku.science_tasks.log_scale import LogScaleGaussianProcess, LogScaleTrees
from kagaku.science_tasks.nearest import NearestReadout
from kagaku.science_tasks.readout import READOUTS
from kagaku.science_tasks.support_vectors import SupportVectorReadout
from kagaku.science_tasks.token_readout import TokenReadout
from kagaku.science_tasks.trees import TreesReadout

__all__ = [
    "READOUTS",
    "FieldReadout",
    "ForestReadout",
    "GaussianProcessReadout",
    "LinearReadout",
    "LogScaleGaussianProcess",
    "LogScaleTrees",
    "NearestReadout",
    "SupportVectorReadout",
    "TokenReadout",
    "TreesReadout",
]
