"""Tariffs: published, and assigned to meters."""

from typing import ClassVar

from domain.facts.record import Record


class TariffPublished(Record, frozen=True, kw_only=True):
    """A tariff, or a new state of it with more versions, is in force from its own effective times.

    `document` is the tariff file's text (TOML), kept as written so that a later release can read it again.
    """

    KIND: ClassVar[str] = "tariff_published"
    id: str
    tariff: str
    document: str


class TariffAssigned(Record, frozen=True, kw_only=True):
    """A meter is priced by another tariff, or for other premises, from `starts_at` (ms UTC) on, or from its last reading if
    that is later; from the next whole minute.

    `restart`: its tier counter begins anew there; else it goes on where the tier periods are the same. An assignment of the
    same time replaces the one before it.
    """

    KIND: ClassVar[str] = "tariff_assigned"
    id: str
    meter: int
    tariff: str
    starts_at: int
    persons: int = 1
    capacity_w: int = 0
    restart: bool = False
