"""Masked pretraining on DNA, whose tokens are composed."""

import math

import numpy as np
import torch

from kagaku.data.corpora.sample import CorpusSample
from kagaku.modalities import Nucleotide
from kagaku.models import BackboneConfig, Encoder, EncoderConfig
from kagaku.models.pretraining.composing import Composer
from kagaku.models.pretraining.network import PretrainingNetwork
from kagaku.models.pretraining.objectives import ObjectiveConfig

OBJECTIVES = ObjectiveConfig(hidden={"nucleotide": 0.3}, generated={}, in_spans=0.0)


def test_hidden_triplets_are_learnt_from_their_surroundings() -> None:
    random = np.random.default_rng(0)
    repeats = ["".join(random.permutation(["ATG", "GCC", "TTA"])) * 10 for _ in range(8)]
    samples = [
        CorpusSample(f"dna/{number}", "dna", {"nucleotide": Nucleotide().check(one)})
        for number, one in enumerate(repeats)
    ]
    inputs = {"dna": {"nucleotide": "nucleotide"}}
    composer = Composer({"nucleotide": Nucleotide()}, inputs, None, OBJECTIVES)
    backbone = BackboneConfig(dim=32, depth=2, heads=2, hidden=64)
    torch.manual_seed(0)
    encoder = Encoder(EncoderConfig(modalities=("nucleotide",), backbone=backbone))
    network = PretrainingNetwork(encoder, OBJECTIVES, 0)
    optimiser = torch.optim.AdamW(network.parameters(), lr=1e-2)
    losses = []
    for step in range(25):
        rows = [[one] for one in samples]
        loss = network(composer.compose(rows, row_length=64, seed=step))["masked/nucleotide"]
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(float(loss.detach()))
    # Of 4,099 triplets at first; only three occur, in an order that the neighbours tell.
    assert abs(losses[0] - math.log(Nucleotide.vocabulary_size)) < 2
    assert losses[-1] < losses[0] / 2
