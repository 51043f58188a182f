"""Going on from weights that have learnt something: another corpus, other objectives, or longer."""

from dataclasses import replace

from kagaku.data.corpora.manifest import DescriptorScale
from kagaku.errors import InputError
from kagaku.models.pretraining.network import PretrainingNetwork
from kagaku.models.pretraining.stored import Pretrained

DESCRIPTOR_PREFIX = "descriptor_head."


def start_from(
    network: PretrainingNetwork, given: Pretrained, descriptors: DescriptorScale | None
) -> list[str]:
    """Copy pretrained weights into a network, and return the names of those that start anew.

    A modality that the given weights lack starts anew, and so does the head for descriptors if the
    corpus has other ones. The modalities' scales are those of the corpus, not of the given weights.

    Args:
        network: Changed in place.
        given: Where to go on from.
        descriptors: Those of the corpus.

    Raises:
        InputError: The backbones differ in size.
    """
    wanted, there = network.encoder.config.backbone, given.network.encoder.config.backbone
    if wanted != there:
        raise InputError(
            f"the recipe's backbone is {wanted}, and the weights to start from have {there}",
            fix="Give the recipe the same sizes, or leave start out.",
        )
    names = None if descriptors is None else descriptors.names
    has_same = names == (None if given.descriptors is None else given.descriptors.names)
    own = network.state_dict()
    taken = {
        name: tensor
        for name, tensor in given.network.state_dict().items()
        if name in own
        and own[name].shape == tensor.shape
        and (has_same or not name.startswith(DESCRIPTOR_PREFIX))
    }
    network.load_state_dict(taken, strict=False)
    encoder, learnt = network.encoder, given.network.encoder.config.has_learnt
    untrained = tuple(name for name in encoder.config.untrained if not learnt(name))
    encoder.config = replace(encoder.config, untrained=untrained)
    return sorted(own.keys() - taken.keys())
