"""Every readout there is: importing this file registers them all.

A new readout is imported here and named in `candidates`.
"""

from kagaku.science_tasks.readouts.field_readout import FieldReadout
from kagaku.science_tasks.readouts.forest import ForestReadout
from kagaku.science_tasks.readouts.gaussian_process_readout import GaussianProcessReadout
from kagaku.science_tasks.readouts.linear import LinearReadout
from kagaku.science_tasks.readouts.log_scale import LogScaleGaussianProcess, LogScaleTrees
from kagaku.science_tasks.readouts.nearest import NearestReadout
from kagaku.science_tasks.readouts.readout import READOUTS
from kagaku.science_tasks.readouts.stacked import StackedReadout
from kagaku.science_tasks.readouts.support_vectors import SupportVectorReadout
from kagaku.science_tasks.readouts.terms import TermsReadout
from kagaku.science_tasks.readouts.token_readout import TokenReadout
from kagaku.science_tasks.readouts.trees import TreesReadout

__all__ = [
    "READOUTS",
    "FieldReadout",
    "ForestReadout",
    "GaussianProcessReadout",
    "LinearReadout",
    "LogScaleGaussianProcess",
    "LogScaleTrees",
    "NearestReadout",
    "StackedReadout",
    "SupportVectorReadout",
    "TermsReadout",
    "TokenReadout",
    "TreesReadout",
]
