"""Classical features of texts."""

import numpy as np

from kagaku.science_tasks.literature import features as literature
from kagaku.science_tasks.literature.features import TextFeatures

FILMS = [
    f"Sputtering of {metal} oxide thin films on glass at {t} degC"
    for metal in ("zinc", "tin", "indium")
    for t in (100, 200, 300)
]
PROTEINS = [
    f"Crystal structure of the {protein} bound to its {ligand}"
    for protein in ("kinase", "receptor", "protease")
    for ligand in ("inhibitor", "substrate", "antibody")
]


def features_of(train: list[str], values: list[str]) -> np.ndarray:
    featurizer = TextFeatures()
    featurizer.fit(train)
    values_: np.ndarray = featurizer.transform("abstract", values)[0].values
    return values_


def test_texts_of_one_topic_are_nearer_than_texts_of_two() -> None:
    new = [
        "Thin films of gallium oxide by sputtering",
        "Structure of a phosphatase bound to an inhibitor",
    ]
    train = [*FILMS, *PROTEINS]
    everything = features_of(train, [*train, *new])
    centres = everything[:9].mean(axis=0), everything[9:18].mean(axis=0)
    distances = np.array([[np.linalg.norm(text - c) for c in centres] for text in everything[18:]])
    assert distances.argmin(axis=1).tolist() == [0, 1]


def test_names_that_share_pieces_are_alike() -> None:
    names = ["2-chlorophenol", "3-chlorophenol", "4-chloroaniline", "ferrocene", "ruthenocene"]
    values = features_of(names, names)
    distance = np.linalg.norm(values[:, None] - values[None], axis=-1)
    assert distance[0, 1] < distance[0, 3]
    assert distance[3, 4] < distance[3, 0]


def test_two_fits_give_the_same_numbers() -> None:
    train = [*FILMS, *PROTEINS]
    np.testing.assert_array_equal(features_of(train, PROTEINS), features_of(train, PROTEINS))


def test_the_number_of_components_and_terms_is_bounded() -> None:
    rng = np.random.default_rng(0)
    words = ["".join(rng.choice(list("abcdefghij"), 6)) for _ in range(2_000)]
    texts = [" ".join(rng.choice(words, 60)) for _ in range(200)]
    featurizer = TextFeatures()
    featurizer.fit(texts)
    assert featurizer.transform("t", texts[:2])[0].values.shape == (2, literature.DIM)
    assert featurizer.state()["components"].shape[1] <= 2 * literature.MAX_TERMS


def test_a_text_without_any_known_term_has_finite_features() -> None:
    values = features_of(FILMS, ["", "???", "квант"])
    assert np.isfinite(values).all()
    np.testing.assert_array_equal(values[0], values[1])


def test_training_texts_without_a_single_term_give_no_block() -> None:
    featurizer = TextFeatures()
    featurizer.fit(["", "   "])
    assert featurizer.transform("t", ["anything"]) == []
