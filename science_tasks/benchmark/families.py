"""Families of tasks whose scores are published as a mean: MoleculeACE over its targets."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from kagaku.science_tasks.benchmark.results import Result
from kagaku.science_tasks.benchmark.task import Task


@dataclass(frozen=True)
class Family:
    """Several tasks that are also looked at as one, with a split for each of them."""

    whole: Task
    """The one task. It is not registered, since its members answer for it."""

    members: Mapping[str, str]
    """By split of the whole, the name of the task that it stands for."""

    def gathered(self, results: Iterable[Result]) -> list[Result]:
        """Return the members' results as results of the whole.

        Summaries and paired comparisons of these are means over the members. A method is left out
        for a seed with which not every member was answered, since a mean over some of them is
        comparable with no other.

        Args:
            results: Of any tasks; those of strangers are left out.
        """
        splits = {task: split for split, task in self.members.items()}
        found = [
            replace(one, task=self.whole.name, split=splits[one.task])
            for one in results
            if one.task in splits
        ]
        there: dict[tuple[str, int], set[str]] = {}
        for one in found:
            there.setdefault((one.method, one.seed), set()).add(one.split)
        return [one for one in found if there[one.method, one.seed] == set(self.members)]


FAMILIES: dict[str, Family] = {}
"""By the name of its whole, every family that is known."""


def register_family(family: Family) -> Family:
    """File a family under the name of its whole, and return it."""
    assert family.whole.name not in FAMILIES
    FAMILIES[family.whole.name] = family
    return family
