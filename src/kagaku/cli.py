"""The `kagaku` command: one verb per thing a scientist wants done.

Nothing heavy is imported before a verb runs, so that help answers at once.
"""

import sys
from typing import Annotated

import typer

from kagaku import cli_bases, cli_benchmarks, cli_synthesis, cli_tables
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


for _verbs in (cli_tables, cli_synthesis, cli_benchmarks, cli_bases):
    app.add_typer(_verbs.app)


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
