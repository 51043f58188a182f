"""What `kagaku scaling` writes and shows: JSON, a Markdown report, and tables on screen."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from kagaku.data.whole_files import write_json, write_whole
from kagaku.marked_page import Marks
from kagaku.models.pretraining.scaling_fit import MIN_FRONTIER, Estimate, Exponent, LawFit
from kagaku.models.pretraining.scaling_plan import FAR, Plan
from kagaku.scaling.figures import PNG_FILE
from kagaku.scaling.ladder import TOTAL
from kagaku.scaling.results import Scaling
from kagaku.terminal import Terminal

JSON_FILE, REPORT_FILE = "scaling.json", "scaling.md"

BEGIN, END = "<!-- measured ladder: begin -->", "<!-- measured ladder: end -->"
"""What stands before and behind the part of a page that the command writes."""


@dataclass(frozen=True)
class Table:
    """A table of a report."""

    title: str
    """What it shows."""

    columns: list[str]
    """Names of the columns."""

    rows: list[list[str]]
    """The cells."""

    def markdown(self) -> str:
        """Return the table in Markdown."""
        lines = [self.columns, ["---"] * len(self.columns), *self.rows]
        cells = [[cell.replace("|", r"\|") for cell in line] for line in lines]
        return f"**{self.title}**\n\n" + "\n".join(f"| {' | '.join(line)} |" for line in cells)


def show_results(found: Scaling, folder: Path, terminal: Terminal) -> None:
    """Print tables, what the runs do not tell, and where the files are."""
    for table in tables(found):
        terminal.table(table.title, table.columns, table.rows)
    for sentence in sentences(found):
        terminal.say(sentence)
    terminal.say(f"Wrote {JSON_FILE}, {PNG_FILE} and beside them", path=folder / REPORT_FILE)


def write_results(found: Scaling, folder: Path) -> None:
    """Write the JSON file and the report, through temporary names."""
    folder.mkdir(parents=True, exist_ok=True)
    write_json(found.to_json(), folder / JSON_FILE)
    text = f"# {found.recipe.name}\n\n{body(found)}\n\n![Loss against computing]({PNG_FILE})\n"
    write_whole(text, folder / REPORT_FILE)


def check_page(page: Path) -> None:
    """Refuse a page that the tables cannot be written into.

    Raises:
        InputError: It is missing, or has no marked part.
    """
    Marks(BEGIN, END).check(page)


def fill_page(found: Scaling, page: Path) -> None:
    """Write the tables between the marks of a page, in place of what stood there."""
    Marks(BEGIN, END).fill(page, body(found))


def body(found: Scaling) -> str:
    """Return tables and sentences in Markdown."""
    parts = [one.markdown() for one in tables(found)]
    return "\n\n".join([*parts, "\n".join(f"- {one}" for one in sentences(found))])


def tables(found: Scaling) -> list[Table]:
    """Return all tables: the runs, the laws, the test, and the plans."""
    return [runs_table(found), laws_table(found), left_out_table(found), *plan_tables(found)]


def runs_table(found: Scaling) -> Table:
    """Return where each run ended: all of it measured."""
    law, counted = found.total.law, found.recipe.parameters
    columns = ["run", "backbone", "encoder", "tokens", "FLOPs", "minutes", "held-out loss", "law"]
    rows = [
        [
            f"{one.name} (left out)" if one.name == found.left_out.name else one.name,
            f"{one.sizes.backbone:,}",
            f"{one.sizes.encoder:,}",
            f"{one.tokens:,}",
            f"{one.flops:.3g}",
            f"{one.seconds / 60:.1f}",
            f"{one.losses[TOTAL]:.4f}",
            f"{law.loss(one.sizes.counted(counted), float(one.tokens)):.4f}",
        ]
        for one in sorted(found.runs, key=lambda one: one.flops)
    ]
    return Table("Measured: where each run ended", columns, rows)


def laws_table(found: Scaling) -> Table:
    """Return the law of each loss."""
    columns = ["loss", "E", "alpha", "beta", "scatter", "left out", "exponents identified"]
    rows = [_law_row(name, fit, f"{found.errors[name]:+.2%}") for name, fit in found.fits.items()]
    rows.insert(1, _law_row(f"{TOTAL}, N of the {found.other_count}", found.other_fit, ""))
    return Table(
        f"Fitted: L = E + A / N^alpha + B / D^beta, N of the {found.recipe.parameters}, "
        f"{found.recipe.confidence:.0%} intervals",
        columns,
        rows,
    )


def left_out_table(found: Scaling) -> Table:
    """Return the test of the law: a run of a size that the fit has not seen."""
    one = found.left_out
    row = [
        one.name,
        f"{one.measured:.4f}",
        _range(one.predicted, ".4f"),
        f"{one.error.value:+.2%} ({one.error.low:+.2%} to {one.error.high:+.2%})",
        "yes" if one.predicted.holds(one.measured) else "no",
    ]
    columns = ["run", "measured", "predicted", "error", "in the interval"]
    return Table("Tested: a run of a size that the fit has not seen", columns, [row])


def plan_tables(found: Scaling) -> list[Table]:
    """Return what the larger recipes take; none if none is planned."""
    if not found.plans:
        return []
    given = found.recipe.plan
    columns = ["", *(one.name for one in found.plans)]
    hours = f"{given.hardware.name} hours"
    lines: list[tuple[str, Callable[[Plan], str]]] = [
        ("parameters, backbone", lambda one: f"{one.sizes.backbone:,}"),
        ("parameters, encoder", lambda one: f"{one.sizes.encoder:,}"),
        ("tokens", lambda one: f"{one.tokens:.3g}"),
        ("steps for these", lambda one: f"{one.steps:,}"),
        ("tokens by its recipe", lambda one: f"{one.recipe_tokens:.3g}"),
        ("FLOPs", lambda one: f"{one.flops:.3g}"),
        (hours, lambda one: f"{one.device_hours:,.1f}"),
        (f"corpus tokens, {given.epochs:g} epochs", lambda one: f"{one.corpus_tokens:.3g}"),
        ("corpus GB", lambda one: f"{one.corpus_bytes / 1e9:,.1f}"),
        (f"shards of {given.shard_megabytes} MB", lambda one: f"{one.shards:,}"),
        ("state GB", lambda one: f"{one.checkpoint_bytes / 1e9:,.2f}"),
        ("expected loss", lambda one: _range(one.loss, ".3f")),
        ("the same, its recipe", lambda one: _range(one.recipe_loss, ".3f")),
    ]
    rows = [[name, *(cell(one) for one in found.plans)] for name, cell in lines]
    title = (
        f"Planned, not measured: at {given.hardware.share:.0%} of {given.hardware.peak_tflops:g} "
        f"TFLOP/s ({given.hardware.name}), which the recipe assumes"
    )
    return [Table(title, columns, rows)]


def sentences(found: Scaling) -> list[str]:
    """Return what a reader must know beside the tables."""
    total, percent = found.total, f"{found.recipe.confidence:.0%}"
    exponent = total.estimate(lambda law: law.compute_exponent)
    size = total.estimate(lambda law: law.size_exponent)
    told = [
        "With N and D in the best proportion, the loss above E goes with computing^-x, "
        f"x = {_range(exponent, '.3f')}, and N with computing^y, y = {_range(size, '.2f')}.",
        f"Fewer than {MIN_FRONTIER} runs lie on the frontier of loss against computing: no slope."
        if found.slope is None
        else "Along the frontier of the measured runs, the whole loss goes with computing^-z, "
        f"z = {_range(found.slope, '.3f')}.",
        f"Intervals are {percent} intervals by bootstrap over the runs; runs of other seeds were "
        "not made, so the scatter of single runs is known from the misfit alone.",
    ]
    told += [f"Not identified, {TOTAL}: {one}." for one in total.doubts()]
    told += [
        f"Not identified, {name}: {one}."
        for name, fit in found.fits.items()
        if name != TOTAL
        for one in fit.size_doubts()
    ]
    told += [f"Not fitted, {name}: {why}." for name, why in found.unfitted.items()]
    for one in found.plans:
        told.append(f"Tokens of {one.name} are from {one.tokens_rule}.")
        told += [f"Extrapolated, {one.name}: {warning}." for warning in one.warnings]
    if any(one.warnings for one in found.plans):
        told.append(f"Figures more than {FAR:g} times beyond the ladder are guesses with a law.")
    return told


def _law_row(name: str, fit: LawFit, error: str) -> list[str]:
    return [
        name,
        _floor(fit),
        _range(fit.estimate(Exponent("alpha")), ".3f"),
        _range(fit.estimate(Exponent("beta")), ".3f"),
        f"{fit.residual:.2%}",
        error,
        "no" if fit.size_doubts() else "yes",
    ]


def _floor(fit: LawFit) -> str:
    """Return E with its interval; the least that is searched stands for 0."""
    found = fit.estimate(lambda law: law.irreducible)
    if fit.is_floor_zero:
        return f"0 (0 to {found.high:.3g})"
    return _range(found, ".3g")


def _range(estimate: Estimate, form: str) -> str:
    return f"{estimate.value:{form}} ({estimate.low:{form}} to {estimate.high:{form}})"
