"""Recipes: what they may say, what they may not, and that one written replays what was run."""

import re
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from kagaku.data.schema import KINDS
from kagaku.data.splits import SPLIT_KINDS
from kagaku.errors import InputError
from kagaku.experiment import FinetuneConfig, load_recipe, override, save_recipe
from kagaku.modalities import MODALITIES

CONFIGS = Path(__file__).parent.parent / "configs"


def write(folder: Path, text: str, name: str = "recipe.yaml") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def make(**changes: Any) -> FinetuneConfig:
    return FinetuneConfig(**({"data": "lab.csv", "target": ("logS",)} | changes))


# Shipped recipes


def test_the_shipped_recipe_states_every_setting_at_its_default() -> None:
    path = CONFIGS / "finetune.yaml"
    stated = yaml.safe_load(path.read_text(encoding="utf-8"))
    assert list(stated) == [one.name for one in fields(FinetuneConfig)]
    loaded = load_recipe(path)
    assert replace(loaded, data="lab.csv") == FinetuneConfig(
        data="lab.csv", target=("logS [log10(mol/L)]",)
    )


def test_the_shipped_recipe_explains_every_setting() -> None:
    lines = (CONFIGS / "finetune.yaml").read_text(encoding="utf-8").splitlines()
    for one in fields(FinetuneConfig):
        place = next(i for i, line in enumerate(lines) if line.startswith(f"{one.name}:"))
        paragraph = place
        while paragraph and lines[paragraph - 1].strip():
            paragraph -= 1
        explained = any("#" in line for line in lines[paragraph : place + 1])
        assert explained or one.name == "seed", one.name


def test_the_shipped_recipe_names_every_choice() -> None:
    text = (CONFIGS / "finetune.yaml").read_text(encoding="utf-8")
    names = {"nucleotide": "nucleotide sequence", "climate": "climate field"}
    for word in (*SPLIT_KINDS, *KINDS, *(names.get(one, one) for one in MODALITIES)):
        # Fields are for grids, and `file` and `group` are settings of their own too.
        assert word == "field" or word in text, word


# Reading


def test_a_short_recipe_takes_the_defaults(tmp_path: Path) -> None:
    recipe = load_recipe(write(tmp_path, "data: lab.csv\ntarget: logS [log10(mol/L)]\n"))
    assert recipe.target == ("logS [log10(mol/L)]",)
    assert (recipe.method, recipe.split, recipe.seed) == ("auto", "auto", 0)


def test_paths_start_from_the_recipe_folder(tmp_path: Path) -> None:
    (tmp_path / "weights").mkdir()
    text = "data: sub/lab.csv\ntarget: y\nindices: split.json\nbase: weights\noutput: run\n"
    recipe = load_recipe(write(tmp_path, text))
    assert Path(recipe.data) == tmp_path / "sub/lab.csv"
    assert recipe.indices == str(tmp_path / "split.json")
    assert recipe.base == str(tmp_path / "weights")
    assert recipe.output == str(tmp_path / "run")


def test_a_weights_name_is_not_taken_for_a_path(tmp_path: Path) -> None:
    recipe = load_recipe(write(tmp_path, "data: a.csv\ntarget: y\nbase: kagaku-tiny\n"))
    assert recipe.base == "kagaku-tiny"


def test_an_absolute_path_stays(tmp_path: Path) -> None:
    recipe = load_recipe(write(tmp_path, f"data: {tmp_path}/x/lab.csv\ntarget: y\n"))
    assert Path(recipe.data) == tmp_path / "x" / "lab.csv"


def test_a_number_without_a_dot_is_still_a_number(tmp_path: Path) -> None:
    text = "data: a.csv\ntarget: y\nlearning_rate: 1e-3\nconfidence: 0.8\nmax_seconds: 60\n"
    recipe = load_recipe(write(tmp_path, text))
    assert recipe.learning_rate == 1e-3
    assert recipe.max_seconds == 60.0


BAD_RECIPES = [
    ("data: a\ntarget: y\nsede: 1\n", "line 3: there is no setting 'sede'. Did you mean 'seed'?"),
    ("data: a\ntarget: y\nzzz: 1\n", "line 3: there is no setting 'zzz'. Choose from ["),
    ("data: a\ntarget: y\nseed: 1\nseed: 2\n", "line 4: 'seed' is set twice"),
    ("data: a\ntarget: y\nseed: one\n", "line 3: seed must be a whole number, got 'one'"),
    ("data: a\ntarget: y\nseed: 1.5\n", "line 3: seed must be a whole number, got 1.5"),
    ("data: a\ntarget: y\nseed: true\n", "line 3: seed must be a whole number, got True"),
    ("data: a\ntarget: y\nseed: -1\n", "line 3: seed must lie between 0 and 4,294,967,295"),
    ("data: a\ntarget: y\nfolds: 1\n", "line 3: folds must lie between 2 and 20, got 1"),
    ("data: a\ntarget: y\nmethod: fulll\n", "method cannot be 'fulll'. Did you mean 'full'?"),
    (
        "data: a\ntarget: y\nsplit: 3\n",
        "split cannot be 3. Choose from ['auto', 'chemical-system', 'file',",
    ),
    ("data: a\ntarget: y\nconfidence: 90\n", "confidence must lie between 0.5 and 0.999, got 90"),
    ("data: a\ntarget: y\nconfidence: .nan\n", "confidence must lie between 0.5 and 0.999"),
    ("data: a\ntarget: y\nconfidence: high\n", "confidence must be a number, got 'high'"),
    ("data: a\ntarget: no\n", "line 2: target must be text, got false. Put it in quotes"),
    ("data: a\ntarget: 5\n", "line 2: target must be text, got 5. Write it in quotes: '5'."),
    ("data: a\ntarget: []\n", "line 2: target is an empty list. Name at least one column."),
    ("data: a\ntarget: ''\n", "line 2: target is empty"),
    ("data: a\ntarget: [y, y]\n", "line 2: target names ['y'] more than once"),
    ("data: a\ntarget:\n- y: binary\n", "Put a name with a colon in quotes: 'y: binary'."),
    ("data: a\ntarget: y: binary\n", "line 2: this is not YAML (mapping values are not allowed"),
    ("data: a\ntarget: y\ninputs: [x\n", "this is not YAML"),
    ("data: a\n\ttarget: y\n", "line 2: this is not YAML"),
    ("data: a\ntarget: y\nskip_bad_rows: maybe\n", "skip_bad_rows must be true or false"),
    ("data: a\ntarget: y\ngroup: {a: 1}\n", "line 3: group must be text, got {'a': 1}"),
    ("data: a\ntarget: !!python/name:os.system\n", "this is not YAML"),
    ("target: y\n", "the recipe does not say 'data'. Add a line such as data: lab.csv."),
    ("data: a\n", "the recipe does not say 'target'. Add a line such as target: 'logS"),
    ("", "the recipe does not say 'data' and 'target'"),
    ("- data\n- target\n", "a recipe is a list of 'setting: value' lines"),
    ("data: a\ntarget: y\nsplit: file\n", "the split 'file' needs a file of indices"),
    ("data: a\ntarget: y\nsplit: group\n", "the split 'group' needs a column to group by"),
    ("data: a\ntarget: y\nsplit: random\nindices: b\n", "but the split is 'random'"),
    ("data: a\ntarget: y\ninputs: [x, y]\n", "['y'] are both inputs and targets"),
]


@pytest.mark.parametrize(("text", "message"), BAD_RECIPES)
def test_a_wrong_recipe_says_what_where_and_how_to_mend_it(
    tmp_path: Path, text: str, message: str
) -> None:
    path = write(tmp_path, text)
    with pytest.raises(InputError, match=re.escape(message)) as caught:
        load_recipe(path)
    assert caught.value.fix
    assert caught.value.where.startswith(str(path))


def test_a_missing_recipe_suggests_its_neighbour(tmp_path: Path) -> None:
    write(tmp_path, "", "finetune.yaml")
    with pytest.raises(InputError, match=re.escape("Did you mean 'finetune.yaml'?")):
        load_recipe(tmp_path / "finetun.yaml")
    with pytest.raises(InputError, match=re.escape("there is no such recipe. Check the path.")):
        load_recipe(tmp_path / "nowhere" / "mine.yaml")


def test_a_shipped_recipe_is_told_by_its_own_path(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"The one that came with kagaku is .*finetune\.yaml"):
        load_recipe(tmp_path / "configs" / "finetune.yaml")


def test_a_data_file_named_as_recipe_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path, "x," * 600_000)
    with pytest.raises(InputError, match=re.escape("1,200,000 bytes, too many for a recipe")):
        load_recipe(path)
    path.write_bytes(b"data: \xff\xfe\n")
    with pytest.raises(InputError, match=re.escape("not UTF-8 text (byte 6)")):
        load_recipe(path)


# Writing


def test_a_saved_recipe_replays_the_run(tmp_path: Path) -> None:
    for folder in ("run", "weights"):
        (tmp_path / folder).mkdir()
    config = FinetuneConfig(
        data=str(tmp_path / "lab.csv"),
        target=("logS [log10(mol/L)]", "active: binary"),
        inputs=("smiles", "temp [degC]", "note: text", "#5", "不溶"),
        method="readout",
        split="file",
        test_fraction=0.15,
        group="plate: A",
        time="2020",
        lead="3 months",
        indices=str(tmp_path / "split.json"),
        seed=7,
        base=str(tmp_path / "weights"),
        confidence=0.8,
        folds=3,
        max_seconds=90.5,
        skip_bad_rows=True,
        epochs=4,
        learning_rate=1e-5,
        token_budget=512,
    )
    path = tmp_path / "run" / "config.yaml"
    save_recipe(config, path)
    loaded = load_recipe(path)

    def resolved(one: FinetuneConfig) -> FinetuneConfig:
        assert one.indices
        assert one.base
        paths = {name: str(Path(getattr(one, name)).resolve()) for name in PATHS}
        return override(one, paths)

    assert resolved(loaded) == resolved(config)
    assert "data: ../lab.csv" in path.read_text(encoding="utf-8")
    assert not list(path.parent.glob("*.partial"))


PATHS = ("data", "indices", "base")


def test_a_saved_recipe_moves_with_its_project(tmp_path: Path) -> None:
    project = tmp_path / "project"
    (project / "run").mkdir(parents=True)
    (project / "lab.csv").write_text("x")
    save_recipe(make(data=str(project / "lab.csv")), project / "run" / "config.yaml")
    moved = project.rename(tmp_path / "moved")
    assert Path(load_recipe(moved / "run" / "config.yaml").data).read_text() == "x"


def test_a_saved_recipe_leaves_out_the_output(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    save_recipe(make(output=str(tmp_path)), path)
    assert load_recipe(path).output is None


# Flags and Python


def test_a_flag_wins_over_the_recipe_and_no_flag_leaves_it() -> None:
    recipe = make(seed=1, folds=3)
    changed = override(recipe, {"seed": 2, "folds": None, "target": "logD"})
    assert (changed.seed, changed.folds, changed.target) == (2, 3, ("logD",))
    assert recipe.seed == 1


def test_flags_fill_in_what_the_recipe_leaves_out(tmp_path: Path) -> None:
    path = write(tmp_path, "seed: 3\n")
    recipe = load_recipe(path, {"data": "lab.csv", "target": ["y"], "folds": None})
    assert (recipe.data, recipe.target, recipe.seed) == ("lab.csv", ("y",), 3)


@pytest.mark.parametrize("changes", [{"sede": 1}, {"sede": None}])
def test_an_unknown_flag_is_an_error(tmp_path: Path, changes: dict[str, Any]) -> None:
    with pytest.raises(InputError, match=re.escape("there is no setting 'sede'")):
        override(make(), changes)
    with pytest.raises(InputError, match=re.escape("Did you mean 'seed'?")):
        load_recipe(write(tmp_path, "data: a\ntarget: y\n"), changes)


def test_python_values_are_checked_where_they_are_made() -> None:
    with pytest.raises(InputError, match=re.escape("token_budget must lie between 64")):
        make(token_budget=1)
    with pytest.raises(InputError, match=re.escape("data must be one line of text")):
        make(data="a\0b")


def test_flags_are_brought_to_their_types() -> None:
    changed = override(make(), {"target": "logD", "inputs": ["smiles"], "confidence": 0.95})
    assert (changed.target, changed.inputs) == (("logD",), ("smiles",))
    with pytest.raises(InputError, match=re.escape("seed must be a whole number, got '3'")):
        override(make(), {"seed": "3"})
