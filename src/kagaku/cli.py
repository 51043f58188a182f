"""The `kagaku` command: one verb per thing a scientist wants done.

Nothing heavy is imported before a verb runs, so that help answers at once.
"""

import sys
from pathlib import Path
from typing import Annotated

import typer

from kagaku.errors import KagakuError

STOPPED = 130
"""What a shell expects from a command that Ctrl-C has stopped: 128 + SIGINT."""

app = typer.Typer(
    name="kagaku",
    help="One foundation-model suite for laboratories: from a lab table to a calibrated "
    "prediction.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)


def _version(asked: bool) -> bool:
    if asked:
        from kagaku import __version__

        typer.echo(__version__)
        raise typer.Exit
    return asked


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Answer for the options that stand before a verb."""


@app.command()
def finetune(
    data: Annotated[
        Path | None,
        typer.Argument(
            help="CSV, TSV, Parquet, Excel, FASTA, SDF, a folder of images with a table, NetCDF "
            "or Zarr."
        ),
    ] = None,
    target: Annotated[
        list[str] | None,
        typer.Option(help='What to predict, such as "logS [log10(mol/L)]"; may be repeated.'),
    ] = None,
    inputs: Annotated[
        list[str] | None,
        typer.Option(
            "--input",
            help='What to predict from, such as smiles, "temp [degC]" or "note: text"; may be '
            "repeated. Default: every column that looks like an input.",
        ),
    ] = None,
    output: Annotated[Path | None, typer.Option(help="The run folder to write.")] = None,
    recipe: Annotated[
        Path | None, typer.Option(help="A YAML recipe; the flags given here override it.")
    ] = None,
    method: Annotated[str | None, typer.Option(help="auto, readout or full.")] = None,
    split: Annotated[
        str | None,
        typer.Option(
            help="auto, random, scaffold, sequence, chemical-system, group, time or file."
        ),
    ] = None,
    test_fraction: Annotated[float | None, typer.Option(help="Share held out for testing.")] = None,
    group: Annotated[
        str | None, typer.Option(help="A column whose equal values stay together.")
    ] = None,
    time: Annotated[str | None, typer.Option(help="A column that orders the rows in time.")] = None,
    lead: Annotated[
        str | None, typer.Option(help='For grids, how far ahead to predict, such as "3 months".')
    ] = None,
    indices: Annotated[
        Path | None, typer.Option(help="A JSON file with the rows of train and test.")
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Fixes whatever is random.")] = None,
    base: Annotated[
        str | None, typer.Option(help="The weights to start from: a name or a folder.")
    ] = None,
    confidence: Annotated[
        float | None, typer.Option(help="How often an interval shall contain the truth.")
    ] = None,
    max_seconds: Annotated[
        float | None, typer.Option(help="Start no new candidate after this many seconds.")
    ] = None,
    epochs: Annotated[int | None, typer.Option(help="Passes in full fine-tuning.")] = None,
    skip_bad_rows: Annotated[
        bool | None, typer.Option("--skip-bad-rows", help="Go on without rows that cannot be read.")
    ] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace a finished run in the output folder.")
    ] = False,
) -> None:
    """Fine-tune on a table or grid and leave a run folder with a report."""
    from kagaku.terminal import Terminal

    terminal = Terminal()
    if data is not None:
        terminal.say(f"Reading {data}")  # before the imports, which take seconds
    from kagaku.api import finetune_config
    from kagaku.train import train

    flags = {
        "data": None if data is None else str(data),
        "target": target or None,
        "inputs": inputs or None,
        "output": None if output is None else str(output),
        "method": method,
        "split": split,
        "test_fraction": test_fraction,
        "group": group,
        "time": time,
        "lead": lead,
        "indices": None if indices is None else str(indices),
        "seed": seed,
        "base": base,
        "confidence": confidence,
        "max_seconds": max_seconds,
        "epochs": epochs,
        "skip_bad_rows": skip_bad_rows,
    }
    config = finetune_config(recipe, flags)
    train(config, terminal=terminal, overwrite=overwrite)


@app.command()
def predict(
    run: Annotated[Path, typer.Argument(help="A run folder.")],
    data: Annotated[Path, typer.Argument(help="What to predict: a file as in finetune.")],
    output: Annotated[Path, typer.Option(help="Where to write: .csv or .parquet; .nc for fields.")],
    abstain: Annotated[
        bool,
        typer.Option("--abstain", help="Give no answer for records unlike the training data."),
    ] = False,
    skip_bad_rows: Annotated[
        bool, typer.Option("--skip-bad-rows", help="Leave rows that cannot be read empty.")
    ] = False,
) -> None:
    """Predict every row of a file, with intervals; files of any length, resumable."""
    from kagaku.terminal import Terminal

    Terminal().say(f"Loading {run}")  # before the imports, which take seconds
    from kagaku.api import predict_to_file

    predict_to_file(run, data, output, abstain=abstain, skip_bad_rows=skip_bad_rows)


@app.command()
def embed(
    data: Annotated[Path, typer.Argument(help="What to embed: a file as in finetune.")],
    output: Annotated[Path, typer.Option(help="Where to write: .parquet, .csv or .npy.")],
    inputs: Annotated[
        list[str] | None, typer.Option("--input", help="Columns to embed; may be repeated.")
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(help="A weights name, or the folder of an encoder, a run or a public model."),
    ] = None,
    skip_bad_rows: Annotated[
        bool, typer.Option("--skip-bad-rows", help="Leave rows that cannot be read empty.")
    ] = False,
    workers: Annotated[
        str | None,
        typer.Option(help="A number of processes, or dask for a cluster. Default: none beside."),
    ] = None,
    scheduler: Annotated[
        str | None, typer.Option(help="Address of a running Dask scheduler to work on.")
    ] = None,
    slurm: Annotated[
        int | None, typer.Option(min=1, help="SLURM jobs to work on, through dask-jobqueue.")
    ] = None,
) -> None:
    """Turn every record of a file into one vector; files of any length, resumable."""
    from kagaku.terminal import Terminal

    terminal = Terminal()
    terminal.say(f"Reading {data}")  # before the imports, which take seconds
    from kagaku.api import embed_to_file
    from kagaku.embedding_workers import Workforce

    embed_to_file(
        data,
        output,
        inputs=inputs or None,
        model=model,
        skip_bad_rows=skip_bad_rows,
        workforce=Workforce(workers, scheduler, slurm),
        terminal=terminal,
    )


@app.command()
def doctor(
    data: Annotated[
        Path | None, typer.Argument(help="A table, to tell what fine-tuning on it would cost.")
    ] = None,
    target: Annotated[
        list[str] | None, typer.Option(help="The target, if its name does not tell.")
    ] = None,
) -> None:
    """Tell whether this machine is ready, and what a given table would cost."""
    from kagaku.doctor import show
    from kagaku.terminal import Terminal

    show(Terminal(), data, target or [])


@app.command()
def samples(
    name: Annotated[str | None, typer.Argument(help="The sample to copy; none lists them.")] = None,
    output: Annotated[Path, typer.Option(help="The folder to copy it to.")] = Path(),
) -> None:
    """List the shipped example data, or copy one."""
    from kagaku.example_data import copy_or_list_samples

    copy_or_list_samples(name, output)


@app.command()
def datasets(
    name: Annotated[
        str | None, typer.Argument(help="The data set whose card to show; none lists them.")
    ] = None,
    domain: Annotated[
        str | None,
        typer.Option(
            help="chemistry, proteins, genomes, materials, literature, microscopy or climate."
        ),
    ] = None,
    verify: Annotated[
        bool, typer.Option("--verify", help="Compare every file that is here with its checksum.")
    ] = False,
    fetch: Annotated[
        bool, typer.Option("--fetch", help="Fetch into the cache what no folder has.")
    ] = False,
) -> None:
    """List the public data sets of the catalogue, fetch them, and check their files."""
    from kagaku.dataset_verbs import run_datasets

    if not run_datasets(name, domain=domain, verify_files=verify, fetch=fetch):
        raise typer.Exit(1)


@app.command()
def pretrain(
    recipe: Annotated[Path, typer.Argument(help="A YAML recipe, such as pretrain_tiny.yaml.")],
    corpus: Annotated[
        Path | None, typer.Option(help="Folder of the corpus, in place of the recipe's.")
    ] = None,
    output: Annotated[
        Path | None, typer.Option(help="The run folder, in place of the recipe's.")
    ] = None,
    max_minutes: Annotated[
        float | None, typer.Option(help="Stop after so many minutes; a later call goes on.")
    ] = None,
    max_steps: Annotated[
        int | None, typer.Option(help="Steps of the whole run, in place of the recipe's.")
    ] = None,
    plots: Annotated[
        bool, typer.Option("--plots", help="Only draw the losses of the run so far.")
    ] = False,
) -> None:
    """Pretrain on a corpus; the same command goes on after any stop."""
    from kagaku.terminal import Terminal

    terminal = Terminal()
    if plots:
        from kagaku.pretrain_figures import show_plots

        show_plots(recipe, output, terminal)
        return
    from kagaku.pretrain import run_pretraining

    run_pretraining(
        recipe,
        corpus=corpus,
        output=output,
        max_minutes=max_minutes,
        max_steps=max_steps,
        terminal=terminal,
    )


@app.command()
def evaluate(
    weights: Annotated[
        str, typer.Argument(help="A pretraining's run folder, a release, or a weights name.")
    ],
    corpus: Annotated[
        Path | None, typer.Option(help="Folder of the corpus, in place of the recipe's.")
    ] = None,
    pairs: Annotated[
        list[Path] | None,
        typer.Option(help="A table of pairs, such as SMILES and text; may be repeated."),
    ] = None,
    molecules: Annotated[int, typer.Option(min=0, help="Molecules to generate; 0: none.")] = 0,
    reference: Annotated[
        Path | None, typer.Option(help="A table of molecules to compare the generated ones with.")
    ] = None,
) -> None:
    """Measure what pretrained weights know of held-out samples; stopped, it goes on."""
    from kagaku.pretrain_evaluation import EvaluationWishes, evaluate_weights
    from kagaku.terminal import Terminal

    wishes = EvaluationWishes(tuple(pairs or ()), molecules, reference)
    evaluate_weights(weights, corpus=corpus, wishes=wishes, terminal=Terminal())


@app.command()
def release(
    run: Annotated[Path, typer.Argument(help="The run folder of a finished pretraining.")],
    output: Annotated[Path, typer.Option(help="The folder to write.")],
) -> None:
    """Make pretrained weights publishable: float16, a card, the log, and checksums."""
    from kagaku.release import release_weights
    from kagaku.terminal import Terminal

    release_weights(run, output, terminal=Terminal())


@app.command()
def generate(
    modality: Annotated[str, typer.Argument(help="molecule, protein or text.")],
    output: Annotated[Path, typer.Option(help="Where to write: .csv or .parquet.")],
    given: Annotated[
        list[str] | None,
        typer.Option(
            help='What they follow from, such as "text: a steroid" or "logP: 2.5"; may be repeated.'
        ),
    ] = None,
    number: Annotated[int, typer.Option(help="How many.")] = 100,
    weights: Annotated[
        str | None, typer.Option(help="A weights name, or the folder of a pretraining.")
    ] = None,
    temperature: Annotated[
        float, typer.Option(help="1 draws from what was learnt, 0 takes the likeliest.")
    ] = 1.0,
    top_p: Annotated[
        float, typer.Option(help="Draw from the likeliest tokens of this probability together.")
    ] = 1.0,
    longest: Annotated[
        int | None, typer.Option(help="Tokens after which a value is cut. Default: by modality.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Fixes what is drawn.")] = 0,
) -> None:
    """Write new molecules, proteins or texts, from nothing or from what is given."""
    from kagaku.generation import LONGEST, generate_to_file
    from kagaku.models.pretraining.sampling import SamplingConfig

    most = longest or LONGEST.get(modality, 128)
    config = SamplingConfig(temperature, top_p, most_tokens=most, seed=seed)
    generate_to_file(
        modality, output, weights=weights, given=given or (), number=number, config=config
    )


@app.command()
def scaling(
    recipe: Annotated[Path, typer.Argument(help="A YAML recipe, such as scaling_tiny.yaml.")],
    corpus: Annotated[
        Path | None, typer.Option(help="Folder of the corpus, in place of the recipe's.")
    ] = None,
    output: Annotated[
        Path | None, typer.Option(help="The ladder's folder, in place of the recipe's.")
    ] = None,
    max_minutes: Annotated[
        float | None, typer.Option(help="Stop after so many minutes; a later call goes on.")
    ] = None,
    page: Annotated[
        Path | None, typer.Option(help="A Markdown page whose marked part gets the tables.")
    ] = None,
) -> None:
    """Pretrain a ladder of small sizes, fit the law of their losses, and plan larger runs."""
    from kagaku.terminal import Terminal

    terminal = Terminal()
    terminal.say(f"Reading {recipe}")  # before the imports, which take seconds
    from kagaku.scaling import Wishes, run_scaling

    run_scaling(recipe, Wishes(corpus, output, max_minutes, page), terminal=terminal)


corpus = typer.Typer(help="Build and inspect pretraining corpora.", no_args_is_help=True)
app.add_typer(corpus, name="corpus")


@corpus.command("build")
def corpus_build(
    recipe: Annotated[
        Path, typer.Argument(help="A YAML recipe, such as configs/corpus_tiny.yaml.")
    ],
    output: Annotated[
        Path | None, typer.Option(help="The folder to write. Default: the corpus' name.")
    ] = None,
    cache: Annotated[
        Path | None, typer.Option(help="Keeps fetched packages. Default: the user's cache.")
    ] = None,
    n_workers: Annotated[
        int | None,
        typer.Option("--workers", min=0, help="Processes. Default: one a core; 0: none beside."),
    ] = None,
    scheduler: Annotated[
        str | None, typer.Option(help="Address of a running Dask scheduler to work on.")
    ] = None,
    slurm: Annotated[
        int | None, typer.Option(min=1, help="SLURM jobs to work on, through dask-jobqueue.")
    ] = None,
) -> None:
    """Fetch what a recipe needs, clean it, and write shards; stopped, it goes on."""
    from kagaku.corpus_verbs import build

    build(recipe, output, cache=cache, n_workers=n_workers, scheduler=scheduler, slurm=slurm)


@corpus.command("show")
def corpus_show(
    folder: Annotated[Path, typer.Argument(help="A corpus folder.")],
    verify: Annotated[
        bool, typer.Option("--verify", help="Compare every file with its checksum first.")
    ] = False,
) -> None:
    """Print what a corpus is made of, and what was left out."""
    from kagaku.corpus_verbs import show

    show(folder, verify=verify)


@app.command()
def benchmark(
    names: Annotated[
        list[str] | None,
        typer.Argument(help="Tasks or domains, or all; leave out to list them."),
    ] = None,
    output: Annotated[
        Path, typer.Option(help="Keeps every answer; the same command goes on.")
    ] = Path("benchmark"),
    method: Annotated[
        list[str] | None, typer.Option(help="A method; may be repeated. Default: each task's own.")
    ] = None,
    split: Annotated[
        list[str] | None, typer.Option(help="An official split; may be repeated. Default: all.")
    ] = None,
    seeds: Annotated[int, typer.Option(min=1, help="How many seeds are run.")] = 1,
    base: Annotated[
        str | None, typer.Option(help="The weights of learned methods: a name or a folder.")
    ] = None,
    quick: Annotated[
        bool, typer.Option("--quick", help="A small part of each set, to see that all works.")
    ] = False,
    long: Annotated[
        bool, typer.Option("--long", help="Also a domain's tasks of over 20 minutes.")
    ] = False,
    estimate: Annotated[
        bool, typer.Option("--estimate", help="Say how long it would take, and run nothing.")
    ] = False,
) -> None:
    """Answer official questions with every method, and leave a scoreboard."""
    from kagaku import benchmark as verb

    if not names:
        verb.list_tasks()
        return
    request = verb.BenchmarkRequest(
        names=tuple(names),
        methods=tuple(method or ()),
        splits=tuple(split or ()),
        n_seeds=seeds,
        base=base,
        is_quick=quick,
        with_long=long,
    )
    if estimate:
        verb.estimate(request)
    else:
        verb.benchmark(request, output)


@app.command()
def compare(
    first: Annotated[Path, typer.Argument(help="A benchmark folder, or a run folder.")],
    second: Annotated[Path, typer.Argument(help="Another one, or the same one.")],
    method: Annotated[str | None, typer.Option(help="A method of the first folder.")] = None,
    other: Annotated[str | None, typer.Option(help="A method of the second folder.")] = None,
) -> None:
    """Compare two benchmarks, or two runs, on the same test items."""
    from kagaku import comparing

    comparing.compare(first, second, method=method, other=other)


def main() -> None:
    """Run the command; an error that the user can mend is told in one paragraph."""
    try:
        code = app(standalone_mode=False)
        if code == STOPPED:
            raise KeyboardInterrupt  # noqa: TRY301 (typer has turned it into a number)
        if code:
            sys.exit(code)
    except KagakuError as error:
        sys.exit(f"kagaku: {error}")
    except OSError as error:
        place = f"{error.filename}: " if error.filename else ""
        sys.exit(
            f"kagaku: {place}{error.strerror or error}. Check the disk's space and permissions, "
            "then run the same command again."
        )
    except MemoryError:
        sys.exit("kagaku: the memory ran out. Lower token_budget in a recipe, or use fewer rows.")
    except (KeyboardInterrupt, typer.Abort):
        typer.echo("kagaku: stopped. Run the same command again to go on.", err=True)
        sys.exit(STOPPED)
    except Exception as error:
        # Usage errors come from whichever click typer carries, so they are known by their method.
        if hasattr(error, "show") and hasattr(error, "exit_code"):
            error.show()
            sys.exit(error.exit_code)
        raise
