"""Accounts: who pays, where, and when they are warned, cut and restored."""

from typing import ClassVar

import msgspec

from domain.facts.record import Record
from domain.words import Settlement


class AlarmTerms(msgspec.Struct, frozen=True, kw_only=True):
    """When an account is warned, cut and restored. Amounts in micros; a level is reached at or below its amount.

    low >= pretrip >= arrears. A level clears above its amount plus `hysteresis`. The supply is off from `overdraft` below arrears,
    which is a level of its own where it is above 0, until the balance is at least `reconnect`. A level repeats at most
    `repeat_max` times, `repeat_ms` apart.
    """

    low: int = 20_000_000
    pretrip: int = 5_000_000
    arrears: int = 0
    hysteresis: int = 500_000
    reconnect: int = 1_000_000
    max_balance: int = 10**13
    repeat_ms: int = 14_400_000
    repeat_max: int = 3
    overdraft: int = 0


class PolicySet(Record, frozen=True, kw_only=True):
    """Alarm amounts under a name, for the accounts that follow it, now and later. Every shard is told."""

    KIND: ClassVar[str] = "policy_set"
    id: str
    policy: str
    alarms: AlarmTerms


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """Where an account's room is."""

    site: str = ""
    building: str = ""
    floor: str = ""
    room: str = ""


class AccountOpened(Record, frozen=True, kw_only=True):
    """An account with one wallet. `account` is the operator's own id for it. `prepared`: set up beforehand, to be opened later.

    `policy`: it follows this policy's amounts, and `alarms` says none of its own.
    """

    KIND: ClassVar[str] = "account_opened"
    id: str
    account: str
    currency: str
    name: str = ""
    place: Place = Place()
    alarms: AlarmTerms = AlarmTerms()
    prepared: bool = False
    policy: str = ""


class AccountActivated(Record, frozen=True, kw_only=True):
    """A prepared account is opened, or a closed one again for a new tenant. `name` None: as it is."""

    KIND: ClassVar[str] = "account_activated"
    id: str
    account: str
    name: str | None = None
    operator: str = ""


class AccountUpdated(Record, frozen=True, kw_only=True):
    """An account's name, place or terms change from now on. None: as it is.

    Amounts of its own (`alarms`) end that it follows a policy. `policy` "": it keeps the amounts that it has, as its own.
    """

    KIND: ClassVar[str] = "account_updated"
    id: str
    account: str
    name: str | None = None
    place: Place | None = None
    alarms: AlarmTerms | None = None
    operator: str = ""
    policy: str | None = None


class AccountTransferred(Record, frozen=True, kw_only=True):
    """The account passes to another tenant, `name`; its balance is settled with the old one, or carried over.

    `channel`: by which money is paid out or in, as in `RechargeOrdered`. `reason` must be there for a write-off.
    """

    KIND: ClassVar[str] = "account_transferred"
    id: str
    account: str
    name: str
    settlement: Settlement
    channel: str = ""
    reason: str = ""
    operator: str = ""


class AccountClosed(Record, frozen=True, kw_only=True):
    """The tenant goes: the balance is settled to exactly zero. `cut`: the supply is to be off until the account is opened again."""

    KIND: ClassVar[str] = "account_closed"
    id: str
    account: str
    settlement: Settlement
    channel: str = ""
    reason: str = ""
    operator: str = ""
    cut: bool = False
