"""Verbs about bases: corpora, pretraining, and what comes out of it."""

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer()

Processes = Annotated[
    int | None,
    typer.Option("--workers", min=0, help="Processes. Default: one a core; 0: none beside."),
]
Scheduler = Annotated[
    str | None, typer.Option(help="Address of a running Dask scheduler to work on.")
]
SlurmJobs = Annotated[
    int | None, typer.Option(min=1, help="SLURM jobs to work on, through dask-jobqueue.")
]
"""On whom corpora are built and indexed."""


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
        from kagaku.pretraining.figures import show_plots

        show_plots(recipe, output, terminal)
        return
    from kagaku.pretraining.verb import run_pretraining

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
    from kagaku.pretraining.evaluation import EvaluationWishes, evaluate_weights
    from kagaku.terminal import Terminal

    wishes = EvaluationWishes(tuple(pairs or ()), molecules, reference)
    evaluate_weights(weights, corpus=corpus, wishes=wishes, terminal=Terminal())


@app.command()
def release(
    run: Annotated[Path, typer.Argument(help="The run folder of a finished pretraining.")],
    output: Annotated[Path, typer.Option(help="The folder to write.")],
) -> None:
    """Make pretrained weights publishable: float16, a card, the log, and checksums."""
    from kagaku.pretraining.release import release_weights
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
        str | None,
        typer.Option("--base", "--weights", help="A weights name, or the folder of a pretraining."),
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
    grammar: Annotated[
        bool,
        typer.Option(
            "--grammar",
            help="Of molecules, draw only what lets rings and branches close and valences hold.",
        ),
    ] = False,
) -> None:
    """Write new molecules, proteins or texts, from nothing or from what is given."""
    from kagaku.models.pretraining.sampling import SamplingConfig
    from kagaku.pretraining.generation import LONGEST, generate_to_file

    most = longest or LONGEST.get(modality, 128)
    config = SamplingConfig(temperature, top_p, most_tokens=most, seed=seed, grammar=grammar)
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
    from kagaku.scaling.verb import Wishes, run_scaling

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
    n_workers: Processes = None,
    scheduler: Scheduler = None,
    slurm: SlurmJobs = None,
) -> None:
    """Fetch what a recipe needs, clean it, and write shards; stopped, it goes on."""
    from kagaku.corpus.verbs import build

    build(recipe, output, cache=cache, n_workers=n_workers, scheduler=scheduler, slurm=slurm)


@corpus.command("show")
def corpus_show(
    folder: Annotated[Path, typer.Argument(help="A corpus folder.")],
    verify: Annotated[
        bool, typer.Option("--verify", help="Compare every file with its checksum first.")
    ] = False,
) -> None:
    """Print what a corpus is made of, and what was left out."""
    from kagaku.corpus.verbs import show

    show(folder, verify=verify)


@corpus.command("index")
def corpus_index(
    folder: Annotated[Path, typer.Argument(help="A corpus folder.")],
    output: Annotated[
        Path | None, typer.Option(help="Where the index goes. Default: inside the corpus.")
    ] = None,
    n_workers: Processes = None,
    scheduler: Scheduler = None,
    slurm: SlurmJobs = None,
) -> None:
    """Make a corpus searchable for `kagaku trace`; stopped, it goes on."""
    from kagaku.tracing.indexing import index_corpus

    index_corpus(folder, output, n_workers=n_workers, scheduler=scheduler, slurm=slurm)


@app.command()
def trace(
    values: Annotated[
        list[str], typer.Argument(help="SMILES, sequences, formulas or texts; or one table.")
    ],
    corpus: Annotated[
        Path | None,
        typer.Option(
            help="A corpus with an index. Default: only whether the weights were trained on them."
        ),
    ] = None,
    index: Annotated[
        Path | None, typer.Option(help="Where the index lies, if not inside the corpus.")
    ] = None,
    inputs: Annotated[
        list[str] | None,
        typer.Option(
            "--input",
            help='What is traced: columns of a table, such as "name: molecule"; of plain values, '
            "what they are, such as molecule.",
        ),
    ] = None,
    weights: Annotated[
        str | None,
        typer.Option("--base", "--weights", help="Whose training: a weights name or a folder."),
    ] = None,
    number: Annotated[int, typer.Option(min=1, help="Most training samples for each value.")] = 5,
    output: Annotated[
        Path | None, typer.Option(help="Write every match: .csv or .parquet.")
    ] = None,
    skip_bad_rows: Annotated[
        bool, typer.Option("--skip-bad-rows", help="Go on without rows that cannot be read.")
    ] = False,
) -> None:
    """Trace values back to the training data near them: source, licence, and step."""
    from kagaku.terminal import Terminal
    from kagaku.tracing.asked import source_given
    from kagaku.tracing.output import check_traces_output, show_traces, write_traces
    from kagaku.tracing.verb import Wishes, trace_source

    terminal = Terminal()
    check_traces_output(output)
    wishes = Wishes(corpus, index, weights, number, inputs, skip_bad_rows)
    traced = trace_source(source_given(values), wishes, terminal)
    show_traces(traced, weights, terminal)
    if output is not None:
        write_traces(traced, output)
        terminal.say(f"Wrote the matches of {len(traced):,} values to", path=output)
