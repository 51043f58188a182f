"""The shipped example data on the command line; imports nothing heavy, so it answers at once."""

from pathlib import Path

from kagaku.data import copy_sample, list_samples
from kagaku.terminal import Terminal


def copy_or_list_samples(name: str | None, output: Path) -> None:
    """Copy a sample to a folder and tell what to try next, or list them all.

    Raises:
        InputError: There is no such sample, or a file of that name is in the way.
    """
    terminal = Terminal()
    samples = list_samples()
    if name is None:
        terminal.table(
            "Shipped example data (copy one with: kagaku samples NAME)",
            ["name", "records", "what it is", "licence"],
            [[one.name, f"{one.n_records:,}", one.description, one.licence] for one in samples],
        )
        return
    copied = copy_sample(name, output)
    sample = next(one for one in samples if one.name == name)
    _, _, options = sample.command.partition(sample.files[0])
    terminal.say(f"Copied to {copied}. Now try:")
    terminal.command(f"kagaku finetune {copied}{options}")
