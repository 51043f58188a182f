"""`kagaku retrosynthesis`: a table of reactions in, proposals with precedents out."""

import shutil
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
from typer.testing import CliRunner

from kagaku.cli import app
from kagaku.errors import InputError
from kagaku.models.pretraining.optimisers import OptimiserConfig
from kagaku.science_tasks.chemistry.retrosynthesis.planner import PlannerConfig
from kagaku.science_tasks.chemistry.retrosynthesis.ranking import RankingConfig
from kagaku.science_tasks.chemistry.retrosynthesis.storage import (
    PLANNER_FILE,
    REACTIONS_FILE,
    load_planner,
)
from kagaku.science_tasks.storage import load_state, save_state
from kagaku.synthesis.learning import LearningWishes, held_out, learn
from kagaku.synthesis.page import proposals_page, reaction_svg
from kagaku.synthesis.proposing import propose, propose_to_file, to_frame
from kagaku.synthesis.reactions import ReactionColumns, plain_smiles, read_reactions
from kagaku.terminal import Terminal

ACYLS = ("C", "CC", "CCC", "CC(C)", "C1CC1", "c1ccccc1", "COC", "ClC")
AMINES = ("C", "CC", "C(C)C", "c1ccccc1")
WISHES = LearningWishes(
    base="untrained-tiny",
    planner=PlannerConfig(
        ranking=RankingConfig(
            width=32,
            environment_width=16,
            environments=256,
            epochs=20,
            batch=8,
            optimiser=OptimiserConfig(name="adamw", learning_rate=5e-3, warmup_steps=3),
        )
    ),
)
QUIET = Terminal(quiet=True)


def amides() -> pd.DataFrame:
    return pd.DataFrame(
        [
            {"product": f"{acyl}C(=O)N{amine}", "reactants": f"{acyl}C(=O)O.N{amine}"}
            for acyl in ACYLS
            for amine in AMINES
        ]
    )


@pytest.fixture(scope="module")
def learnt(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("synthesis")
    amides().to_csv(folder / "amides.csv", index=False)
    learn(folder / "amides.csv", folder / "run", WISHES)
    return folder / "run"


# Reading.


def test_both_forms_of_a_reaction_give_the_same(tmp_path: Path) -> None:
    frame = amides()
    frame.to_csv(tmp_path / "two.csv", index=False)
    one = pd.DataFrame({"reaction": frame["reactants"] + ">CCO>" + frame["product"]})
    one.to_csv(tmp_path / "one.csv", index=False)
    renamed = frame.rename(columns={"product": "target", "reactants": "from"})
    renamed.to_csv(tmp_path / "named.csv", index=False)
    first = read_reactions(tmp_path / "two.csv", ReactionColumns())
    assert first == read_reactions(tmp_path / "one.csv", ReactionColumns())
    assert first == read_reactions(tmp_path / "named.csv", ReactionColumns("target", "from"))
    assert len(first.products) == len(frame)
    assert first.bad == ()


def test_rows_that_cannot_be_used_are_told_with_their_reason(tmp_path: Path) -> None:
    rows = [
        ("CC(=O)NC", "CC(=O)O.CN"),
        ("CNC(C)=O", "CN.OC(C)=O"),  # the same, spelt otherwise
        ("[CH3:1][C:2](=O)[NH:3]C", "[CH3:1][C:2](=O)O.[NH2:3]C"),  # and with numbers
        ("", "CO"),
        ("C1", "CO"),
        ("CC.CO", "CCCO"),
        ("CCO", "CCO.CC"),
    ]
    frame = pd.DataFrame(rows, columns=["product", "reactants"])
    frame.to_csv(tmp_path / "some.csv", index=False)
    found = read_reactions(tmp_path / "some.csv", ReactionColumns())
    assert (found.products, found.reactants) == (("CNC(C)=O",), ("CC(=O)O.CN",))
    assert found.n_repeated == 2
    assert found.bad == (
        (5, "no product"),
        (6, "the product 'C1' cannot be read"),
        (7, "several products"),
        (8, "the product is among its reactants"),
    )
    assert plain_smiles("[NH3:1]->[Pt]") == plain_smiles("N->[Pt]")
    frame.iloc[4:].to_csv(tmp_path / "bad.csv", index=False)
    with pytest.raises(InputError, match=r"no row holds a reaction.*row 2: the product 'C1'"):
        read_reactions(tmp_path / "bad.csv", ReactionColumns())
    with pytest.raises(InputError, match=r"no column 'prodct'.*--product"):
        read_reactions(tmp_path / "some.csv", ReactionColumns(product="prodct"))


# Learning.


def test_a_product_stands_on_one_side() -> None:
    products = ("CC", "CCC", "CC", "CCCC", "CCC", "CCCCC")
    train, test = held_out(products, 0.4, 0)
    assert sorted([*train, *test]) == list(range(6))
    assert not {products[row] for row in train} & {products[row] for row in test}
    assert len({products[row] for row in test}) == 2


def test_what_is_learnt_is_measured_and_can_be_asked_again(learnt: Path) -> None:
    metrics = pd.read_json(learnt / "metrics.json", typ="series")
    assert metrics["n_edits"] == 1
    assert metrics["n_explained"] == metrics["n_learnt"] == 29
    assert metrics["top_1"] == 1.0
    assert not (learnt / "work").exists()
    (answer,) = propose(learnt, ["O=C(Nc1ccncc1)C1CC1"], number=2)
    assert answer.product == "O=C(Nc1ccncc1)C1CC1"
    best = answer.proposed[0]
    assert best.proposal.smiles == "Nc1ccncc1.O=C(O)C1CC1"
    assert best.precedent.product in set(map(plain_smiles, amides()["product"]))
    assert best.precedent.is_same_place
    assert 0 < best.precedent.likeness < 1
    planner, known = load_planner(learnt)
    assert planner.n_explained == len(known.products) == 29
    assert best.precedent.n_known == 29
    # Cut at the other side of the nitrogen, no known reaction was done to such a carbon.
    elsewhere = known.nearest("CC(=O)NC", replace(best.proposal.known, surroundings=0))
    assert (elsewhere.n_known, elsewhere.is_same_place) == (29, False)


def test_a_folder_of_the_first_planners_can_be_asked(learnt: Path, tmp_path: Path) -> None:
    old = tmp_path / "old"
    shutil.copytree(learnt, old)
    state = load_state(old / PLANNER_FILE)
    state["ranker"] = {
        name.replace("from_molecule.", "from_product."): array
        for name, array in state["ranker"].items()
    }
    for edit in state["edits"]:
        del edit["keeps_all"]
        for atom in edit["atoms"]:
            del atom["is_lost"]
    save_state(state, old / PLANNER_FILE)
    asked = ["O=C(Nc1ccncc1)C1CC1"]
    assert load_planner(old)[0].propose(asked, 2) == load_planner(learnt)[0].propose(asked, 2)


def test_a_folder_is_not_replaced_unless_that_is_wanted(learnt: Path, tmp_path: Path) -> None:
    data = learnt.parent / "amides.csv"
    with pytest.raises(InputError, match=r"has learnt reactions already.*--overwrite"):
        learn(data, learnt, WISHES)
    (tmp_path / "mine.txt").write_text("mine", encoding="utf-8")
    with pytest.raises(InputError, match="holds other files"):
        learn(data, tmp_path, WISHES)
    with pytest.raises(InputError, match="a file, not a folder"):
        learn(data, tmp_path / "mine.txt", WISHES)
    amides().head(10).to_csv(tmp_path / "few.csv", index=False)
    with pytest.raises(InputError, match=r"10 reactions are too few.*takes 20"):
        learn(tmp_path / "few.csv", tmp_path / "run", WISHES)
    with pytest.raises(InputError, match="test_fraction"):
        LearningWishes(test_fraction=0.0)
    again = learn(data, tmp_path / "run", WISHES)
    other = learn(data, tmp_path / "run", replace(WISHES, overwrite=True, seed=1))
    assert (again["seed"], other["seed"]) == (0, 1)


def test_a_stopped_replacement_goes_on_with_the_same_command(
    learnt: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data, run = learnt.parent / "amides.csv", tmp_path / "run"
    shutil.copytree(learnt, run)
    again = replace(WISHES, overwrite=True)
    with monkeypatch.context() as patched:
        patched.setattr("kagaku.synthesis.learning.save_planner", _stop)
        with pytest.raises(KeyboardInterrupt):
            learn(data, run, again)
    with pytest.raises(InputError, match="learnt no reactions"):
        propose(run, ["CC(=O)NCC"])
    assert learn(data, run, again)["top_1"] == 1.0


def _stop(*_: object) -> None:
    raise KeyboardInterrupt


# Asking.


def test_proposals_are_written_as_a_table_or_a_page(learnt: Path, tmp_path: Path) -> None:
    asked = pd.DataFrame({"smiles": ["CCCCC", "CC(=O)NCCC"]})
    asked.to_csv(tmp_path / "asked.csv", index=False)

    def write(name: str) -> Path:
        propose_to_file(
            learnt,
            [str(tmp_path / "asked.csv")],
            output=tmp_path / name,
            column=None,
            number=2,
            terminal=QUIET,
        )
        return tmp_path / name

    frame = pd.read_csv(write("out.csv"))
    stored = pd.read_parquet(write("out.parquet"))
    assert stored.columns.tolist() == frame.columns.tolist()
    assert stored["reactants"].fillna("").tolist() == frame["reactants"].fillna("").tolist()
    assert frame["product"].unique().tolist() == ["CCCCC", "CCCNC(C)=O"]
    assert pd.isna(frame["reactants"][0])
    assert frame["reactants"][1] == "CC(=O)O.CCCN"
    assert frame["rank"].tolist()[1] == 1
    page = write("out.html").read_text(encoding="utf-8")
    assert page.count("<svg") == 2 * frame["reactants"].notna().sum()
    assert "No known change fits." in page
    assert "CC(=O)O.CCCN&gt;&gt;CCCNC(C)=O" in page
    addresses = page.replace("http://www.w3.org", "").replace("http://www.rdkit.org", "")
    assert "http://" not in addresses
    assert "https://" not in addresses
    with pytest.raises(InputError, match=r"cannot be written as '\.txt'"):
        write("out.txt")
    assert to_frame([]).empty
    assert proposals_page([]).count("<section>") == 0
    assert str(reaction_svg("CC(=O)O.CN", "CNC(C)=O")).startswith("<svg")


@pytest.mark.parametrize(
    ("products", "message"),
    [
        (["CC("], r"'CC\(' cannot be read as SMILES"),
        (["CC.CO"], r"'CC\.CO' is several molecules"),
    ],
)
def test_what_is_no_product_is_refused(learnt: Path, products: list[str], message: str) -> None:
    with pytest.raises(InputError, match=message):
        propose(learnt, products)


def test_a_folder_that_learnt_nothing_or_lost_a_file_is_told(learnt: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"learnt no reactions.*retrosynthesis learn"):
        propose(tmp_path, ["CC"])
    with pytest.raises(InputError, match="number must be at least 1"):
        propose(learnt, ["CC"], number=0)
    for name in (PLANNER_FILE, "metrics.json"):
        (tmp_path / name).write_bytes((learnt / name).read_bytes())
    with pytest.raises(InputError, match=f"there is no {REACTIONS_FILE}"):
        propose(tmp_path, ["CC"])
    pd.DataFrame({"name": ["CC"]}).to_csv(tmp_path / "other.csv", index=False)
    with pytest.raises(InputError, match=r"no column 'product'.*--column"):
        propose_to_file(
            learnt,
            [str(tmp_path / "other.csv")],
            output=None,
            column=None,
            number=1,
            terminal=QUIET,
        )


def test_the_command_line_asks_and_tells(learnt: Path, tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    result = CliRunner().invoke(
        app,
        ["retrosynthesis", "propose", str(learnt), "CC(=O)NCCC", "--output", str(page)],
    )
    assert result.exit_code == 0, result.output
    assert "CC(=O)O.CCCN" in result.output
    assert "Nobody has tried them" in result.output
    assert page.is_file()
