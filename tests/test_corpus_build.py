"""From a recipe to a corpus on the command line, with files of one's own and real modalities."""

import csv
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from hashlib import sha256
from importlib.resources import files
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

import numpy as np
import pytest

from kagaku import cli
from kagaku.corpus import verbs as corpus_verbs
from kagaku.corpus.cluster import DaskRunner, workers
from kagaku.corpus.plan import default_cache
from kagaku.corpus.tools import ModalityTools
from kagaku.data.corpora import TRAIN, VALID, Corpus
from kagaku.data.records import Field, Quantity
from kagaku.errors import InputError
from kagaku.terminal import Terminal

SAMPLES = Path(str(files("kagaku.data.samples")))


@pytest.fixture(scope="module")
def recipe(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("recipe")
    rows = (SAMPLES / "molecules.csv").read_text().splitlines()[:60]
    (folder / "lab.csv").write_text("\n".join([*rows, "no molecule,1"]) + "\n")
    proteins = (SAMPLES / "proteins.csv").read_text().splitlines()[:40]
    place = proteins[0].split(",").index("sequence")
    entries = [f">p{i}\n{row.split(',')[place]}\n" for i, row in enumerate(proteins[1:])]
    (folder / "proteins.fasta").write_text("".join(entries))
    (folder / "benchmarks").mkdir()
    kept = rows[1].split(",")[rows[0].split(",").index("smiles")]
    (folder / "benchmarks" / "test.smi").write_text(kept + "\n")
    (folder / "corpus.yaml").write_text(
        "name: mine\nheld_out:\n  folder: benchmarks\n  samples: no\nvalid_share: {molecule: 0.1}\n"
        "sources:\n  lab:\n    file: lab.csv\n    inputs: [smiles]\n    licence: ours\n"
        "  proteins:\n    file: proteins.fasta\n    most: 20\n"
        f"  sea:\n    file: {SAMPLES / 'climate.nc'}\n    inputs: [sst_anomaly]\n    most: 12\n"
    )
    return folder / "corpus.yaml"


@pytest.fixture(scope="module")
def corpus(recipe: Path) -> Corpus:
    output = recipe.parent / "built"
    corpus_verbs.build(recipe, output, n_workers=0, terminal=Terminal(quiet=True))
    return Corpus.open(output)


def test_files_of_ones_own_become_sources(corpus: Corpus) -> None:
    lab, proteins, sea = corpus.manifest.sources
    assert (lab.licence, proteins.licence) == ("ours", "not stated")
    assert lab.origin == "lab.csv"
    assert lab.version.startswith("sha256 ")
    assert [dict(one.inputs) for one in (lab, proteins, sea)] == [
        {"smiles": "molecule"}, {"sequence": "protein"}, {"fields": "climate"}
    ]  # fmt: skip
    assert lab.steps[0].before - lab.steps[0].after == 1  # "no molecule"
    assert isinstance(corpus.read("sea", 0).inputs["fields"], Field)
    assert corpus.n_samples("proteins") + corpus.n_samples("proteins", VALID) <= 20


def test_held_out_molecules_are_listed(corpus: Corpus) -> None:
    assert corpus.manifest.held_out == {"test.smi": 1}
    assert "lab:row/2,test.smi" in (corpus.folder / "held_out.csv").read_text()
    assert corpus.manifest.notes == ()


def test_lengths_are_those_of_the_modalities(corpus: Corpus) -> None:
    tools = ModalityTools()
    for part in (TRAIN, VALID):
        lengths = corpus.lengths("lab", part)[:, 0]
        for index in range(corpus.n_samples("lab", part)):
            smiles = corpus.read("lab", index, part).inputs["smiles"]
            assert tools.check("molecule", smiles) == smiles
            assert lengths[index] == tools.n_tokens("molecule", smiles)


def test_descriptors_are_those_of_the_molecule(corpus: Corpus) -> None:
    scale = corpus.manifest.descriptors
    assert scale is not None
    assert len(scale.names) == len(scale.mean) > 99
    assert min(scale.std) > 0
    sample = corpus.read("lab", 0)
    assert sample.descriptors is not None
    np.testing.assert_array_equal(
        sample.descriptors, ModalityTools().describe(sample.inputs["smiles"])
    )
    assert corpus.read("proteins", 0).descriptors is None


def test_tokens_of_numbers_and_fields_are_counted_without_statistics() -> None:
    tools = ModalityTools()
    field = Field(
        np.zeros((2, 9, 8), dtype=np.float32), ("a", "b"), ("K", "K"),
        np.linspace(-40, 40, 9), np.arange(8) * 45.0,
    )  # fmt: skip
    assert tools.n_tokens("climate", field) == 2 * 3 * 2
    assert tools.n_tokens("quantity", Quantity("lead time", 30.0, "day")) == 1


def test_dask_workers_give_the_same_corpus(corpus: Corpus, recipe: Path) -> None:
    from distributed import Client

    from kagaku.corpus.plan import corpus_plan
    from kagaku.corpus.recipe import load_corpus_recipe
    from kagaku.data.corpora.build import build_corpus

    output = recipe.parent / "by-dask"
    plan = corpus_plan(load_corpus_recipe(recipe), {})
    tools = ModalityTools()
    with Client(
        processes=False, n_workers=1, threads_per_worker=1, dashboard_address=":0"
    ) as client:
        manifest = build_corpus(plan, output, tools, DaskRunner(client), lambda *_: None)
    assert manifest == corpus.manifest


def test_workers_that_join_late_are_given_tasks() -> None:
    from distributed import Client

    drawn = list[int]()

    def tasks() -> Iterator[int]:
        for task in range(40):
            drawn.append(task)
            yield task

    with Client(
        processes=False, n_workers=1, threads_per_worker=1, dashboard_address=":0"
    ) as client:
        there = dict[str, int]()
        with patch.object(client, "nthreads", lambda: there):
            results = DaskRunner(client)(float, tasks())
            found = [next(results)]
            assert len(drawn) == 4, "three wait where no worker has come yet"
            there.update({"a": 1, "b": 2})
            found.append(next(results))
            assert len(drawn) == 2 + 3 * 3, "three for each thread, beside the two that are done"
            del there["b"]
            found.append(next(results))
            assert len(drawn) == 11, "who has left gets no more"
            found += results
    assert sorted(found) == [float(task) for task in range(40)]


def test_the_command_builds_and_shows(
    recipe: Path,
    corpus: Corpus,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    command = ["kagaku", "corpus", "build", str(recipe), "--workers", "0"]
    monkeypatch.setattr(sys, "argv", [*command, "--output", str(corpus.folder)])
    cli.main()  # finished already, so this only tells
    told = " ".join(capsys.readouterr().err.split())
    assert "What each step left" in told
    monkeypatch.setattr(sys, "argv", ["kagaku", "corpus", "show", str(corpus.folder), "--verify"])
    cli.main()
    told = " ".join(capsys.readouterr().err.split())
    for part in (
        "Every file has the checksum",
        "lab.csv",
        "ours",
        "test.smi",
        "readable as protein",
    ):
        assert part in told


def test_without_a_held_out_folder_the_manifest_says_so(recipe: Path) -> None:
    alone = recipe.parent / "alone.yaml"
    alone.write_text("name: alone\nsources:\n  lab:\n    file: lab.csv\n    inputs: [smiles]\n")
    manifest = corpus_verbs.build(
        alone, recipe.parent / "alone", n_workers=0, terminal=Terminal(quiet=True)
    )
    assert len(manifest.notes) == 1
    assert manifest.notes[0].startswith("No folder of benchmark files was given")


def test_only_one_kind_of_workers_may_be_asked_for() -> None:
    told = r"Give only one of --workers, --scheduler and --slurm"
    with pytest.raises(InputError, match=told), workers(2, slurm=3):
        pass


def test_an_absent_scheduler_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    import distributed

    def refuse(*_: object, **__: object) -> None:
        raise OSError("Timed out trying to connect")

    monkeypatch.setattr(distributed, "Client", refuse)
    told = r"'tcp://no:1' does not answer .*dask scheduler"
    with pytest.raises(InputError, match=told), workers(scheduler="tcp://no:1"):
        pass


def test_slurm_without_its_package_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "dask_jobqueue", None)
    told = r"need the package dask-jobqueue. .*kagaku\[cluster\]"
    with pytest.raises(InputError, match=told), workers(slurm=2):
        pass


def test_slurm_jobs_are_asked_for_by_number(monkeypatch: pytest.MonkeyPatch) -> None:
    import distributed

    asked: list[int] = []

    class Jobs:
        """Stands for dask-jobqueue's cluster: workers in this process in place of SLURM's jobs."""

        def __enter__(self) -> "distributed.LocalCluster":
            local: Any = distributed.LocalCluster
            self.local = local(n_workers=0, processes=False, dashboard_address=":0")
            self.local.scale = self.scale
            return self.local

        def scale(self, jobs: int) -> None:
            asked.append(jobs)
            type(self.local).scale(self.local, jobs)

        def __exit__(self, *_: object) -> None:
            self.local.close()

    monkeypatch.setitem(sys.modules, "dask_jobqueue", SimpleNamespace(SLURMCluster=Jobs))
    with workers(slurm=3) as run:
        assert asked == [3]
        assert sorted(run(abs, [-1, 2, -3])) == [1, 2, 3]


def test_packages_are_kept_in_the_users_cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert default_cache() == tmp_path / "kagaku" / "packages"


@pytest.mark.slow
def test_a_build_that_was_killed_goes_on_to_the_same_bytes(tmp_path: Path) -> None:
    lines = [f"Note {i} tells {i * i} things of {i % 97} kinds to all." for i in range(9_000)]
    (tmp_path / "notes.csv").write_text("note\n" + "\n".join(lines) + "\n")
    (tmp_path / "corpus.yaml").write_text(
        'name: notes\nsources:\n  notes: {file: notes.csv, inputs: ["note: text"]}\n'
    )
    command = [sys.executable, "-m", "kagaku", "corpus", "build", str(tmp_path / "corpus.yaml")]
    command += ["--workers", "0", "--output"]
    subprocess.run([*command, str(tmp_path / "whole")], check=True, capture_output=True)
    running = subprocess.Popen([*command, str(tmp_path / "killed")], stderr=subprocess.DEVNULL)
    work = tmp_path / "killed.building"
    while not list(work.glob("notes-*/000001.npz")):
        assert running.poll() is None
        time.sleep(0.01)
    running.send_signal(signal.SIGKILL)
    running.wait()
    assert not (tmp_path / "killed").exists()
    subprocess.run([*command, str(tmp_path / "killed")], check=True, capture_output=True)
    sums = [
        {one.name: sha256(one.read_bytes()).hexdigest() for one in (tmp_path / name).iterdir()}
        for name in ("whole", "killed")
    ]
    assert sums[0] == sums[1]


def test_shipped_samples_are_held_out_unless_they_are_asked_for(tmp_path: Path) -> None:
    """Definitions of the sample stand here verbatim, beside the unit that is asked for there."""
    with (SAMPLES / "text.csv").open(newline="", encoding="utf-8") as stream:
        every = sorted((row["text"] for row in csv.DictReader(stream)), key=len)
    # The shortest that count as texts have no sentence that is long enough to be told by.
    texts = [one for one in every if len(one.split()) > 8][:4] + every[500:504]
    lines = [f"quantity {i} (K): {text}" for i, text in enumerate(texts)]
    lines += [f"An own text number {i} of which {i} words are held by no other" for i in range(9)]
    with (tmp_path / "own.csv").open("w", newline="", encoding="utf-8") as stream:
        csv.writer(stream).writerows([["note"], *([line] for line in lines)])
    told = "name: own\nsources:\n  own:\n    file: own.csv\n    inputs: ['note: text']\n"
    left = {}
    for name, extra in (("yes", ""), ("no", "held_out:\n  samples: no\n")):
        (tmp_path / f"{name}.yaml").write_text(told + extra)
        output = tmp_path / name
        corpus_verbs.build(
            tmp_path / f"{name}.yaml", output, n_workers=0, terminal=Terminal(quiet=True)
        )
        corpus = Corpus.open(output)
        left[name] = sum(corpus.n_samples("own", part) for part in (TRAIN, VALID))
        assert bool(corpus.manifest.held_out.get("samples/text.csv")) == (name == "yes")
    assert left["yes"] == left["no"] - len(texts)
