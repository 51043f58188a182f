"""`kagaku scaling` from the recipe to the plan, with a stand-in for the pretraining runs."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from typer.testing import CliRunner

from kagaku.cli import app
from kagaku.data.corpora.manifest import DescriptorScale, Manifest, ShardInfo, SourceInfo
from kagaku.data.corpora.order import OrderConfig
from kagaku.data.corpora.storage import MANIFEST, save_manifest
from kagaku.errors import InputError
from kagaku.models.pretraining.scaling import ScalingLaw
from kagaku.pretraining.recipe import load_pretrain_recipe, save_pretrain_recipe
from kagaku.scaling import verb as scaling
from kagaku.scaling.figures import scaling_figure
from kagaku.scaling.ladder import TOTAL
from kagaku.scaling.recipe import load_scaling_recipe, run_recipes
from kagaku.scaling.report import BEGIN, END
from kagaku.scaling.results import Scaling
from kagaku.scaling.verb import Wishes, bytes_per_token, run_scaling
from kagaku.terminal import Terminal

CONFIGS = Path(__file__).parents[1] / "configs"
LAW = ScalingLaw(irreducible=1.0, a=15.0, alpha=0.3, b=200.0, beta=0.4)

PRETRAIN = """\
name: made-up
corpus: corpus
output: run
order: {row_length: 64, n_rows: 8, micro_batches: 2}
training: {max_steps: 10, precision: 32-true, devices: 8, strategy: ddp}
"""

RECIPE = """\
name: ladder
pretrain: pretrain.yaml
output: ladder
left_out: e-900
resamples: 10
runs:
  a-100: {dim: 16, depth: 1, heads: 1, hidden: 40, steps: 100}
  a-900: {dim: 16, depth: 1, heads: 1, hidden: 40, steps: 900}
  b-100: {dim: 24, depth: 1, heads: 1, hidden: 64, steps: 100}
  b-300: {dim: 24, depth: 1, heads: 1, hidden: 64, steps: 300, learning_rate: 1e-3}
  c-100: {dim: 32, depth: 2, heads: 2, hidden: 88, steps: 100}
  c-900: {dim: 32, depth: 2, heads: 2, hidden: 88, steps: 900}
  d-300: {dim: 64, depth: 2, heads: 2, hidden: 176, steps: 300}
  e-100: {dim: 96, depth: 2, heads: 2, hidden: 256, steps: 100}
  e-900: {dim: 96, depth: 2, heads: 2, hidden: 256, steps: 900}
plan:
  recipes: {larger: pretrain.yaml}
  hardware: {name: made-up GPU, peak_tflops: 100, share: 0.5}
  epochs: 2
"""

NAMES = sorted(yaml.safe_load(RECIPE)["runs"])


@dataclass
class StandIn:
    """Leaves what a pretraining run leaves, with losses that follow a law."""

    stop_after: int = 10**6
    """Runs that it does before its time is up."""

    value: Callable[[float], float] = float
    """Changes the losses."""

    done: list[str] = field(default_factory=list)
    """Names of the runs that it was asked for."""

    def __call__(self, recipe_file: Path, output: Path, max_minutes: float | None) -> None:
        del max_minutes
        recipe = load_pretrain_recipe(recipe_file, {"output": output})
        self.done.append(output.name)
        output.mkdir(parents=True, exist_ok=True)
        save_pretrain_recipe(recipe, output / "config.yaml")
        (output / MANIFEST).write_bytes((Path(recipe.corpus) / MANIFEST).read_bytes())
        steps = recipe.training.max_steps
        reached = steps if len(self.done) <= self.stop_after else steps // 2
        tokens = reached * 1_000
        summary = {"steps": reached, "tokens": tokens, "seconds": tokens / 1e4}
        (output / "summary.json").write_text(json.dumps(summary))
        backbone = recipe.backbone
        norms = backbone.depth * (2 * backbone.dim + 2 * backbone.head_dim) + backbone.dim
        weights = backbone.depth * (4 * backbone.dim**2 + 3 * backbone.dim * backbone.hidden)
        loss = self.value(LAW.loss(float(weights + norms), float(tokens)))
        rows = [
            (0, 0, 0.0, "one", TOTAL, 9.0, 4),
            (reached, tokens, 1.0, "one", "masked/protein", loss, 4),
            (reached, tokens, 1.0, "one", TOTAL, loss - 0.1, 1),
            (reached, tokens, 1.0, "two", TOTAL, loss + 0.1, 1),
            (reached, tokens, 1.0, "two", "aligned/one-two", 0.0, 1),
        ]
        columns = ["step", "tokens", "seconds", "source", "loss", "value", "micro_batches"]
        pd.DataFrame(rows, columns=columns).to_csv(output / "valid.csv", index=False)


def write_bench(folder: Path) -> Path:
    """Write a corpus without samples, a pretraining recipe and a ladder; return the ladder."""
    corpus = folder / "corpus"
    corpus.mkdir(parents=True)
    infos = [
        SourceInfo(
            name=name,
            origin="made up",
            version="1",
            licence="CC0-1.0",
            inputs={"protein": "protein"},
            steps=(),
            n_tokens=n_tokens,
            train=(ShardInfo(f"{name}.tar", 10, n_bytes, "0"),),
            valid=(),
        )
        for name, n_tokens, n_bytes in (("one", 100, 500), ("two", 400, 400))
    ]
    scale = DescriptorScale(("mass",), (1.0,), (1.0,))
    save_manifest(Manifest("made-up", 0, tuple(infos), scale), corpus)
    (folder / "pretrain.yaml").write_text(PRETRAIN)
    (folder / "ladder.yaml").write_text(RECIPE)
    return folder / "ladder.yaml"


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    return write_bench(tmp_path)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Scaling]:
    """A finished ladder: its folder, and what it has shown."""
    folder = tmp_path_factory.mktemp("finished")
    recipe = write_bench(folder)
    page = folder / "page.md"
    page.write_text(f"# Page\n\n{BEGIN}\n\nNot run yet.\n\n{END}\n\nThe end.\n")
    found = run_scaling(recipe, Wishes(page=page), pretrain=StandIn())
    assert found is not None
    return folder, found


def changed(recipe: Path, **settings: object) -> Path:
    """Write the ladder with other settings, and return the file."""
    values = yaml.safe_load(recipe.read_text()) | settings
    recipe.write_text(yaml.safe_dump(values, sort_keys=False))
    return recipe


def test_a_ladder_gives_back_the_law_of_its_runs(finished: tuple[Path, Scaling]) -> None:
    _, found = finished
    assert found.total.law.alpha == pytest.approx(LAW.alpha, rel=0.01)
    assert found.total.law.beta == pytest.approx(LAW.beta, rel=0.01)
    assert found.fits.keys() == {TOTAL, "masked/protein"}
    assert abs(found.left_out.error.value) < 0.002
    assert abs(found.errors["masked/protein"]) < 0.002
    assert found.left_out.name == "e-900"
    assert len(found.left_out.fit.runs) == len(NAMES) - 2  # e-100 neither
    assert len(found.total.runs) == len(NAMES)
    assert found.other_count == "encoder"
    assert found.unfitted["aligned/one-two"].startswith("a law can only be fitted to positive")
    assert found.slope is not None


def test_everything_is_written_down(finished: tuple[Path, Scaling]) -> None:
    folder, found = finished
    stored = json.loads((folder / "ladder" / "scaling.json").read_text())
    assert [one["name"] for one in stored["runs"]] == [*yaml.safe_load(RECIPE)["runs"]]
    assert stored["laws"][TOTAL]["law"]["alpha"] == found.total.law.alpha
    assert stored["assumed"] == {
        "name": "made-up GPU",
        "peak_tflops": 100.0,
        "share": 0.5,
        "epochs": 2.0,
    }
    assert stored["plans"][0]["name"] == "larger"
    report = (folder / "ladder" / "scaling.md").read_text()
    for needed in (
        "e-900 (left out)",
        "Measured: where each run ended",
        "N of the encoder",
        "Tested: a run of a size that the fit has not seen",
        "Planned, not measured: at 50% of 100 TFLOP/s (made-up GPU), which the recipe assumes",
        "Not fitted, aligned/one-two",
        "Tokens of larger are from",
    ):
        assert needed in report
    assert (folder / "ladder" / "scaling.png").read_bytes().startswith(b"\x89PNG")
    assert not list(folder.rglob("*.partial"))


def test_the_marked_part_of_a_page_is_written_and_nothing_else(
    finished: tuple[Path, Scaling],
) -> None:
    page = (finished[0] / "page.md").read_text()
    assert page.startswith(f"# Page\n\n{BEGIN}\n\n**Measured")
    assert page.endswith(f"{END}\n\nThe end.\n")
    assert "Not run yet" not in page


def test_the_figure_marks_the_run_left_out(finished: tuple[Path, Scaling]) -> None:
    figure = scaling_figure(finished[1])
    (axes,) = figure.axes
    assert axes.get_xscale() == axes.get_yscale() == "log"
    legend = axes.get_legend()
    assert legend is not None
    labels = [text.get_text() for text in legend.get_texts()]
    assert {"left out, measured", "left out, predicted", "best size"} <= set(labels)
    assert len(labels) == 5 + 3  # sizes; best size, predicted, measured


def test_a_ladder_that_was_stopped_goes_on_and_keeps_what_is_finished(
    recipe: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first = StandIn(stop_after=4)
    assert run_scaling(recipe, pretrain=first, terminal=Terminal()) is None
    assert len(first.done) == 5  # the fifth was stopped on its way
    told = " ".join(capsys.readouterr().err.split())
    assert "Run 1 of 9: a-100" in told
    # Two sizes tell that time goes with tokens: 3,600 steps of 1,024 at 10,000 in each second.
    assert "min left" not in told.partition("Run 3 of 9")[0]
    assert "about 6 min left for all" in told.partition("Run 3 of 9")[2]
    assert "The time is up with 5 of 9 runs to do. Run the same command again to go on." in told
    assert not (recipe.parent / "ladder" / "scaling.json").exists()
    second = StandIn()
    assert run_scaling(recipe, pretrain=second, terminal=Terminal()) is not None
    assert second.done[0] == first.done[4]
    assert not set(first.done[:4]) & set(second.done)
    assert sorted(first.done[:4] + second.done) == NAMES
    told = " ".join(capsys.readouterr().err.split())
    assert "4 of 9 runs are finished already and kept" in told
    assert "scaling.md" in told
    assert run_scaling(recipe, Wishes(max_minutes=0.0), pretrain=StandIn()) is not None


def test_no_run_is_started_when_the_time_is_up(recipe: Path) -> None:
    stand_in = StandIn()
    assert run_scaling(recipe, Wishes(max_minutes=0.0), pretrain=stand_in) is None
    assert not stand_in.done


def test_each_run_takes_from_the_recipe_what_the_ladder_does_not_say(recipe: Path) -> None:
    runs = run_recipes(load_scaling_recipe(recipe), Path("elsewhere"))
    one = runs["b-300"]
    assert one.backbone.dim == 24
    assert one.order == OrderConfig(row_length=64, n_rows=8, micro_batches=2)
    assert one.training.max_steps == 300
    assert one.optimiser.warmup_steps == 30
    assert one.optimiser.learning_rate == 1e-3
    assert runs["b-100"].optimiser.learning_rate == 2e-3
    assert one.corpus == "elsewhere"
    assert (one.training.devices, one.training.strategy) == (1, "auto")
    assert Path(one.output) == recipe.parent / "ladder" / "runs" / "b-300"


def test_a_finished_run_with_other_settings_is_refused(recipe: Path) -> None:
    assert run_scaling(recipe, pretrain=StandIn(stop_after=2)) is None
    changed(recipe, warmup_share=0.2)
    with pytest.raises(InputError, match=r"made with optimiser\.warmup_steps 10, .* says 20") as c:
        run_scaling(recipe, pretrain=StandIn())
    assert c.value.where.endswith("a-100")
    assert "remove this folder" in c.value.fix


def test_a_finished_run_from_another_corpus_is_refused(recipe: Path) -> None:
    assert run_scaling(recipe, pretrain=StandIn(stop_after=2)) is None
    path = recipe.parent / "corpus" / MANIFEST
    path.write_text(path.read_text().replace("made up", "made up anew"))
    with pytest.raises(InputError, match="made from another corpus than"):
        run_scaling(recipe, pretrain=StandIn())


def test_a_run_that_diverged_is_told_with_its_name(recipe: Path) -> None:
    with pytest.raises(InputError, match="a held-out loss of nan") as caught:
        run_scaling(recipe, pretrain=StandIn(value=lambda _: float("nan")))
    assert "'a-100'" in caught.value.fix


def test_damaged_runs_are_told(recipe: Path) -> None:
    assert run_scaling(recipe, pretrain=StandIn(stop_after=2)) is None
    run = recipe.parent / "ladder" / "runs" / "a-100"
    valid = (run / "valid.csv").read_text()
    (run / "valid.csv").write_text("\n".join(valid.splitlines()[:2]) + "\n")
    with pytest.raises(InputError, match="no held-out losses of its last step"):
        run_scaling(recipe, pretrain=StandIn())
    (run / "summary.json").write_text("{")
    with pytest.raises(InputError, match="the summary of the run is damaged"):
        run_scaling(recipe, pretrain=StandIn())


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"left_out": "e-90"}, r"left_out names 'e-90', which is no run.*Did you mean 'e-900'"),
        ({"parameters": "encodr"}, r"parameters cannot be 'encodr'.*Did you mean 'encoder'"),
        ({"confidence": 1.5}, "confidence must lie between 0.5 and 0.99, got 1.5"),
        ({"run": {}}, "there is no setting 'run' here"),
        (
            {"plan": {"hardware": {"name": "x", "peak_tflops": 1, "share": 2}, "recipes": {}}},
            "share must lie above 0 and at most at 1, got 2",
        ),
        (
            {"plan": {"hardware": {"name": "x", "peak_tflops": 0, "share": 1}, "recipes": {}}},
            "peak_tflops must be positive, got 0",
        ),
    ],
)
def test_a_wrong_setting_is_told(recipe: Path, settings: dict[str, object], told: str) -> None:
    with pytest.raises(InputError, match=told):
        load_scaling_recipe(changed(recipe, **settings))


@pytest.mark.parametrize(
    ("kept", "told"),
    [
        (["a-100", "b-100", "c-100", "e-900"], "have 4 sizes, and it takes at least 5"),
        (
            ["a-100", "b-100", "c-900", "d-300", "e-100", "e-900"],
            "without the size left out, 4 runs are too few to fit 5 constants",
        ),
        (
            ["a-100", "b-100", "c-100", "c-900", "a-900", "e-100", "e-900", "d"],
            "without the size left out, runs of 2 different lengths cannot tell",
        ),
        (["../x"], "runs cannot have the name '../x', which is also a folder's"),
    ],
)
def test_too_few_runs_are_told_before_any_is_done(recipe: Path, kept: list[str], told: str) -> None:
    runs = yaml.safe_load(RECIPE)["runs"]
    runs["d"] = runs["d-300"] | {"steps": 100}
    runs["../x"] = runs["d"]
    with pytest.raises(InputError, match=told):
        load_scaling_recipe(changed(recipe, runs={name: runs[name] for name in kept}))


def test_sizes_that_do_not_go_together_name_the_line(recipe: Path) -> None:
    recipe.write_text(RECIPE.replace("dim: 96, depth: 2, heads: 2", "dim: 96, depth: 2, heads: 5"))
    with pytest.raises(InputError, match="does not divide into 5 heads") as caught:
        load_scaling_recipe(recipe)
    assert "line" in caught.value.where


def test_folders_and_pages_that_do_not_fit_are_refused(recipe: Path) -> None:
    full = recipe.parent / "full"
    full.mkdir()
    (full / "thesis.txt").write_text("")
    with pytest.raises(InputError, match="the folder holds other files, which a ladder would mix"):
        run_scaling(recipe, Wishes(output=full), pretrain=StandIn())
    with pytest.raises(InputError, match="this is a file, not a folder"):
        run_scaling(recipe, Wishes(output=recipe), pretrain=StandIn())
    with pytest.raises(InputError, match="the page has no part for the tables"):
        run_scaling(recipe, Wishes(page=full / "thesis.txt"), pretrain=StandIn())
    with pytest.raises(InputError, match="there is no such page"):
        run_scaling(recipe, Wishes(page=full / "none.md"), pretrain=StandIn())


def test_bytes_of_a_token_follow_the_mixture_of_sources() -> None:
    infos = [
        SourceInfo(name, "", "", "", {}, (), n_tokens, (ShardInfo("", 1, n_bytes, ""),), ())
        for name, n_tokens, n_bytes in (("one", 100, 500), ("two", 400, 400))
    ]
    manifest = Manifest("made-up", 0, tuple(infos))
    # Square roots 10 and 20 of the tokens: a third at 5 bytes, two thirds at 1.
    assert bytes_per_token(manifest, OrderConfig()) == pytest.approx(7 / 3)
    alone = OrderConfig(weights={"two": 0.0})
    assert bytes_per_token(manifest, alone) == pytest.approx(5)


def test_the_command_passes_on_what_it_is_told(
    recipe: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[object] = []

    def remember(path: Path, wishes: Wishes, *, terminal: Terminal) -> None:
        asked.extend([path, wishes, terminal.quiet])

    monkeypatch.setattr(scaling, "run_scaling", remember)
    words = ["scaling", str(recipe), "--corpus", "c", "--output", "o", "--max-minutes", "3"]
    answer = CliRunner().invoke(app, words, catch_exceptions=False)
    assert answer.exit_code == 0
    assert asked == [recipe, Wishes(Path("c"), Path("o"), 3.0, None), False]


def test_the_shipped_ladder_fits_the_code() -> None:
    path = CONFIGS / "scaling_tiny.yaml"
    recipe = load_scaling_recipe(path)
    runs = run_recipes(recipe, None)
    widest = max(one.backbone.dim for one in runs.values())
    assert runs[recipe.left_out].backbone.dim == widest
    assert len({one.backbone for one in runs.values()}) == 6
    assert len(runs) >= 14
    for one in recipe.plan.recipes.values():
        assert load_pretrain_recipe(Path(one)).training.max_steps > 0
    shortest = min(one.training.max_steps for one in runs.values())
    assert np.ceil(recipe.warmup_share * shortest) > 1
    assert replace(recipe, left_out="w32-100").left_out == "w32-100"
