"""Batches: one order for many meters or accounts, now or at a time. None of it is derived from the log; what its items do is.

Each item is an order of its own, whose id follows from the batch and the target: whoever carries an item out again, and however often, it
counts once.
"""

import hashlib
from enum import StrEnum

import msgspec

from domain.ids import order_id


class ItemState(StrEnum):
    """How far an item is. What is REFUSED was decided by the machine, or is out of reach; what FAILED never got there."""

    WAITING = "waiting"
    DONE = "done"
    REFUSED = "refused"
    FAILED = "failed"
    CANCELLED = "cancelled"


class BatchState(StrEnum):
    """How far a batch is."""

    SCHEDULED = "scheduled"
    RUNNING = "running"
    DONE = "done"
    CANCELLED = "cancelled"


class Batch(msgspec.Struct, frozen=True, kw_only=True):
    """What was asked for. Times in ms UTC of the event clock. `kind`, `version`, `body`: the order of an item but for its time, id and target.

    `of`: `meter` or `account`. `terms`: JSON, to be shown. `content`: digest of what the caller said. `by_root`: asked by whoever has the
    secret that the API was started with.
    """

    id: str
    operation: str
    of: str
    kind: str
    version: str
    body: bytes
    terms: str
    note: str
    asked_by: str
    by_root: bool
    asked_at: int
    due_at: int
    count: int
    content: bytes


class Item(msgspec.Struct, frozen=True, kw_only=True):
    """What became of an item. `at`: ms UTC."""

    state: ItemState
    at: int
    refusal: str = ""
    detail: str = ""


class Progress(msgspec.Struct, frozen=True, kw_only=True):
    """How many items have begun, and what became of them; when the batch was cancelled and when it was over, 0: it is not."""

    begun: int = 0
    done: int = 0
    refused: int = 0
    failed: int = 0
    cancelled_at: int = 0
    finished_at: int = 0

    @property
    def settled(self) -> int:
        """How many items are over."""
        return self.done + self.refused + self.failed

    def state(self) -> BatchState:
        """In one word."""
        if self.cancelled_at:
            return BatchState.CANCELLED
        if self.finished_at:
            return BatchState.DONE
        return BatchState.RUNNING if self.begun else BatchState.SCHEDULED


def item_id(batch: Batch, target: str) -> bytes:
    """The 16 bytes of the id of a target's order: the time at which the batch was due, and a digest of batch and target."""
    rest = hashlib.blake2b(order_id(batch.id) + target.encode(), digest_size=10).digest()
    return batch.due_at.to_bytes(6, "big") + rest
