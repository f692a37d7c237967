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
    PolicySet,
)
from domain.facts.allowance import AllowanceSet
from domain.facts.control import (
    CommandReported,
    ControlOrdered,
    ControlTerms,
    ControlTermsSet,
    LoadReleased,
    ProtectionOrdered,
    ScheduledSupply,
    StepRange,
    Window,
)
from domain.facts.decisions import QuarantineDecided, ReadingCorrected
from domain.facts.items import ChargeItemEnded, ChargeItemSet
from domain.facts.meters import MeterInstalled, MeterRemoved, MeterReplaced
from domain.facts.money import AdjustmentOrdered, RechargeOrdered, RefundOrdered, ReversalOrdered
from domain.facts.purchases import PurchasesAccepted, PurchasesCounted
from domain.facts.readings import Column, ReadingBlock, ReadingRefused
from domain.facts.record import Record, Ticked
from domain.facts.sites import SiteSet
from domain.facts.tariffs import TariffAssigned, TariffPublished
from domain.facts.watch import MainMeterSet, MeterWatchSet, SubMetersCounted, WatchTerms

RECORDS: tuple[type[Record], ...] = (
    Ticked,
    SiteSet,
    PolicySet,
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
    AllowanceSet,
    ChargeItemSet,
    ChargeItemEnded,
    MeterWatchSet,
    MainMeterSet,
    SubMetersCounted,
    PurchasesCounted,
    PurchasesAccepted,
    ControlOrdered,
    ControlTermsSet,
    ProtectionOrdered,
    LoadReleased,
    CommandReported,
    ReadingRefused,
    QuarantineDecided,
    ReadingCorrected,
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
    "AllowanceSet",
    "ChargeItemEnded",
    "ChargeItemSet",
    "Column",
    "CommandReported",
    "ControlOrdered",
    "ControlTerms",
    "ControlTermsSet",
    "Fact",
    "LoadReleased",
    "MainMeterSet",
    "MeterInstalled",
    "MeterRemoved",
    "MeterReplaced",
    "MeterWatchSet",
    "Place",
    "PolicySet",
    "ProtectionOrdered",
    "PurchasesAccepted",
    "PurchasesCounted",
    "QuarantineDecided",
    "ReadingBlock",
    "ReadingCorrected",
    "ReadingRefused",
    "RechargeOrdered",
    "Record",
    "RefundOrdered",
    "ReversalOrdered",
    "ScheduledSupply",
    "SiteSet",
    "StepRange",
    "SubMetersCounted",
    "TariffAssigned",
    "TariffPublished",
    "Ticked",
    "WatchTerms",
    "Window",
]
