"""What a block of readings leads to, as rows: the compiled loop fills buffers and makes none, so that a reading costs no memory.

A reading that might not find room is not begun: the loop stops before it, and goes on once the buffers are larger.
"""

from typing import NamedTuple

import numpy as np

from domain.effects import POSTING, QUARANTINED, USAGE
from domain.state import Rows
from domain.words import Commodity, Metering
from flows.readings.compiled import Ints, Row, allocating, compiled

EVENT = np.dtype(
    (
        np.record,
        [
            ("kind", "u1"),
            ("before", "u1"),  # LEVEL, REPEAT: the level before …
            ("after", "u1"),  # … and after
            ("pad", "u1"),
            ("row", "<u4"),  # of the account (LEVEL, REPEAT), of the quarantined rows (HELD), or of the meter
            ("at", "<i8"),
            ("balance", "<i8"),
        ],
    )
)
LEVEL, REPEAT, SEEN, HELD, RELEASED = 1, 2, 3, 4, 5
LOAD, STEP, USED = 6, 7, 8
"""More power than the meter's limit, a rise by its step, and use while the supply is off; `balance` is W, W, and Wh or litres."""

EVENTS_OF_A_READING = 6
"""At most: USED, LEVEL, RELEASED, STEP, LOAD and SEEN, or HELD and SEEN."""
POSTINGS_OF_A_DAY = 2
"""At most: what its usage has cost, and what of it was free."""
ROWS_AT_FIRST = 64
CLASSES, COMMODITIES = len(Metering), len(Commodity)
USAGE_ROWS, POSTING_ROWS, HELD_ROWS, EVENT_ROWS = 0, 1, 2, 3


class Output(NamedTuple):
    """Buffers of rows, each filled from its front as far as `used` says, which is indexed by USAGE_ROWS and the others.

    `counted`: readings by class. `totals`: usage priced by commodity.
    """

    usage: Rows
    postings: Rows
    held: Rows
    events: Rows
    used: Ints
    counted: Ints
    totals: Ints


def output_of(room: int) -> Output:
    """Empty buffers of so many rows each."""
    return Output(
        np.empty(room, USAGE),
        np.empty(room, POSTING),
        np.empty(room, QUARANTINED),
        np.empty(room, EVENT),
        np.zeros(4, np.int64),
        np.zeros(CLASSES, np.int64),
        np.zeros(COMMODITIES, np.int64),
    )


output_within = allocating(output_of)
"""`output_of`, for compiled code."""


def emptied(output: Output) -> Output:
    """The same buffers with nothing in them."""
    output.used.fill(0)
    output.counted.fill(0)
    output.totals.fill(0)
    return output


def enlarged(output: Output) -> Output:
    """The same rows with as much room again in every buffer."""
    usage, postings, held, events = (
        np.concatenate([rows, np.empty_like(rows)]).view(rows.dtype) for rows in output[:4]
    )
    return output._replace(usage=usage, postings=postings, held=held, events=events)


def taken(rows: Rows, count: int) -> Rows:
    """A copy of the first rows of a buffer, as plain bytes: numpy copies a structured row field by field."""
    return rows.view(f"V{rows.itemsize}")[:count].copy().view(rows.dtype)


@compiled
def has_room(output: Output, pieces: int) -> bool:
    """Whether every buffer has room for one more reading of so many pieces, each of which may end a window and a day."""
    used = output.used
    return (
        used[USAGE_ROWS] + pieces <= len(output.usage)
        and used[POSTING_ROWS] + POSTINGS_OF_A_DAY * pieces <= len(output.postings)
        and used[HELD_ROWS] < len(output.held)
        and used[EVENT_ROWS] + EVENTS_OF_A_READING <= len(output.events)
    )


@compiled
def next_row(used: Ints, kind: int) -> int:
    """Take the next row of a buffer."""
    row: int = used[kind]
    used[kind] = row + 1
    return row


@compiled
def write_event(event: Row, kind: int, row: int, before: int, after: int, at: int, balance: int) -> None:
    """Write something for the machine to decide on."""
    event.kind, event.row, event.before, event.after, event.pad = kind, row, before, after, 0
    event.at, event.balance = at, balance


@compiled
def add_event(output: Output, kind: int, row: int, before: int, after: int, at: int, balance: int) -> None:
    """Note something for the machine to decide on."""
    write_event(output.events[next_row(output.used, EVENT_ROWS)], kind, row, before, after, at, balance)


@compiled
def quarantine(output: Output, number: int, time: int, register: int, baseline: int, metering: int) -> None:
    """Keep a reading that is not believed, and note that it is there."""
    held = next_row(output.used, HELD_ROWS)
    add_event(output, HELD, held, 0, 0, time, 0)
    row = output.held[held]
    row.meter, row.time, row.register, row.baseline, row.metering = number, time, register, baseline, metering
    row.pad1, row.pad2, row.pad3 = 0, 0, 0
