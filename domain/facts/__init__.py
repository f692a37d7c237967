"""Facts: everything that Meterline is ever told. Immutable, in the past tense, each with its time in ms UTC.

A shard's log is a sequence of facts. `ReadingBlock` is columns, because there are millions of readings; everything else
is one small record. A fact's `KIND` and `VERSION` name its format in the log (`connectors/redis/formats.py`).
"""

from domain.facts.accounts import (
    AccountActivated,
    AccountClosed,
    AccountOpened,
    AccountTransferred,
    AccountUpdated,
    AlarmTerms,
    Place,
)
from domain.facts.control import CommandReported, ControlOrdered
from domain.facts.items import ChargeItemEnded, ChargeItemSet
from domain.facts.meters import MeterInstalled, MeterRemoved, MeterReplaced
from domain.facts.money import AdjustmentOrdered, RechargeOrdered, RefundOrdered, ReversalOrdered
from domain.facts.readings import Column, ReadingBlock, ReadingRefused
from domain.facts.record import Record, Ticked
from domain.facts.sites import SiteSet
from domain.facts.tariffs import TariffAssigned, TariffPublished
from domain.facts.watch import MeterWatchSet, WatchTerms

RECORDS: tuple[type[Record], ...] = (
    Ticked,
    SiteSet,
    TariffPublished,
    AccountOpened,
    AccountActivated,
    AccountUpdated,
    AccountTransferred,
    AccountClosed,
    MeterInstalled,
    MeterRemoved,
    MeterReplaced,
    TariffAssigned,
    RechargeOrdered,
    RefundOrdered,
    AdjustmentOrdered,
    ReversalOrdered,
    ChargeItemSet,
    ChargeItemEnded,
    MeterWatchSet,
    ControlOrdered,
    CommandReported,
    ReadingRefused,
)

Fact = ReadingBlock | Record

__all__ = [
    "RECORDS",
    "AccountActivated",
    "AccountClosed",
    "AccountOpened",
    "AccountTransferred",
    "AccountUpdated",
    "AdjustmentOrdered",
    "AlarmTerms",
    "ChargeItemEnded",
    "ChargeItemSet",
    "Column",
    "CommandReported",
    "ControlOrdered",
    "Fact",
    "MeterInstalled",
    "MeterRemoved",
    "MeterReplaced",
    "MeterWatchSet",
    "Place",
    "ReadingBlock",
    "ReadingRefused",
    "RechargeOrdered",
    "Record",
    "RefundOrdered",
    "ReversalOrdered",
    "SiteSet",
    "TariffAssigned",
    "TariffPublished",
    "Ticked",
    "WatchTerms",
]
