"""The speed benchmark's parts that train or load: what they count, at sizes that tell nothing."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from kagaku.data.corpora import Corpus
from kagaku.errors import InputError
from kagaku.models.backbone import BackboneConfig
from kagaku.pretraining.recipe import load_pretrain_recipe
from kagaku.speed import loading, trainer, training
from kagaku.speed.part import Sizes, Wishes


def wishes(bench: Any) -> Wishes:
    sizes = Sizes(warm_steps=1, steps=2, loaded_batches=4, recipe=bench.recipe)
    return Wishes(turns=1, corpus=bench.folder / "corpus", sizes=sizes)


def test_pretraining_is_timed_beside_the_trainer_in_three_ways(bench: Any, tmp_path: Path) -> None:
    found = training.measure(wishes(bench), tmp_path)
    assert [one.target is not None for one in found.comparisons] == [True, True, False]
    for one in found.comparisons:
        assert one.ours == found.comparisons[0].ours
        assert one.reference[0] > 0
    assert "scoring hidden tokens only" in found.comparisons[2].reference_name


def test_the_clock_counts_what_was_trained_on_after_the_warm_steps() -> None:
    clock = trainer.Clock()
    clock.ends, clock.tokens = [10.0, 12.0, 14.0], [100, 150, 260]
    assert clock.rate(1) == (260 - 100) / 4


def test_sorted_batches_hold_samples_of_like_length_in_random_order() -> None:
    lengths = np.random.default_rng(1).permutation(np.arange(1, 201))
    ids = [[0] * int(one) for one in lengths]
    order = list(trainer.SortedBatches(ids, 10))
    batches = [sorted(len(ids[one]) for one in order[i : i + 10]) for i in range(0, 200, 10)]
    assert all(one[-1] - one[0] == 9 for one in batches)
    assert [one[0] for one in batches] != sorted(one[0] for one in batches)
    assert sorted(order) == list(range(200))


def test_too_few_samples_for_a_batch_are_told() -> None:
    way = trainer.Reference("as it comes", is_sorted=True, scores_all=True)
    small = BackboneConfig(dim=32, depth=1, heads=2, hidden=48)
    for ids in ([], [[5, 6, 7]]):
        with pytest.raises(InputError, match=rf"has {len(ids)} samples .*, and a batch takes \d+"):
            trainer.trainer_speed(ids, 4_000, small, Sizes(), way)


def test_a_head_for_hidden_tokens_has_the_loss_of_the_whole_one(bench: Any) -> None:
    import torch
    import transformers

    ids = training.sequences(Corpus.open(bench.folder / "corpus"), 400, 64)
    batch = trainer.Masking()([{"input_ids": one} for one in ids[:4]])
    size = max(max(one) for one in ids) + 1
    config = transformers.BertConfig(
        vocab_size=size,
        hidden_size=32,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=48,
        hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
    )
    whole = transformers.BertForMaskedLM(config)
    few = trainer.HiddenTokensBert(config)
    few.load_state_dict(whole.state_dict())
    losses = [float(one(**batch).loss.detach()) for one in (whole, few)]
    torch.testing.assert_close(losses[0], losses[1], rtol=1e-5, atol=0)


def test_loading_is_timed_beside_what_training_consumes(bench: Any) -> None:
    found = loading.loaded(wishes(bench), bench.folder / "corpus")
    assert found.ours[0] > 0
    assert found.reference[0] > 0


def test_both_read_the_same_sources(bench: Any) -> None:
    recipe = load_pretrain_recipe(bench.recipe, {"corpus": bench.folder / "corpus"})
    assert training.both_read(recipe).order.weights == {"named": 0.0, "proteins": 1.0}
