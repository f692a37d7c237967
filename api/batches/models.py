"""What callers write and read about batches. Each operation has a model: the scope of its single door, what it is for, and an item's order."""

from abc import abstractmethod
from typing import Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, BaseModel, Field, RootModel, model_validator

from api.meters.terms import assigned, protection
from api.models import Amount, Instant, OrderWrite, Time, Write, shown
from api.term_models import (
    AssignmentTerms,
    ControlTermsWrite,
    MeterText,
    Note,
    ProtectionTerms,
    SupplyTerms,
    WatchTermsWrite,
)
from domain.access import Scope
from domain.batches import BatchState, ItemState
from domain.facts import (
    AccountUpdated,
    ControlOrdered,
    ControlTermsSet,
    MeterWatchSet,
    ProtectionOrdered,
    RechargeOrdered,
    TariffAssigned,
)
from domain.ids import account_id
from domain.units import MINUTE_MS, money_micros
from domain.words import Supply

TARGETS_MAX = 10_000
BODY_BYTES_MAX = 1 << 20
"""Of a batch: so many accounts with the longest names."""

ItemOrder = (
    TariffAssigned
    | ControlOrdered
    | ProtectionOrdered
    | ControlTermsSet
    | MeterWatchSet
    | AccountUpdated
    | RechargeOrdered
)
"""What an item may be."""
_SUPPLIES = {"on": Supply.ON, "off": Supply.OFF, "automatic": Supply.UNKNOWN}
PlaceName = Annotated[str, Field(min_length=1, max_length=100)]
AccountText = Annotated[str, AfterValidator(account_id), Field(examples=["A-101"])]


def _each_once(targets: list[str]) -> list[str]:
    if len(set(targets)) < len(targets):
        raise ValueError("expected each target once")
    return targets


class PlaceTargets(Write):
    """Everything at a place that is within the caller's reach when the batch is made; meters of one commodity, where it says so."""

    site: PlaceName
    building: PlaceName | None = None
    floor: PlaceName | None = None
    commodity: Literal["electricity", "water"] | None = None


class Targets(Write):
    """Whom a batch is for: exactly one of the three."""

    meters: (
        Annotated[list[MeterText], Field(min_length=1, max_length=TARGETS_MAX), AfterValidator(_each_once)] | None
    ) = None
    accounts: (
        Annotated[list[AccountText], Field(min_length=1, max_length=TARGETS_MAX), AfterValidator(_each_once)] | None
    ) = None
    place: PlaceTargets | None = None

    @model_validator(mode="after")
    def _one_kind(self) -> "Targets":
        if sum(each is not None for each in (self.meters, self.accounts, self.place)) != 1:
            raise ValueError("expected exactly one of meters, accounts and place")
        return self


class PolicyTerms(Write):
    """The policy that accounts follow from now on."""

    policy: Annotated[str, Field(min_length=1, max_length=100)]


class RechargeTerms(Write):
    """An amount that each account is credited."""

    amount: Amount
    currency: Annotated[str, Field(pattern=r"^[A-Z]{3}$")]
    channel: Annotated[str, Field(max_length=64)] = ""
    note: Note = ""


class BatchWrite(OrderWrite):
    """Base of batches. `at`: when to begin; left out, or past: now."""

    SCOPE: ClassVar[Scope]
    OF: ClassVar[Literal["meter", "account"]]

    targets: Targets
    at: Instant | None = None
    note: Note = ""

    @model_validator(mode="after")
    def _fitting_targets(self) -> "BatchWrite":
        other = self.targets.accounts if self.OF == "meter" else self.targets.meters
        if other is not None:
            raise ValueError(f"this operation is for {self.OF}s: name {self.OF}s, or a place")
        return self

    @abstractmethod
    def order(self, due_at: int, operator: str) -> ItemOrder:
        """The order of an item, but for its time, id and target. `operator`: for those whose terms name none."""


class TariffBatch(BatchWrite):
    """Price meters by a tariff from a time on."""

    SCOPE, OF = Scope.MANAGE, "meter"
    operation: Literal["set_tariff"]
    terms: AssignmentTerms

    def order(self, due_at: int, operator: str) -> ItemOrder:  # noqa: ARG002 - as BatchWrite has it, as below
        """As BatchWrite."""
        return assigned(0, "", 0, self.terms)


class SupplyBatch(BatchWrite):
    """Force supplies, or give them back to automatic."""

    SCOPE, OF = Scope.CONTROL, "meter"
    operation: Literal["force_supply"]
    terms: SupplyTerms

    def order(self, due_at: int, operator: str) -> ItemOrder:  # noqa: ARG002 - as above
        """As BatchWrite. Minutes count from when the batch is due."""
        until = self.terms.until or (due_at + self.terms.minutes * MINUTE_MS if self.terms.minutes else 0)
        return ControlOrdered(
            at=0, id="", meter=0, wanted=_SUPPLIES[self.terms.wanted], until=until, operator=self.terms.operator,
            note=self.terms.note,
        )  # fmt: skip


class ProtectionBatch(BatchWrite):
    """Keep supplies on, or no longer."""

    SCOPE, OF = Scope.CONTROL, "meter"
    operation: Literal["protect"]
    terms: ProtectionTerms

    def order(self, due_at: int, operator: str) -> ItemOrder:  # noqa: ARG002 - as above
        """As BatchWrite."""
        return protection(0, "", 0, self.terms)


class ControlTermsBatch(BatchWrite):
    """Control supplies by other terms."""

    SCOPE, OF = Scope.MANAGE, "meter"
    operation: Literal["set_control_terms"]
    terms: ControlTermsWrite

    def order(self, due_at: int, operator: str) -> ItemOrder:  # noqa: ARG002 - as above
        """As BatchWrite."""
        return ControlTermsSet(at=0, id="", meter=0, terms=self.terms.as_terms())


class WatchBatch(BatchWrite):
    """Watch meters by other terms."""

    SCOPE, OF = Scope.MANAGE, "meter"
    operation: Literal["set_watch"]
    terms: WatchTermsWrite

    def order(self, due_at: int, operator: str) -> ItemOrder:  # noqa: ARG002 - as above
        """As BatchWrite."""
        return MeterWatchSet(at=0, id="", meter=0, terms=self.terms.as_terms(), operator=operator)


class PolicyBatch(BatchWrite):
    """Let accounts follow a policy."""

    SCOPE, OF = Scope.MANAGE, "account"
    operation: Literal["set_policy"]
    terms: PolicyTerms

    def order(self, due_at: int, operator: str) -> ItemOrder:  # noqa: ARG002 - as above
        """As BatchWrite."""
        return AccountUpdated(at=0, id="", account="", policy=self.terms.policy, operator=operator)


class RechargeBatch(BatchWrite):
    """Credit accounts."""

    SCOPE, OF = Scope.RECHARGE, "account"
    operation: Literal["recharge"]
    terms: RechargeTerms

    def order(self, due_at: int, operator: str) -> ItemOrder:  # noqa: ARG002 - as above
        """As BatchWrite."""
        return RechargeOrdered(
            at=0, id="", account="", amount_micros=money_micros(self.terms.amount), currency=self.terms.currency,
            channel=self.terms.channel, note=self.terms.note, operator=operator,
        )  # fmt: skip


AnyBatch = TariffBatch | SupplyBatch | ProtectionBatch | ControlTermsBatch | WatchBatch | PolicyBatch | RechargeBatch


class BatchOrder(RootModel[Annotated[AnyBatch, Field(discriminator="operation")]]):
    """One order for many meters or accounts, now or at a time."""

    model_config = shown(
        {
            "id": "01K5QYV3J8Z6M2T4W9X1C7B0ND",
            "operation": "recharge",
            "terms": {"amount": "50.00", "currency": "CNY", "channel": "cash"},
            "targets": {"place": {"site": "Garden", "building": "1"}},
            "at": "2026-10-01T08:00:00+08:00",
            "note": "October",
        }
    )


OPERATIONS: dict[str, type[BatchWrite]] = {
    model.model_fields["operation"].annotation.__args__[0]: model  # type: ignore[union-attr]  # each is a Literal
    for model in (
        TariffBatch,
        SupplyBatch,
        ProtectionBatch,
        ControlTermsBatch,
        WatchBatch,
        PolicyBatch,
        RechargeBatch,
    )
}
"""Every operation by its name."""


class CountsRead(BaseModel):
    """Items by their state."""

    waiting: int
    done: int
    refused: int
    failed: int
    cancelled: int


class BatchRead(BaseModel):
    """A batch. `at`: when it begins or began."""

    id: str
    operation: str
    terms: dict[str, Any]
    note: str
    asked_by: str
    asked_at: Time
    at: Time
    state: BatchState
    count: int
    counts: CountsRead
    cancelled_at: Time | None
    finished_at: Time | None


class BatchPage(BaseModel):
    """Batches, the newest first, and where to go on."""

    items: list[BatchRead]
    next: str | None


class BatchItemRead(BaseModel):
    """What became of one target. `order`: the id of its own order, by which the account's or meter's routes know it."""

    target: str
    order: str
    state: ItemState
    at: Time | None
    refusal: str | None
    detail: str


class BatchItemPage(BaseModel):
    """Items in the order of the targets, and where to go on."""

    items: list[BatchItemRead]
    next: str | None
