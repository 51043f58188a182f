"""Encoders that meet a modality which they were not built for."""

from pathlib import Path

import pytest
import torch

from kagaku.errors import InputError
from kagaku.models import (
    BackboneConfig,
    Encoder,
    EncoderConfig,
    extended,
    load_encoder,
    save_encoder,
    untrained_encoder,
)

SMALL = BackboneConfig(dim=16, depth=1, heads=2, hidden=32)


def pretrained(*modalities: str) -> Encoder:
    config = EncoderConfig(modalities=modalities, backbone=SMALL, is_pretrained=True)
    return untrained_encoder(config, seed=3)


def test_old_weights_stay_and_the_encoder_given_is_not_changed() -> None:
    given = pretrained("molecule")
    before = {name: weights.clone() for name, weights in given.state_dict().items()}
    grown = extended(given, ["protein", "molecule"])
    assert set(given.state_dict()) == set(before)
    assert given.config.modalities == ("molecule",)
    weights = grown.state_dict()
    assert all(torch.equal(weights[name], one) for name, one in before.items())
    assert set(weights) - set(before) == {"embedders.protein.table.weight"}


def test_new_weights_depend_on_the_name_and_width_alone() -> None:
    torch.manual_seed(1)
    one = extended(pretrained("molecule"), ["text", "protein"]).embedders["protein"].state_dict()
    state = torch.random.get_rng_state()
    torch.manual_seed(2)
    two = extended(pretrained("text"), ["protein"]).embedders["protein"].state_dict()
    assert torch.equal(one["table.weight"], two["table.weight"])
    torch.manual_seed(1)
    assert torch.equal(torch.random.get_rng_state(), state)  # the caller's dice are untouched


def test_an_encoder_that_reads_everything_is_returned_as_it_is() -> None:
    given = pretrained("molecule", "protein")
    assert extended(given, ["protein"]) is given


def test_it_says_what_it_has_learnt_nothing_of() -> None:
    config = extended(pretrained("molecule"), ["protein"]).config
    assert config.has_learnt("molecule")
    assert not config.has_learnt("protein")
    assert not config.has_learnt("image")
    assert not untrained_encoder().config.has_learnt("molecule")


def test_an_extended_encoder_comes_back_from_its_folder(tmp_path: Path) -> None:
    grown = extended(pretrained("molecule"), ["protein"])
    save_encoder(grown, tmp_path)
    again = load_encoder(tmp_path)
    assert again.config == grown.config
    weights = again.state_dict()
    assert all(torch.equal(weights[name], one) for name, one in grown.state_dict().items())


def test_an_encoder_never_extended_is_stored_as_before() -> None:
    assert "untrained" not in pretrained("molecule").config.to_json()


def test_an_unknown_modality_is_refused() -> None:
    with pytest.raises(InputError, match=r"protien.*Did you mean 'protein'"):
        extended(pretrained("molecule"), ["protien"])
