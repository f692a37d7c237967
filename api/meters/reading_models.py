"""What a gateway that dials in pushes, and what it is told."""

from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from api.models import Counted, Instant, Read, Write, shown
from domain.ids import meter_number
from domain.units import quantity_thousandths

READINGS_MAX = 5_000
"""In one JSON body; as Arrow there may be more."""
WATTS_MAX = 2**31 - 1


def _register(text: str) -> str:
    if quantity_thousandths(text) < 0:
        raise ValueError("a register is never below zero")
    return text


def _some(readings: tuple["ReadingWrite", ...]) -> tuple["ReadingWrite", ...]:
    if not readings:
        raise ValueError("expected at least one reading")
    return readings


class ReadingWrite(Write):
    """What a meter showed at a time: its register before ct/pt ratio, and its power in W and its supply where it says so."""

    meter: Annotated[str, AfterValidator(lambda text: f"{meter_number(text):012d}"), Field(examples=["202600000001"])]
    at: Instant
    register_: Annotated[Counted, AfterValidator(_register), Field(alias="register")]
    power: Annotated[int, Field(ge=-WATTS_MAX, le=WATTS_MAX)] | None = None
    supply: Literal["on", "off"] | None = None


class ReadingsWrite(Write):
    """Readings of any meters and times. What is pushed again has no effect."""

    model_config = shown(
        {
            "readings": [
                {
                    "meter": "202600000001",
                    "at": "2026-01-01T08:00:00Z",
                    "register": "1234.567",
                    "power": 850,
                    "supply": "on",
                }
            ]
        }
    )

    readings: Annotated[
        tuple[ReadingWrite, ...],
        Field(max_length=READINGS_MAX, strict=False, json_schema_extra={"minItems": 1}),
        AfterValidator(_some),
    ]


class ReadingsTaken(Read):
    """How many readings are in the log, on disk, and of which meters none is: unknown, or not within the caller's reach."""

    taken: int
    unknown: list[str]
