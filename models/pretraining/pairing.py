"""Which two inputs of a sample show the same thing, and which samples can be told apart."""

from collections.abc import Mapping, Sequence

from kagaku.models.pretraining.planning import LATER, QUANTITY, GivenInput


def paired_inputs(inputs: Mapping[str, str]) -> tuple[str, str] | None:
    """Return the inputs of a source that are aligned: the first two of different modalities.

    None where there are no two, or where one is a forecast of the other. A number alone names
    nothing, so it is never told apart from other samples' numbers.

    Args:
        inputs: The modality of each input of the source, in order.

    Example:
        >>> paired_inputs({"molecule": "molecule", "dose": "quantity", "text": "text"})
        ('molecule', 'text')
    """
    named = [name for name, modality in inputs.items() if modality != QUANTITY]
    others = [name for name in named if inputs[name] != inputs[named[0]]]
    return None if LATER in inputs or not others else (named[0], others[0])


def new_pair(
    given: Sequence[GivenInput], sides: tuple[str, str] | None, seen: set[bytes]
) -> tuple[GivenInput, GivenInput] | None:
    """Return the two inputs of a sample to align.

    None where the sample lacks one, or where either was seen before: two proteins with one
    description cannot be told apart by it.

    Args:
        given: Inputs of the sample.
        sides: Names of the two; None if the source has none.
        seen: What was paired before, changed in place.
    """
    by_name = {one.name: one for one in given}
    if sides is None or not by_name.keys() >= set(sides):
        return None
    first, second = (by_name[name] for name in sides)
    contents = {one.tokens.ids.tobytes() + one.tokens.values.tobytes() for one in (first, second)}
    if contents & seen:
        return None
    seen |= contents
    return first, second
