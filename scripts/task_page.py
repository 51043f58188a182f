"""Write docs/tasks.md: every benchmark task with its question, data, score and methods.

python scripts/task_page.py
"""

from pathlib import Path

from kagaku.data.catalogue import DOMAINS
from kagaku.science_tasks.tasks import TASKS

PAGE = Path(__file__).parents[1] / "docs" / "tasks.md"

HEAD = """# Tasks

Made by `scripts/task_page.py` from the tasks themselves. `kagaku benchmark NAME` runs one,
`kagaku benchmark DOMAIN` those of a domain. Methods in bold run unless `--method` names others;
those in bold italics, with which a task is expected to take over 20 minutes, only with `--long` or
by name. What a score means, and what is published beside it, stands on the scoreboard
([benchmarks](benchmarks.md)).
"""


def page() -> str:
    """Return the whole page."""
    parts = [HEAD]
    for domain in DOMAINS:
        tasks = [one for one in TASKS.values() if one.domain == domain]
        rows = ["| task | question | data set | score | methods |", "|---|---|---|---|---|"]
        for one in tasks:
            marks = dict.fromkeys(one.default, "**") | dict.fromkeys(one.long, "***")
            methods = ", ".join(
                f"{mark}{name}{mark}"
                for name in sorted(one.methods)
                for mark in (marks.get(name, ""),)
            )
            score = one.leading.name
            rows.append(
                f"| `{one.name}` | {one.question} | `{one.dataset}` | {score} | {methods} |"
            )
        parts.append(f"\n## {domain.capitalize()}\n\n" + "\n".join(rows) + "\n")
    return "".join(parts)


def main() -> None:
    """Write the page."""
    PAGE.write_text(page(), encoding="utf-8")


if __name__ == "__main__":
    main()
