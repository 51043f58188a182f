"""Simulated weather: fields of a general circulation model, in pairs some hours apart."""

from collections.abc import Iterator, Mapping
from typing import ClassVar

from kagaku.data.corpora.raw import RawSample
from kagaku.data.corpora.sources.base import SOURCES, Package, Source
from kagaku.data.corpora.sources.grids import PAIR, fields_of
from kagaku.data.corpora.sources.simulate_speedy import (
    DAYS,
    HOURS,
    N_SEGMENTS,
    NAMES,
    segment_file,
)
from kagaku.data.records import Field, Quantity

LEADS_HOURS = (6, 12, 24, 12, 48)
"""Hours from a field to the later one; the fields take turns with them."""

KINDS = (("air_temperature",), ("eastward_wind", "northward_wind"))
"""What a sample shows, in turns; winds stand together."""


@SOURCES.register("simulated-weather")
class SimulatedWeather(Source):
    """Temperature and wind near the surface every six hours, simulated by SPEEDY, global.

    The model is of intermediate complexity on a coarse grid: its weather moves and has seasons and
    storms, but it is nobody's real weather.
    """

    packages: ClassVar[tuple[Package, ...]] = (
        Package(
            "simulation", "jcm", "3.0.0", 560,
            tuple(segment_file(number) for number in range(N_SEGMENTS)),
            program="simulate_speedy.py", n_minutes=15,
        ),
    )  # fmt: skip
    inputs: ClassVar[Mapping[str, str]] = PAIR
    licence: ClassVar[str] = "computed with jcm, Apache-2.0"
    n_about: ClassVar[int] = N_SEGMENTS * DAYS * 24 // HOURS

    def read(self) -> Iterator[RawSample]:
        """Yield the samples of one segment after the other."""
        for number in range(N_SEGMENTS):
            path = self.file("jcm simulation", segment_file(number))
            for kind, names in enumerate(KINDS):
                wanted = {name: (name, UNITS[name]) for name in names}
                fields, _ = fields_of(path, wanted)
                yield from weather_pairs(number, fields, kind)


UNITS = dict(NAMES.values())
"""By standard name."""


def weather_pairs(segment: int, fields: list[Field], kind: int) -> Iterator[RawSample]:
    """Yield every second field of a segment with a later one.

    Args:
        segment: Its number.
        fields: One every `HOURS` hours.
        kind: Which of `KINDS` they show; the kinds take turns with the fields.
    """
    for place in range(kind, len(fields), len(KINDS)):
        lead = LEADS_HOURS[place // len(KINDS) % len(LEADS_HOURS)]
        later = place + lead // HOURS
        inputs: dict[str, Field | Quantity] = {"climate": fields[place]}
        if later < len(fields):
            inputs["lead"] = Quantity("lead time", lead / 24, "day")
            inputs["later"] = fields[later]
        # Weather of one week resembles that of the next: a segment is trained on or held out whole.
        yield RawSample(f"{segment}/{place}", inputs, (f"simulated segment {segment}",))
