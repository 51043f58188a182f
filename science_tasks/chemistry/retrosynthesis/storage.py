"""A planner in a folder, with its base and the reactions that it knows, to be asked offline."""

from collections.abc import Mapping
from dataclasses import asdict, astuple
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from kagaku.data.whole_files import written_whole
from kagaku.errors import InputError
from kagaku.models import load_encoder, save_encoder
from kagaku.models.pretraining.optimisers import OptimiserConfig
from kagaku.science_tasks.chemistry.retrosynthesis.edits import Edit, EditedAtom, EditedBond
from kagaku.science_tasks.chemistry.retrosynthesis.planner import Known, Planner, PlannerConfig
from kagaku.science_tasks.chemistry.retrosynthesis.precedents import Precedents
from kagaku.science_tasks.chemistry.retrosynthesis.ranking import EditRanker, RankingConfig
from kagaku.science_tasks.chemistry.retrosynthesis.sites import SiteFinder
from kagaku.science_tasks.storage import load_state, save_state

PLANNER_FILE, REACTIONS_FILE, BASE_FOLDER = "planner.safetensors", "reactions.parquet", "base"
PRODUCT, REACTANTS, EDIT, SURROUNDINGS = "product", "reactants", "edit", "surroundings"
"""Columns of the known reactions."""


def save_planner(planner: Planner, known: Precedents, folder: Path) -> None:
    """Write a planner and the reactions that it learnt from.

    Args:
        planner: Its network is written as it is.
        known: The reactions that it learnt from, in the order in which it did.
        folder: Made if it is not there.
    """
    folder.mkdir(parents=True, exist_ok=True)
    save_encoder(planner.encoder, folder / BASE_FOLDER)
    numbers = [(None, None) if one is None else astuple(one) for one in planner.known]
    frame = pd.DataFrame(numbers, columns=[EDIT, SURROUNDINGS], dtype="Int64")
    frame.insert(0, PRODUCT, known.products)
    frame.insert(1, REACTANTS, known.reactants)
    with written_whole(folder / REACTIONS_FILE) as partial:
        frame.to_parquet(partial, index=False)
    weights = {} if planner.ranker is None else planner.ranker.state_dict()
    state = {
        "edits": [asdict(edit) for edit in planner.edits],
        "config": asdict(planner.config),
        "ranker": {name: tensor.cpu().numpy() for name, tensor in weights.items()},
    }
    save_state(state, folder / PLANNER_FILE)


def load_planner(folder: Path) -> tuple[Planner, Precedents]:
    """Return what `save_planner` wrote.

    Raises:
        InputError: A file is missing or damaged, or of a newer version.
    """
    state = load_state(folder / PLANNER_FILE)
    if not (folder / REACTIONS_FILE).is_file():
        raise InputError(
            f"there is no {REACTIONS_FILE}", fix="Copy the whole folder again.", where=str(folder)
        )
    frame = pd.read_parquet(folder / REACTIONS_FILE)
    numbers = frame[[EDIT, SURROUNDINGS]].astype("Int64")
    known = tuple(
        Known(*pair) if is_known else None
        for pair, is_known in zip(
            numbers.fillna(0).to_numpy(dtype=np.int64).tolist(), numbers[EDIT].notna(), strict=True
        )
    )
    encoder = load_encoder(folder / BASE_FOLDER)
    config = _config(state["config"])
    edits = tuple(_edit(stored) for stored in state["edits"])
    finder = SiteFinder(sorted({edit.pattern for edit in edits}))
    ranker = None
    if state["ranker"]:
        pattern_of_edit = [finder.number[edit.pattern] for edit in edits]
        ranker = EditRanker(pattern_of_edit, encoder.dim, config.ranking)
        weights = {
            name.replace("from_product.", "from_molecule."): torch.from_numpy(array)
            for name, array in state["ranker"].items()  # the first planners named it so
        }
        ranker.load_state_dict(weights)
        ranker.eval()
    planner = Planner(encoder, edits, finder, ranker, known, config)
    return planner, Precedents(list(frame[PRODUCT]), list(frame[REACTANTS]), known)


def _edit(stored: Mapping[str, Any]) -> Edit:
    return Edit(
        tuple(EditedAtom(**one) for one in stored["atoms"]),
        tuple(EditedBond(**one) for one in stored["bonds"]),
        stored["groups"],
        stored["stereo"],
        stored.get("keeps_all", True),
    )


def _config(stored: Mapping[str, Any]) -> PlannerConfig:
    ranking = dict(stored["ranking"])
    ranking["optimiser"] = OptimiserConfig(**ranking["optimiser"])
    return PlannerConfig(**{**stored, "ranking": RankingConfig(**ranking)})
