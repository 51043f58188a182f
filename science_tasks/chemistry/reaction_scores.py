"""What others reached on USPTO-50k one step backwards, the class of the reaction not given."""

from collections.abc import Mapping

from kagaku.science_tasks.benchmark.task import CHOSEN_BY_VALIDATION, Published

# Karpov, Godin, Tetko 2019, table "Accuracy of the models on test set": on these very reactions.
# T2 and T3 learnt from train and valid for 1,000 epochs.
KARPOV = "https://github.com/bigchem/retrosynthesis/blob/master/papers/retrosynthesis/article.tex"
CLASS_GIVEN = "the class of the reaction was given"

# The parting of Coley et al. 2017, retrosim/data/get_data.py of github.com/connorcoley/retrosim. It
# is named in the repositories of Dai et al. and Zhong et al.; that others used it is remembered.
OTHER_SPLIT = "another parting of the same patents' reactions, 5,007 of them asked"
ELSEWHERE = f"{OTHER_SPLIT}; {CHOSEN_BY_VALIDATION}"
SPLIT_UNREAD = "its parting of the reactions was not read"

# Read where each comment tells; the sources are the articles.
# In retrosim/scripts/out/results.txt of github.com/connorcoley/retrosim:
COLEY = "https://doi.org/10.1021/acscentsci.7b00355"
# In README.md of github.com/kaist-amsg/LocalRetro at commit 06b25ac0:
DAI = "https://doi.org/10.48550/arXiv.2001.01408"
SACHA = "https://doi.org/10.1021/acs.jcim.1c00537"
CHEN = "https://doi.org/10.1021/jacsau.1c00246"
# In Readme.md of github.com/otori-bird/retrosynthesis at commit 27924764. The 0.638 that GraphRetro
# first had came of a leak in the order of atoms: github.com/coleygroup/Graph2SMILES/issues/1.
TETKO = "https://doi.org/10.1038/s41467-020-19266-y"
ZHONG = "https://doi.org/10.1039/D2SC02763A"
SOMNATH = "https://doi.org/10.48550/arXiv.2006.07038"

Scores = Mapping[int, float]
"""By how many of the best answers are looked at, the share of right ones."""

ROWS: tuple[tuple[str, str, Scores, str], ...] = (
    ("Transformer T3, averaged over cycles", KARPOV, {1: 0.427, 3: 0.639, 5: 0.698}, ""),
    ("LocalRetro", CHEN, {1: 0.534, 3: 0.775, 5: 0.859, 10: 0.924}, ELSEWHERE),
    ("root-aligned SMILES", ZHONG, {1: 0.563, 3: 0.792, 5: 0.862, 10: 0.910}, ELSEWHERE),
    ("Augmented Transformer", TETKO, {1: 0.535, 5: 0.810, 10: 0.857}, SPLIT_UNREAD),
    ("GraphRetro", SOMNATH, {1: 0.537, 3: 0.683, 5: 0.722, 10: 0.755}, ELSEWHERE),
    ("GLN", DAI, {1: 0.525, 3: 0.690, 5: 0.756, 10: 0.837}, ELSEWHERE),
    ("MEGAN", SACHA, {1: 0.481, 3: 0.707, 5: 0.784, 10: 0.861}, ELSEWHERE),
    ("RetroSim", COLEY, {1: 0.373, 3: 0.547, 5: 0.633, 10: 0.741}, ELSEWHERE),
    ("Transformer T2", KARPOV, {1: 0.418, 3: 0.613, 5: 0.672}, ""),
    ("Transformer T1, early stopping", KARPOV, {1: 0.379, 3: 0.573, 5: 0.627}, ""),
    ("Seq2Seq (Liu 2017)", KARPOV, {1: 0.374, 3: 0.524, 5: 0.570}, CLASS_GIVEN),
)
"""Model, source, scores and what differs: first the best of this very split, then what chemists
would try first: templates, edits and strings."""

# Dai et al.'s own training of Segler and Waller's network. The first three are in an old version of
# README.md of github.com/haochen-chen/Single-step-Retrosynthesis, which names GLN's article.
NEURALSYM: Scores = {1: 0.444, 3: 0.653, 5: 0.724}
NEURALSYM_FROM_MEMORY: Scores = {10: 0.789}


def published_scores(within: tuple[int, ...]) -> tuple[Published, ...]:
    """Return all scores, those of one measure together.

    Args:
        within: How many of the best answers the measures look at.
    """
    rows = [(*row, True) for row in ROWS]
    rows += [
        ("NeuralSym", DAI, NEURALSYM, ELSEWHERE, True),
        ("NeuralSym", DAI, NEURALSYM_FROM_MEMORY, ELSEWHERE, False),
    ]
    return tuple(
        Published(model, f"top-{most}", scores[most], source, None, differs, checked)
        for most in within
        for model, source, scores, differs, checked in rows
        if most in scores
    )
