"""`kagaku corpus index`, and the steps at which a pretraining showed each sample of a corpus."""

from pathlib import Path

from kagaku.bases import weights_folder
from kagaku.corpus.cluster import workers
from kagaku.data.corpora import TRAIN, Corpus
from kagaku.data.corpora.order import CorpusOrder
from kagaku.data.corpora.storage import MANIFEST, load_manifest
from kagaku.data.corpora.tracing import FOLDER, TraceIndex, build_index
from kagaku.data.corpora.tracing.seen import STEPS_FILE, SeenSteps, write_steps
from kagaku.outputs import writing_alone, writing_told
from kagaku.pretraining.prepared import row_lengths
from kagaku.pretraining.recipe import load_pretrain_recipe
from kagaku.pretraining.run_files import CONFIG_FILE, PROVENANCE_FILE, SUMMARY_FILE
from kagaku.run import read_json
from kagaku.terminal import Terminal


def index_corpus(
    folder: Path,
    output: Path | None = None,
    *,
    n_workers: int | None = None,
    scheduler: str | None = None,
    slurm: int | None = None,
    terminal: Terminal | None = None,
) -> TraceIndex:
    """Make a corpus searchable; stopped, the same call goes on.

    Args:
        folder: The corpus.
        output: Where the index goes; None takes ``trace`` inside the corpus.
        n_workers: As in `workers`.
        scheduler: As in `workers`; its workers must see the same files.
        slurm: As in `workers`.
        terminal: Where to tell what happens.

    Raises:
        InputError: It is no corpus, its index is of another version, or another process is making
            it.
    """
    terminal = terminal or Terminal()
    corpus = Corpus.open(folder.expanduser().resolve())  # workers may stand elsewhere
    place = (output or corpus.folder / FOLDER).expanduser().resolve()
    with (
        writing_alone(place),
        writing_told(place, "index"),
        workers(n_workers, scheduler=scheduler, slurm=slurm) as run,
        terminal.progress(f"Indexing {folder}") as progress,
    ):
        index = build_index(corpus, place, run=run, progress=progress)
    rows = [
        [modality, f"{len(one):,}", ", ".join(dict.fromkeys(s.source for s in one.stretches))]
        for modality, one in index.entries.items()
    ]
    terminal.table("Values that can be traced", ["modality", "values", "sources"], rows)
    n_bytes = sum(path.stat().st_size for path in index.folder.iterdir() if path.is_file())
    terminal.say(f"The index takes {n_bytes / 1e6:,.0f} MB:", path=index.folder)
    return index


def steps_of(
    index: TraceIndex, weights: str | None, terminal: Terminal
) -> tuple[SeenSteps | None, str]:
    """Return when weights were shown each sample of a corpus, or why that cannot be told.

    The order of samples is computed once for each pair of weights and corpus, and kept beside the
    index.

    Args:
        index: Of the corpus.
        weights: A weights name, a release or a run folder; None takes the default.
        terminal: Where to tell what happens.

    Raises:
        InputError: There are no such weights.
    """
    folder = weights_folder(weights)
    needed = (CONFIG_FILE, PROVENANCE_FILE, SUMMARY_FILE, MANIFEST)
    if missing := [name for name in needed if not (folder / name).is_file()]:
        return None, f"the weights have no {missing[0]} beside them"
    identity = read_json(folder / PROVENANCE_FILE).get("identity", {}).get("corpus", {})
    # Whether the same samples come in the same order, their order's checksum tells below.
    if index.corpus.manifest.unlike_shards(load_manifest(folder)) is None:
        return None, "the weights were trained on another corpus"
    n_steps = int(read_json(folder / SUMMARY_FILE)["steps"])
    kept = index.folder / f"steps-{identity['order']}-{n_steps}"
    if not (kept / STEPS_FILE).is_file():
        recipe = load_pretrain_recipe(folder / CONFIG_FILE, {"corpus": index.corpus.folder})
        terminal.say("Computing once at which step each sample was shown.")
        order = CorpusOrder(row_lengths(index.corpus, recipe, TRAIN), recipe.order)
        if order.fingerprint()[:16] != identity["order"]:
            return None, (
                "the order of training cannot be drawn again: this version of NumPy, or the "
                "lengths in this build of the corpus, are others"
            )
        n_samples = {name: index.corpus.n_samples(name) for name in order.sources}
        try:
            with terminal.progress("Steps") as progress:
                write_steps(
                    order, n_samples, n_steps, kept, lambda done, all_: progress(done, all_, "")
                )
        except OSError as error:
            return None, f"they cannot be kept beside the index ({error.strerror})"
    return SeenSteps(kept), ""
