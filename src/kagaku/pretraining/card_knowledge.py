"""What a card tells of what the weights know, and of what their embeddings are worth."""

from collections.abc import Mapping, Sequence
from typing import Any

from kagaku.errors import InputError
from kagaku.pretraining.card_parts import markdown_table, shown

HIGHER_IS_BETTER = ("ROC-AUC", "Spearman", "accuracy")


def knowledge(evaluation: Mapping[str, Any]) -> str:
    """Return what `kagaku evaluate` measured."""
    parts = evaluation.get("parts", {})
    if not parts:
        return _unmeasured(evaluation, "kagaku evaluate")
    blocks = []
    counted = {
        name.removeprefix("neighbours: "): found
        for name, found in parts.items()
        if name.startswith("neighbours: ")
    }
    if counted:
        kinds = ("", "bigram ", "unigram ")
        blocks.append(
            "Hidden tokens of held-out samples (accuracy, and loss in nats per token), beside "
            "guesses from the tokens next to them and from how common each is. In records of "
            "several parts this model also sees the other part, which the guesses do not:\n\n"
            + markdown_table(
                ["modality", "tokens asked", "this model", "bigrams", "unigrams"],
                [
                    [
                        name,
                        f"{found['tokens']:,.0f}",
                        *(
                            f"{found[f'{kind}accuracy']:.1%}, {found[f'{kind}loss']:.3f}"
                            for kind in kinds
                        ),
                    ]
                    for name, found in counted.items()
                ],
            )
        )
    pairs = [
        [
            name.replace("pairs: ", "held out of ").replace("table: ", ""),
            direction,
            f"{scores['pairs']:,.0f}",
            f"{scores['recall@1']:.1%}",
            f"{scores['recall@10']:.1%}",
            f"{scores['chance recall@10']:.1%}",
            f"{scores['mean reciprocal rank']:.3f}",
        ]
        for name, found in parts.items()
        if name.startswith(("pairs: ", "table: "))
        for direction, scores in found.items()
    ]
    if pairs:
        columns = ["pairs of", "direction", "number", "first", "first ten", "chance", "MRR"]
        blocks.append(
            "How often the partner of a value comes first, or among ten, of all partners:\n\n"
            + markdown_table(columns, pairs)
        )
    if made := parts.get("generated"):
        on = evaluation["measured_on"]["generated"].rpartition("compared with ")[2].split(" ")[0]
        rows = [[key, shown(value)] for key, value in made.items()]
        blocks.append(
            f"Molecules generated from nothing (temperature 1), compared with {on}:\n\n"
            + markdown_table(["measure", "value"], rows)
        )
    if held_out := parts.get("held-out"):
        rows = [[key, shown(value)] for key, value in held_out.items()]
        blocks.append(
            "All held-out figures, over all sources together:\n\n"
            + markdown_table(["figure", "value"], rows)
        )
    return "\n\n".join(blocks)


def transfer_table(transfer: Mapping[str, Any]) -> str:
    """Return the scores of readouts on frozen embeddings, and in how many rows they win."""
    tasks = transfer.get("tasks", [])
    if not tasks:
        return _unmeasured(transfer, "scripts/frozen_embeddings.py")
    sets = ("classical", "untrained", "base", "classical + untrained", "classical + base")
    readouts = list(dict.fromkeys(key.partition(": ")[0] for key in tasks[0] if ": " in key))
    rows = [
        [
            f"{task['task']} ({task['metric']}{', cut' if task['is_cut'] else ''})",
            readout,
            *(f"{task[f'{readout}: {one}']:.3f}" for one in sets),
        ]
        for task in tasks
        for readout in readouts
    ]
    columns = ["task", "readout", *(one.replace("base", "this model") for one in sets)]
    if unknown := {task["metric"] for task in tasks} - {*HIGHER_IS_BETTER, "RMSE"}:
        raise InputError(
            f"whether more {sorted(unknown)[0]} is better is not known",
            fix="Name it in card_knowledge.HIGHER_IS_BETTER, or measure the RMSE.",
        )
    beaten = sum(_is_better(task, readout, "base", "untrained") for task, readout in _both(tasks))
    helped = sum(
        _is_better(task, readout, "classical + base", "classical") for task, readout in _both(tasks)
    )
    total = len(_both(tasks))
    return (
        f"Test scores of the same readout on different features, nothing fine-tuned; one seed, and "
        f"small differences mean nothing. Alone, the "
        f"embeddings beat an untrained encoder's in {beaten} of {total} rows; beside the classical "
        f"features they improve on these alone in {helped} of {total}. RMSE: lower is better; "
        f"{', '.join(HIGHER_IS_BETTER)}: higher is better.\n\n" + markdown_table(columns, rows)
    )


def _unmeasured(stored: Mapping[str, Any], how: str) -> str:
    if stored.get("other"):
        return f"The figures beside this card are of other weights; measure these: `{how}`."
    return f"Not measured yet: `{how}`."


def _both(tasks: Sequence[Mapping[str, Any]]) -> list[tuple[Mapping[str, Any], str]]:
    return [
        (task, key.partition(": ")[0]) for task in tasks for key in task if key.endswith(": base")
    ]


def _is_better(task: Mapping[str, Any], readout: str, one: str, other: str) -> bool:
    gain = task[f"{readout}: {one}"] - task[f"{readout}: {other}"]
    return bool(gain > 0 if task["metric"] in HIGHER_IS_BETTER else gain < 0)
