"""Recipes for corpora: read strictly, every fault told with its line."""

from importlib.resources import files
from pathlib import Path

import pytest

from kagaku.corpus.plan import packages_of
from kagaku.corpus.recipe import HeldOutRecipe, load_corpus_recipe, valid_shares
from kagaku.data.corpora.sources import SOURCES
from kagaku.errors import InputError


def written(folder: Path, text: str) -> Path:
    path = folder / "corpus.yaml"
    path.write_text(text)
    return path


GOOD = "name: mine\nsources:\n  moses:\n    most: 100\n"


def test_a_recipe_is_read_with_its_defaults(tmp_path: Path) -> None:
    recipe = load_corpus_recipe(written(tmp_path, GOOD + "valid_share:\n  protein: 0.2\n"))
    assert (recipe.name, recipe.seed, recipe.held_out) == ("mine", 0, HeldOutRecipe())
    assert (recipe.sources[0].name, recipe.sources[0].most) == ("moses", 100)
    assert recipe.valid_share == valid_shares() | {"protein": 0.2}


@pytest.mark.parametrize("name", ["corpus_tiny.yaml", "corpus_small.yaml"])
def test_the_shipped_recipes_name_known_sources_once(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("KAGAKU_DATA", raising=False)
    recipe = load_corpus_recipe(Path(str(files("kagaku.configs") / name)))
    assert {one.name for one in recipe.sources} <= set(SOURCES)
    assert recipe.held_out == HeldOutRecipe()
    keys = [one.key for one in packages_of(recipe)]
    assert len(keys) == len(set(keys))


def test_every_source_is_in_the_larger_recipe() -> None:
    recipe = load_corpus_recipe(Path(str(files("kagaku.configs") / "corpus_small.yaml")))
    assert {one.name for one in recipe.sources} == set(SOURCES)


def test_the_held_out_folder_may_come_from_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("KAGAKU_DATA", raising=False)
    path = written(tmp_path, GOOD + "held_out:\n  folder: $KAGAKU_DATA\n")
    assert load_corpus_recipe(path).held_out.folder is None
    path = written(tmp_path, GOOD + "held_out:\n  folder: $BENCHMARKS\n")
    monkeypatch.delenv("BENCHMARKS", raising=False)
    with pytest.raises(InputError, match=r"line 6: the variable in '\$BENCHMARKS' is not set"):
        load_corpus_recipe(path)
    monkeypatch.setenv("BENCHMARKS", str(tmp_path))
    assert load_corpus_recipe(path).held_out == HeldOutRecipe(str(tmp_path))
    monkeypatch.setenv("BENCHMARKS", str(tmp_path / "nothing"))
    with pytest.raises(InputError, match=r"line 6: there is no folder '.*nothing'. Correct it"):
        load_corpus_recipe(path)


def test_a_file_of_ones_own_is_taken_from_the_recipes_folder(tmp_path: Path) -> None:
    own = "  lab:\n    file: lab.csv\n    inputs: [smiles]\n    licence: ours\n"
    lab = load_corpus_recipe(written(tmp_path, GOOD + own)).sources[1]
    assert (lab.file, lab.inputs, lab.licence) == (str(tmp_path / "lab.csv"), ("smiles",), "ours")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (GOOD + "sed: 1\n", r"line 5: there is no setting 'sed'. Did you mean 'seed'\?"),
        (GOOD.replace("most", "mots"), r"line 4: .*of a source 'mots'. Did you mean 'most'\?"),
        (GOOD.replace("moses", "mosses"), r"line 3: .*named 'mosses'. Did you mean 'moses'\?"),
        (GOOD.replace("100", "0"), r"line 4: most must lie between 1 and"),
        (GOOD + "  moses: {}\n", r"line 5: 'moses' is set twice"),
        (GOOD.replace("most: 100", "licence: x"), r"line 4: 'licence' is for files of your own"),
        (GOOD + "valid_share:\n  protien: 0.1\n", r"line 6: .*'protien'. Did you mean 'protein'\?"),
        (GOOD + "valid_share: 0.1\n", r"line 5: valid_share must be a list of"),
        (GOOD + "  a/b:\n    file: x.csv\n", r"line 5: 'a/b' cannot name a source"),
        (GOOD + "held_out:\n  path: x\n", r"line 6: there is no setting 'path'"),
        ("name: mine\nsources: {}\n", r"line 2: no source is named. Choose from"),
        ("seed: 1\n", r"the recipe does not say 'name'"),
        ("name: mine\n", r"the recipe does not say 'sources'"),
        ("- a\n", r"a recipe is a list of 'setting: value' lines"),
        ("name: [\n", r"line 2: this is not YAML"),
    ],
)  # fmt: skip
def test_a_fault_is_told_with_its_line(tmp_path: Path, text: str, told: str) -> None:
    with pytest.raises(InputError, match=told) as raised:
        load_corpus_recipe(written(tmp_path, text))
    assert "corpus.yaml" in str(raised.value)


def test_a_missing_or_foreign_file_is_told(tmp_path: Path) -> None:
    written(tmp_path, GOOD)
    with pytest.raises(InputError, match=r"no such recipe. Did you mean 'corpus.yaml'\?"):
        load_corpus_recipe(tmp_path / "corpsu.yaml")
    (tmp_path / "other.yaml").write_bytes(b"name: \xff\xfe")
    with pytest.raises(InputError, match=r"not UTF-8 text \(byte 6\)"):
        load_corpus_recipe(tmp_path / "other.yaml")
