"""Histories: what happens in a small street, as facts, and the means to compare two machines that lived through it.

A history is made from a seed, one happening after the other, so a shorter history of the same seed is the beginning of the
longer one: that is how a failing example shrinks.
"""

from histories.documents import flat, order_text, stepped, time_of_use
from histories.reading import readings
from histories.shelf import Shelf, all_postings, effect_bytes, lived
from histories.street import Entries, Street, histories, history, numbered

__all__ = [
    "Entries",
    "Shelf",
    "Street",
    "all_postings",
    "effect_bytes",
    "flat",
    "histories",
    "history",
    "lived",
    "numbered",
    "order_text",
    "readings",
    "stepped",
    "time_of_use",
]
