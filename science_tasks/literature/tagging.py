"""Networks that find entities: vectors of words, features of words, or both, and a label chain."""

import copy
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from kagaku.models.chain import LabelChain
from kagaku.science_tasks.benchmark.column_measures import f1_of_counts
from kagaku.science_tasks.benchmark.task import Context
from kagaku.science_tasks.literature.conll import OUTSIDE, Entity, Sentence, bio_tags, entities_of
from kagaku.science_tasks.literature.crf import word_features
from kagaku.science_tasks.literature.entities import EntityCase, entity_answers
from kagaku.science_tasks.literature.words import (
    BertWords,
    WordEncoder,
    batches,
    frozen_vectors,
    trainable_copy,
    words_of,
)

VALIDATION_SHARE = 0.1
"""Share of the documents to learn from that choose the best epoch."""

MIN_COUNT = 2
"""Features of fewer words than this are left out."""


@dataclass(frozen=True)
class TaggingConfig:
    """Settings of a training."""

    epochs: int = 20
    """Most passes over the sentences."""

    patience: int = 4
    """Stop after this many epochs without a better F1 on the sentences set aside."""

    rate: float = 2e-3
    """Learning rate of the head; it falls to 0 in a straight line."""

    feature_rate: float = 2e-3
    """Learning rate of the weights of features, each of which is seen seldom."""

    encoder_rate: float = 3e-4
    """Learning rate of the encoder where it is trained."""

    public_rate: float = 3e-5
    """The same of a public BERT, which is larger and has read more."""

    token_budget: int = 1024
    """About how many tokens a batch has."""

    dropout: float = 0.3
    """Share of the features, and of the inner units, that are left out at random in training."""


@dataclass(frozen=True)
class Neural:
    """Finds entities by a network on vectors of words, features of words, or both."""

    has_features: bool = False
    """Whether what `word_features` knows takes part."""

    is_trained: bool = False
    """Whether the encoder is trained with the head; else its vectors are computed once."""

    config: TaggingConfig = field(default_factory=TaggingConfig)
    """Settings of the training."""

    def __call__(self, case: EntityCase, context: Context) -> pd.DataFrame:
        """Answer a case."""
        encoder = words_of(context.encoder())
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(context.seed)
            found = self.find(encoder, case, context.seed, context)
        return entity_answers(case, found)

    def find(
        self, encoder: WordEncoder, case: EntityCase, seed: int, context: Context | None = None
    ) -> list[list[Entity]]:
        """Return the entities of each test sentence."""
        training = Training(self, encoder, case.train, seed)
        for epoch in range(self.config.epochs):
            if training.is_over(epoch):
                break
            score = training.epoch(epoch)
            if context is not None and context.report is not None:
                context.report(epoch + 1, self.config.epochs, f"F1 {score:.3f} of those set aside")
        return training.answer(case.test)


class TagNetwork(nn.Module):
    """Scores the labels of words, and their order.

    Args:
        n_labels: How many labels there are.
        n_features: How many features of words; 0 for none.
        dim: Width of a word's vector.
        dropout: As in `TaggingConfig`.
    """

    def __init__(self, n_labels: int, n_features: int, dim: int, dropout: float) -> None:
        super().__init__()
        self.chain = LabelChain(n_labels)
        self.features = nn.EmbeddingBag(n_features, n_labels, mode="sum") if n_features else None
        if self.features is not None:
            nn.init.zeros_(self.features.weight)
        self.head = nn.Sequential(
            nn.LayerNorm(dim),
            nn.Dropout(dropout),
            nn.Linear(dim, dim),
            nn.GELU(),
            nn.Dropout(dropout),
            nn.Linear(dim, n_labels),
        )
        self.feature_dropout = dropout

    def forward(
        self, vectors: Sequence[Tensor], known: Sequence[Sequence[Int[np.ndarray, " _"]]]
    ) -> tuple[Float[Tensor, "sequence token label"], Bool[Tensor, "sequence token"]]:
        """Return the scores of each word's labels, and where words are.

        Args:
            vectors: Of the words of each sentence, (word, dim).
            known: Indices of the features of each word of each sentence; not read without features.
        """
        lengths = torch.tensor([len(one) for one in vectors], device=vectors[0].device)
        flat: Tensor = self.head(torch.cat(list(vectors)))
        if self.features is not None:
            flat = flat + self._of_features([word for one in known for word in one]).to(flat.device)
        longest = int(lengths.max())
        there = torch.arange(longest, device=flat.device) < lengths[:, None]
        scores = flat.new_zeros(len(vectors), longest, flat.shape[1])
        return scores.masked_scatter(there[:, :, None], flat), there

    def _of_features(self, words: Sequence[Int[np.ndarray, " _"]]) -> Tensor:
        assert self.features is not None
        joined = torch.from_numpy(np.concatenate(words))
        offsets = torch.from_numpy(np.cumsum([0, *(len(one) for one in words)])[:-1])
        weights = torch.ones(len(joined))
        if self.training:
            kept = torch.rand(len(joined)) >= self.feature_dropout
            weights = kept / (1 - self.feature_dropout)
        scores: Tensor = self.features(joined, offsets, per_sample_weights=weights)
        return scores


class Training:
    """One training of a network on sentences.

    Args:
        method: What the network reads, and the settings.
        encoder: Gives vectors of words; not changed.
        sentences: To learn from.
        seed: Chooses the sentences set aside, and the order.
    """

    def __init__(
        self, method: Neural, encoder: WordEncoder, sentences: Sequence[Sentence], seed: int
    ) -> None:
        self.method, self.config = method, method.config
        self.rng = np.random.default_rng(seed)
        self.encoder = trainable_copy(encoder) if method.is_trained else encoder
        self.train, self.valid = _set_aside(sentences, self.rng)
        kinds = sorted({one.kind for s in sentences for one in s.entities})
        self.labels = [OUTSIDE, *(f"{p}-{kind}" for kind in kinds for p in "BI")]
        self.index = _feature_index(self.train) if method.has_features else {}
        self.network = TagNetwork(
            len(self.labels), len(self.index), encoder.dim, self.config.dropout
        )
        self.items = self._prepared(self.train)
        self.valid_items = self._prepared(self.valid)
        code = {label: i for i, label in enumerate(self.labels)}
        self.targets = [
            torch.tensor([code[tag] for tag in bio_tags(one.entities, len(one.words))])
            for one in self.train
        ]
        self.best_score, self.best_epoch = -1.0, 0
        self.best: list[dict[str, Tensor]] = []
        self.optimiser = torch.optim.AdamW(self._groups(), weight_decay=0.01)
        self.steps = 0
        self.all_steps = self.config.epochs * len(self._batches(np.random.default_rng(0)))

    def _groups(self) -> list[dict[str, object]]:
        features = [] if self.network.features is None else [self.network.features.weight]
        known = {id(one) for one in features}
        head = [one for one in self.network.parameters() if id(one) not in known]
        groups: list[dict[str, object]] = [{"params": head, "peak": self.config.rate}]
        if features:
            groups.append({"params": features, "peak": self.config.feature_rate})
        if self.method.is_trained:
            assert self.encoder.network is not None
            inner = list(self.encoder.network.parameters())
            is_public = isinstance(self.encoder, BertWords)
            rate = self.config.public_rate if is_public else self.config.encoder_rate
            groups.append({"params": inner, "peak": rate})
        return groups

    def _modules(self) -> list[nn.Module]:
        inner = self.encoder.network if self.method.is_trained else None
        return [self.network] if inner is None else [self.network, inner]

    def _batches(self, rng: np.random.Generator) -> list[list[int]]:
        return batches(self.items.lengths, self.config.token_budget, rng)

    def is_over(self, epoch: int) -> bool:
        """Return whether there was no better F1 for too long."""
        return epoch - self.best_epoch > self.config.patience

    def epoch(self, epoch: int) -> float:
        """Train once on all sentences, and return the F1 of those set aside."""
        for module in self._modules():
            module.train()
        for batch in self._batches(self.rng):
            self._step(batch)
        found = self._found(self.valid_items)
        kept = EntityCase((), tuple(self.valid), ())
        score = f1_of_counts().of(entity_answers(kept, found))
        if score > self.best_score:
            self.best_score, self.best_epoch = score, epoch
            self.best = [copy.deepcopy(one.state_dict()) for one in self._modules()]
        return score

    def _step(self, batch: Sequence[int]) -> None:
        left = 1 - self.steps / self.all_steps
        warm = min(1.0, (self.steps + 1) / max(1.0, 0.05 * self.all_steps))
        for group in self.optimiser.param_groups:
            group["lr"] = group["peak"] * min(left, warm)
        self.steps += 1
        scores, there = self._scores(self.items, batch)
        labels = torch.zeros(there.shape, dtype=torch.long)
        for row, item in enumerate(batch):
            labels[row, : len(self.targets[item])] = self.targets[item]
        loss = self.network.chain.loss(scores, labels.to(scores.device), there)
        self.optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        for module in self._modules():
            nn.utils.clip_grad_norm_(module.parameters(), 1.0)
        self.optimiser.step()

    def _scores(self, items: "_Items", batch: Sequence[int]) -> tuple[Tensor, Tensor]:
        if items.vectors is None:
            vectors = self.encoder.vectors([items.words[i] for i in batch])
        else:
            vectors = [torch.from_numpy(items.vectors[i]) for i in batch]
        scores: tuple[Tensor, Tensor] = self.network(vectors, [items.features[i] for i in batch])
        return scores

    def _found(self, items: "_Items") -> list[list[Entity]]:
        for module in self._modules():
            module.eval()
        found: list[list[Entity]] = [[] for _ in items.words]
        with torch.no_grad():
            for batch in batches(items.lengths, 4 * self.config.token_budget):
                best = self.network.chain.best(*self._scores(items, batch))
                for item, several in zip(batch, best, strict=True):
                    found[item] = entities_of([self.labels[one] for one in several])
        return found

    def answer(self, sentences: Sequence[Sentence]) -> list[list[Entity]]:
        """Return the entities that the best epoch's network finds."""
        for module, state in zip(self._modules(), self.best, strict=False):
            module.load_state_dict(state)
        return self._found(self._prepared(sentences))

    def _prepared(self, sentences: Sequence[Sentence]) -> "_Items":
        words = [one.words for one in sentences]
        features = [
            [np.array([self.index[n] for n in names if n in self.index], np.int64) for names in one]
            for one in map(word_features, words)
        ] if self.index else [[] for _ in words]  # fmt: skip
        lengths = np.array([self.encoder.tokens(one) for one in words], dtype=np.int64)
        vectors = None if self.method.is_trained else frozen_vectors(self.encoder, words)
        return _Items(words, features, lengths, vectors)


@dataclass(frozen=True)
class _Items:
    """Sentences as the network reads them."""

    words: Sequence[Sequence[str]]
    features: Sequence[Sequence[Int[np.ndarray, " _"]]]
    lengths: Int[np.ndarray, " item"]
    vectors: Sequence[Float[np.ndarray, "_ dim"]] | None


def _set_aside(
    sentences: Sequence[Sentence], rng: np.random.Generator
) -> tuple[list[Sentence], list[Sentence]]:
    """Return the sentences to fit to and those that choose the epoch, by whole documents."""
    documents = rng.permutation(sorted({one.document for one in sentences}))
    aside = set(documents[: max(1, round(VALIDATION_SHARE * len(documents)))].tolist())
    if len(documents) < 2:
        return list(sentences), list(sentences)
    return (
        [one for one in sentences if one.document not in aside],
        [one for one in sentences if one.document in aside],
    )


def _feature_index(sentences: Iterable[Sentence]) -> dict[str, int]:
    """Return a number for each feature that is known of enough words."""
    counts = Counter(n for one in sentences for names in word_features(one.words) for n in names)
    return {name: i for i, name in enumerate(n for n, c in counts.items() if c >= MIN_COUNT)}
