"""Questions about images: pneumonia on X-rays, cells in blood smears."""

import io
import os
import tarfile
from pathlib import Path

import numpy as np
import pandas as pd
import PIL.Image
import PIL.ImageDraw
import pytest
import torch

from kagaku.data.catalogue import FolderSource
from kagaku.data.schema import Target
from kagaku.models import Encoder, EncoderConfig
from kagaku.models.backbone import BackboneConfig
from kagaku.science_tasks.benchmark.base_use import BaseUse
from kagaku.science_tasks.benchmark.cases import PropertyCase, values_case
from kagaku.science_tasks.benchmark.methods import Single
from kagaku.science_tasks.benchmark.results import Quick, load_result
from kagaku.science_tasks.benchmark.running import Plan, run_task
from kagaku.science_tasks.benchmark.task import Context, Rows
from kagaku.science_tasks.microscopy.augmented import Augmented, augmented_case, averaged
from kagaku.science_tasks.microscopy.boxes import (
    average_precision,
    found_boxes,
    keep_best,
    mean_average_precision,
    overlaps,
)
from kagaku.science_tasks.microscopy.colours import colours, matched_disks, otsu
from kagaku.science_tasks.microscopy.patches import patch_grid, patch_targets, patches
from kagaku.science_tasks.microscopy.smears import (
    CELLS,
    Detection,
    Smear,
    SmearCase,
    fitted_counters,
    read_annotation,
    read_smears,
    smear_answers,
    usual_counts,
)
from kagaku.science_tasks.microscopy.symmetries import (
    CHEST,
    SMEAR,
    SYMMETRIES,
    changed,
    moved_boxes,
)
from kagaku.science_tasks.microscopy.xrays import pixels
from kagaku.science_tasks.tasks import TASKS

MICROSCOPY = [one for one in TASKS if TASKS[one].domain == "microscopy"]
MAP = mean_average_precision(CELLS)


@pytest.fixture(scope="module")
def encoder() -> Encoder:
    torch.manual_seed(0)
    config = EncoderConfig(modalities=("image",), backbone=BackboneConfig(32, 1, 2, 64))
    return Encoder(config).eval()


@pytest.fixture
def context(encoder: Encoder) -> Context:
    return Context(lambda: encoder)


def box(*edges: float) -> np.ndarray:
    return np.array([edges], dtype=np.float64)


# Boxes.


def test_overlap_is_the_shared_area_of_what_both_cover() -> None:
    one = box(0, 0, 10, 10)
    others = np.array(
        [[0.0, 0, 10, 10], [5, 0, 15, 10], [10, 0, 20, 10], [2, 2, 4, 4], [3, 3, 3, 9]]
    )
    np.testing.assert_allclose(overlaps(one, others)[0], [1, 50 / 150, 0, 4 / 100, 0])


def test_only_the_surest_of_two_boxes_on_one_cell_is_right() -> None:
    truth = np.array([[0.0, 0, 10, 10], [20, 0, 30, 10]])
    boxes = np.array([[0.0, 0, 10, 9], [0, 0, 10, 10], [21, 0, 31, 10], [50, 50, 60, 60]])
    right = found_boxes(boxes, np.array([0.5, 0.9, 0.3, 0.8]), truth)
    assert right.tolist() == [False, True, True, False]
    assert not found_boxes(boxes, np.ones(4), np.zeros((0, 4))).any()


def test_a_box_whose_nearest_cell_is_claimed_is_wrong_even_if_it_meets_another() -> None:
    """Pascal VOC looks at the cell that is overlapped most, and at no other."""
    truth = np.array([[0.0, 0, 10, 10], [0, 2, 10, 12]])
    boxes = np.array([[0.0, 0, 10, 10], [0, 0.5, 10, 10.5]])
    assert overlaps(boxes[1:], truth)[0].min() > 0.5
    assert found_boxes(boxes, np.array([0.9, 0.8]), truth).tolist() == [True, False]


def test_average_precision_is_the_area_under_all_points() -> None:
    scores = np.array([0.9, 0.8, 0.7, 0.6, 0.5])
    right = np.array([True, False, True, False, True])
    # Recall 1/4 at precision 1, 2/4 at 2/3, 3/4 at 3/5; the last quarter is never reached.
    assert average_precision(scores, right, 4) == pytest.approx((1 + 2 / 3 + 3 / 5) / 4)
    assert average_precision(scores[::-1], right[::-1], 4) == pytest.approx((1 + 2 / 3 + 3 / 5) / 4)
    # Precision that rises later counts from the start: 1/2 and 2/3 become 2/3 and 2/3.
    late = np.array([False, True, True])
    assert average_precision(scores[:3], late, 2) == pytest.approx(2 / 3)
    assert average_precision(np.zeros(0), np.zeros(0, dtype=bool), 3) == 0.0
    assert np.isnan(average_precision(scores, right, 0))


def random_case(seed: int) -> tuple[SmearCase, list[dict[str, Detection]]]:
    """Return images with boxes apart from each other, and boxes near them with some noise."""
    rng = np.random.default_rng(seed)
    smears, found = [], []
    for number in range(12):
        truth, given = {}, {}
        for name in CELLS:
            corners = rng.permutation(25)[: rng.integers(1, 6)]
            start = np.stack([corners % 5, corners // 5], axis=1) * 100.0
            truth[name] = np.hstack([start, start + rng.uniform(40, 90, start.shape)])
            near = truth[name] + rng.normal(0, 8, truth[name].shape)
            far = rng.uniform(0, 400, (3, 2))
            boxes = np.vstack([near, np.hstack([far, far + 60])])
            given[name] = Detection(boxes, rng.uniform(0, 1, len(boxes)))
        smears.append(Smear(str(number), b"", truth))
        found.append(given)
    return SmearCase((), tuple(smears)), found


def test_mean_average_precision_agrees_with_torchmetrics() -> None:
    from torchmetrics.detection import MeanAveragePrecision

    case, found = random_case(0)
    zero = [dict.fromkeys(CELLS, 0.0)] * case.n_test
    given, wanted = [], []
    for smear, several in zip(case.test, found, strict=True):
        boxes = np.concatenate([several[name].boxes for name in CELLS])
        scores = np.concatenate([several[name].scores for name in CELLS])
        labels = np.repeat(range(3), [len(several[name].boxes) for name in CELLS])
        true_labels = np.repeat(range(3), [len(smear.boxes[name]) for name in CELLS])
        truth = np.concatenate([smear.boxes[name] for name in CELLS])
        given.append(
            {"boxes": torch.from_numpy(boxes), "scores": torch.from_numpy(scores)}
            | {"labels": torch.from_numpy(labels)}
        )
        wanted.append({"boxes": torch.from_numpy(truth), "labels": torch.from_numpy(true_labels)})
    metric = MeanAveragePrecision(iou_thresholds=[0.5])
    metric.update(given, wanted)
    theirs = float(metric.compute()["map_50"])
    assert 0.3 < theirs < 0.9
    # COCO takes precision at 101 recalls, VOC at every one that is reached.
    assert MAP.of(smear_answers(case, found, zero)) == pytest.approx(theirs, abs=0.01)


def test_boxes_that_overlap_a_better_one_too_far_are_left_out() -> None:
    boxes = np.array([[0.0, 0, 10, 10], [1, 0, 11, 10], [30, 0, 40, 10]])
    assert keep_best(boxes, np.array([0.5, 0.9, 0.1])).tolist() == [1, 2]
    assert keep_best(np.zeros((0, 4)), np.zeros(0)).tolist() == []


def test_answers_keep_their_scores_on_disk(tmp_path: Path) -> None:
    case, found = random_case(1)
    answers = smear_answers(case, found, [dict.fromkeys(CELLS, 1.0)] * case.n_test)
    answers.to_parquet(tmp_path / "answers.parquet")
    read = pd.read_parquet(tmp_path / "answers.parquet")
    assert MAP.of(read) == MAP.of(answers)
    assert MAP.of(read.iloc[[0, 0, 3]]) == MAP.of(answers.iloc[[0, 0, 3]])


# Symmetries.


def test_a_smear_may_be_turned_and_mirrored_in_all_eight_ways() -> None:
    image = np.arange(6).reshape(2, 3)
    made = {changed(image, name).tobytes() + bytes(changed(image, name).shape) for name in SMEAR}
    assert len(made) == 8
    assert TASKS["blood-cells"].symmetries == TASKS["red-cell-counts"].symmetries == SMEAR


def test_a_chest_x_ray_is_never_flipped_or_turned() -> None:
    task = TASKS["pneumoniamnist"]
    assert task.symmetries == CHEST
    image = np.arange(28 * 28).reshape(28, 28)
    for name in task.symmetries:
        inner = changed(image, name)[2:-2, 2:-2]
        assert (np.diff(inner, axis=0) == 28).all()  # what is above stays above
        assert (np.diff(inner, axis=1) == 1).all()  # what is left stays left
    for method in task.methods.values():
        if isinstance(method, Augmented):
            assert method.symmetries == task.symmetries


@pytest.mark.parametrize("name", SMEAR)
def test_boxes_move_with_their_image(name: str) -> None:
    image = np.zeros((20, 30))
    image[3:8, 10:22] = 1
    moved = changed(image, name)
    rows, columns = np.nonzero(moved)
    wanted = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
    assert moved_boxes(box(10, 3, 22, 8), name, 20, 30)[0].tolist() == wanted


def test_every_symmetry_leaves_colours_and_the_first_leaves_all() -> None:
    image = np.random.default_rng(0).integers(0, 255, (6, 4, 3))
    for name in SYMMETRIES:
        assert set(map(tuple, changed(image, name).reshape(-1, 3))) <= set(
            map(tuple, image.reshape(-1, 3))
        )
    np.testing.assert_array_equal(changed(image, SMEAR[0]), image)
    np.testing.assert_array_equal(changed(image, CHEST[0]), image)


# Records of images.


def lit_case(n: int = 40) -> PropertyCase:
    """Return images that are bright on the left or on the right."""
    rng = np.random.default_rng(0)
    images = rng.integers(0, 60, (n, 28, 28)).astype(np.uint8)
    labels = np.arange(n) % 2
    for image, label in zip(images, labels, strict=True):
        image[:, 14 * label : 14 * label + 14] += 150
    target = Target("side", "side", "binary", classes=("left", "right"))
    rows = np.arange(n)
    return values_case(
        {"image": ("image", list(images))}, target, labels, Rows(rows[:-8], rows[-8:])
    )


def test_values_without_a_table_make_a_case() -> None:
    case = lit_case()
    assert (case.n_train, case.n_test) == (32, 8)
    assert case.values("test")["image"][0].shape == (28, 28, 1)


@pytest.mark.parametrize(
    "method", [pixels, Augmented(Single("linear", "classical"), CHEST)], ids=["pixels", "shifted"]
)
def test_methods_learn_which_side_is_bright(method: object, context: Context) -> None:
    case = lit_case()
    answers = method(case, context)  # type: ignore[operator]
    assert len(answers) == case.n_test
    assert ((answers["p_1"] > 0.5) == answers["truth"]).all()


def test_copies_of_a_training_image_stay_in_one_group_and_test_images_are_not_learnt() -> None:
    case = lit_case()
    made = augmented_case(case, CHEST)
    assert (made.n_train, made.n_test) == (32 * 5, 8 * 5)
    assert made.records.groups is not None
    learnt, asked = (set(made.records.groups[one]) for one in (made.rows.train, made.rows.test))
    assert len(learnt) == 32
    assert not learnt & asked
    np.testing.assert_array_equal(
        made.records.inputs["image"][made.rows.test[1]][:, :, 0],
        changed(case.records.inputs["image"][case.rows.test[0]][:, :, 0], CHEST[1]),
    )


def test_answers_about_changes_of_an_image_are_averaged() -> None:
    frame = pd.DataFrame(
        {"truth": [1.0, 1, 0, 0], "p_0": [0.2, 0.4, 0.9, 0.7], "p_1": [0.8, 0.6, 0.1, 0.3]}
    )
    answers = averaged(frame, 2)
    assert answers["truth"].tolist() == [1.0, 0.0]
    np.testing.assert_allclose(answers["p_1"], [0.7, 0.2])


# Smears.


def drawn_smear(seed: int) -> Smear:
    """Return a drawn smear: pale red disks, a large violet one, small violet ones."""
    rng = np.random.default_rng(seed)
    image = PIL.Image.new("RGB", (320, 240), (205, 210, 205))
    draw = PIL.ImageDraw.Draw(image)
    places = rng.permutation(12)
    boxes: dict[str, list[tuple[float, ...]]] = {name: [] for name in CELLS}
    looks = {
        "RBC": (22, (190, 130, 130)),
        "WBC": (38, (110, 80, 180)),
        "Platelets": (12, (120, 90, 190)),
    }
    for place, name in zip(places, ["WBC", "Platelets", "Platelets", *["RBC"] * 6], strict=False):
        radius, colour = looks[name]
        x, y = 40 + 80 * (place % 4), 40 + 80 * (place // 4)
        edges = (x - radius, y - radius, x + radius, y + radius)
        draw.ellipse(edges, fill=colour)
        boxes[name].append(tuple(map(float, edges)))
    stream = io.BytesIO()
    image.save(stream, "JPEG", quality=95)
    return Smear(str(seed), stream.getvalue(), {k: np.array(v) for k, v in boxes.items()})


@pytest.fixture(scope="module")
def drawn() -> SmearCase:
    every = tuple(drawn_smear(seed) for seed in range(14))
    return SmearCase(every[:10], every[10:])


ANNOTATION = b"""<annotation><object><name>RBC</name><bndbox><xmin>1</xmin><ymin>2</ymin>
<xmax>30</xmax><ymax>40</ymax></bndbox></object><object><name>RBC</name><bndbox><xmin>5</xmin>
<ymin>5</ymin><xmax>5</xmax><ymax>9</ymax></bndbox></object></annotation>"""


def test_annotations_are_read_and_boxes_without_an_area_left_out() -> None:
    boxes = read_annotation(ANNOTATION)
    assert boxes["RBC"].tolist() == [[1, 2, 30, 40]]
    assert boxes["WBC"].shape == (0, 4)


def test_an_archive_gives_photographs_with_their_boxes(drawn: SmearCase) -> None:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as tar:
        for name, stored in {
            "Annotations/a.xml": ANNOTATION, "JPEGImages/a.jpg": drawn.train[0].stored,
        }.items():  # fmt: skip
            member = tarfile.TarInfo(name)
            member.size = len(stored)
            tar.addfile(member, io.BytesIO(stored))
    (smear,) = read_smears(stream.getvalue())
    assert (smear.name, smear.pixels.shape) == ("a", (240, 320, 3))
    assert len(smear.boxes["RBC"]) == 1


def test_colours_find_drawn_cells_and_count_them(drawn: SmearCase, context: Context) -> None:
    answers = colours(drawn, context)
    assert MAP.of(answers) > 0.9
    assert answers[[f"error_{name}" for name in CELLS]].to_numpy().max() <= 1


def test_patches_find_more_than_nothing_on_drawn_cells(drawn: SmearCase, context: Context) -> None:
    answers = patches(drawn, context)
    assert len(answers) == drawn.n_test
    assert MAP.of(answers) > 0.2


def test_patches_know_where_they_are(encoder: Encoder, drawn: SmearCase) -> None:
    smear = drawn.train[0]
    grid = patch_grid(encoder, smear.pixels)
    assert grid.shape == (15, 20)
    np.testing.assert_allclose(grid.middles[21], [24, 24])
    shown, away = patch_targets(grid, smear)
    for number, name in enumerate(CELLS, start=1):
        (rows,) = np.nonzero(shown == number)
        edges = np.hstack(
            [grid.middles[rows] - away[rows, :2], grid.middles[rows] + away[rows, 2:]]
        )
        assert {tuple(one) for one in edges} == {tuple(one) for one in smear.boxes[name]}


def test_a_matched_disk_tells_touching_cells_apart() -> None:
    row, column = np.mgrid[:60, :100]
    mask = (np.hypot(row - 30, column - 35) < 15) | (np.hypot(row - 30, column - 64) < 15)
    middles, scores = matched_disks(mask, 15.0)
    best = middles[np.argsort(-scores)[:2]]
    assert sorted(best[:, 1].tolist()) == pytest.approx([35, 64], abs=2)


def test_otsu_parts_two_groups() -> None:
    values = np.concatenate([np.full(50, 0.2), np.full(30, 0.8)]) + np.tile([0.01, -0.01], 40)
    assert 0.22 < otsu(values.reshape(8, 10)) < 0.79


def test_a_counter_learns_that_some_of_what_is_found_is_unmarked() -> None:
    """Twice as many boxes are found as people mark."""
    truth = [2, 4, 6, 3]
    smears = [
        Smear("", b"", {name: np.tile(box(0, 0, 9, 9), (n, 1)) for name in CELLS}) for n in truth
    ]
    found = [
        {name: Detection(np.zeros((2 * n, 4)), np.ones(2 * n)) for name in CELLS} for n in truth
    ]
    counters = fitted_counters(smears, found)
    given = [counters["RBC"](one["RBC"]) for one in found]
    assert given == truth
    assert usual_counts(smears)["RBC"] == 3.5


def test_nothing_found_and_nothing_to_learn_from_is_no_error(context: Context) -> None:
    blank = io.BytesIO()
    PIL.Image.new("RGB", (64, 48), (200, 200, 200)).save(blank, "JPEG")
    empty = Smear("empty", blank.getvalue(), {name: np.zeros((0, 4)) for name in CELLS})
    case = SmearCase((empty, empty), (empty,))
    for method in (colours, patches):
        answers = method(case, context)
        assert answers[[f"count_{name}" for name in CELLS]].to_numpy().max() == 0


# Real data.


@pytest.fixture(scope="module")
def source() -> FolderSource:
    return FolderSource([Path(os.environ["KAGAKU_DATA"]).expanduser()])


@pytest.mark.benchmark_data
def test_official_parts_have_the_sizes_of_their_cards(source: FolderSource) -> None:
    sizes = {"blood-cells": (292, 72), "red-cell-counts": (292, 72), "pneumoniamnist": (4406, 624)}
    for name, wanted in sizes.items():
        (case,) = TASKS[name].load(source).values()
        assert (case.n_train, case.n_test) == wanted, name


@pytest.mark.benchmark_data
@pytest.mark.parametrize("name", MICROSCOPY)
def test_every_task_runs_on_a_cut_of_its_data(
    name: str, source: FolderSource, encoder: Encoder, tmp_path: Path
) -> None:
    task = TASKS[name]
    plan = Plan(quick=Quick(100, 60) if name == "pneumoniamnist" else Quick(16, 6))
    scores = {}
    for one in run_task(task, source, BaseUse(lambda: encoder), plan, tmp_path):
        scores[one.method] = task.leading.of(one.answers)
        assert np.isfinite(scores[one.method]), one.method
        kept = load_result(tmp_path / name / one.method / "official-seed0.json")
        assert kept is not None
        assert task.leading.of(kept.answers) == pytest.approx(scores[one.method])
    assert set(scores) == set(task.default)
    if name == "blood-cells":
        assert scores["colours"] > 0.4 > scores["constant"]
    if name == "pneumoniamnist":
        assert scores["pixels"] > 0.7 > scores["constant"]
