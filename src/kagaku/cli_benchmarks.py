"""Verbs about public questions: data sets, benchmarks, comparisons."""

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer()


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
def benchmark(
    names: Annotated[
        list[str] | None,
        typer.Argument(help="Tasks or domains, or all; or speed; leave out to list them."),
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
        bool,
        typer.Option("--long", help="Also methods of over 20 minutes; of speed, longer files."),
    ] = False,
    estimate: Annotated[
        bool, typer.Option("--estimate", help="Say how long it would take, and run nothing.")
    ] = False,
    timed: Annotated[
        list[Path] | None,
        typer.Option(help="An earlier benchmark folder, to estimate from; may be repeated."),
    ] = None,
    only: Annotated[
        str | None, typer.Option(help="Of speed, the parts to measure, with commas between.")
    ] = None,
    turns: Annotated[
        int | None, typer.Option(min=1, help="Of speed, how often each is timed. Default: 3.")
    ] = None,
    corpus: Annotated[
        Path | None, typer.Option(help="Of speed, a corpus folder for training and loading.")
    ] = None,
    chemprop: Annotated[
        Path | None, typer.Option(help="Of speed, a Python that has chemprop.")
    ] = None,
    page: Annotated[
        Path | None,
        typer.Option(help="Of speed, a Markdown page whose marked part gets the table."),
    ] = None,
) -> None:
    """Answer official questions with every method, and leave a scoreboard; or measure speed."""
    from kagaku.benchmarks import estimating, verb
    from kagaku.benchmarks.request import BenchmarkRequest, asks_for_speed, list_tasks
    from kagaku.benchmarks.stored import SCORES_FILE

    of_speed = {
        "--only": only,
        "--turns": turns,
        "--corpus": corpus,
        "--chemprop": chemprop,
        "--page": page,
    }
    of_tasks = {
        "--method": method,
        "--split": split,
        "--seeds": seeds if seeds != 1 else None,
        "--base": base,
        "--quick": quick or None,
        "--estimate": estimate or None,
        "--timed": timed,
    }
    if asks_for_speed(names or (), of_speed, of_tasks):
        from kagaku.speed.part import LONG, Sizes, Wishes
        from kagaku.speed.verb import run_speed

        wishes = Wishes(
            only=() if only is None else tuple(one.strip() for one in only.split(",")),
            turns=turns or 3,
            corpus=corpus,
            chemprop=chemprop,
            page=page,
            sizes=LONG if long else Sizes(),
        )
        run_speed(wishes, output)
        return
    if not names:
        list_tasks()
        return
    request = BenchmarkRequest(
        names=tuple(names),
        methods=tuple(method or ()),
        splits=tuple(split or ()),
        n_seeds=seeds,
        base=base,
        is_quick=quick,
        with_long=long,
    )
    if estimate:
        own = [output] if (output / SCORES_FILE).is_file() else []
        estimating.estimate(request, (*own, *(timed or ())))
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
    from kagaku.benchmarks import comparing

    comparing.compare(first, second, method=method, other=other)
