"""What a journey can expect: for each first word, everything of that kind that a line has caused, in the journey's own words."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import groupby

from domain.effects import Effects
from domain.facts import Fact
from domain.units import money_text, quantity_text
from domain.words import QUARANTINED, AccountState, AlarmState, Ledger, Metering, Reason, Stage, Supply
from flows.state import ShardState

_RELAY = {Supply.OFF: "open", Supply.ON: "closed", Supply.UNKNOWN: "unknown"}
_SAID = {
    AlarmState.RAISED: "alarm",
    AlarmState.CLEARED: "clears",
    AlarmState.REPEATED: "repeats",
    AlarmState.NOTED: "notice",
}
_SENT = {
    Stage.QUEUED: "orders",
    Stage.WITHDRAWN: "withdraws",
    Stage.VERIFIED: "done",
    Stage.FAILED: "failed",
    Stage.EXPIRED: "expired",
}
_IGNORED = {Metering.LATE, Metering.DUPLICATE}


@dataclass(frozen=True)
class Found:
    """What a line has told the machine and caused, and the balances before and after it."""

    fact: Fact
    state: ShardState
    effects: Effects
    before: list[tuple[int, int]]
    after: list[tuple[int, int]]

    @property
    def moved(self) -> bool:
        """Whether any balance is another."""
        return self.before != self.after


@dataclass(frozen=True)
class Kind:
    """One kind of expectation. `complete`: where a line expects any of it, all of it must be expected."""

    form: str
    of: Callable[[Found], Iterator[str]]
    complete: bool = True


def _alarms(word: str) -> Callable[[Found], Iterator[str]]:
    def seen(found: Found) -> Iterator[str]:
        return (f"{word} {alarm.kind}" for alarm in found.effects.alarms if _SAID[alarm.state] == word)

    return seen


def _commands(word: str) -> Callable[[Found], Iterator[str]]:
    def seen(found: Found) -> Iterator[str]:
        return (
            f"{word} {_RELAY[command.wanted]}" for command in found.effects.commands if _SENT.get(command.stage) == word
        )

    return seen


def _balances(found: Found) -> Iterator[str]:
    for row, account in enumerate(found.state.account_ids):
        balance = money_text(int(found.state.accounts.rows[row].balance))
        yield f"balance {balance} of {account}"
        if row == 0:
            yield f"balance {balance}"


def _postings(found: Found) -> Iterator[str]:
    for row in () if found.effects.postings is None else found.effects.postings:
        debit, credit = (Ledger(int(row[side])).name.lower() for side in ("debit", "credit"))
        yield f"posts {money_text(int(row['amount']))} {debit}/{credit}"


def _usage(found: Found) -> Iterator[str]:
    rows = [] if found.effects.usage is None else [quantity_text(int(row.usage)) for row in found.effects.usage]
    for quantity, group in groupby(rows):
        yield f"hours {len(list(group))} x {quantity}"


def _classes(word: str) -> Callable[[Found], Iterator[str]]:
    def seen(found: Found) -> Iterator[str]:
        for number in () if found.effects.classes is None else found.effects.classes:
            metering = Metering(int(number))
            said = "held" if metering in QUARANTINED else "ignored" if metering in _IGNORED else "takes"
            if said == word:
                yield f"{word} {metering.name.lower()}"

    return seen


def _wants(found: Found) -> Iterator[str]:
    for meter, terms in zip(found.state.meters.rows, found.state.meter_terms.rows, strict=True):
        wish = f"{_RELAY[Supply(int(meter.wanted))]} for {Reason(int(meter.reason)).name.lower()}"
        yield f"wants {wish} at {int(terms.number)}"
        if terms.number == found.state.meter_terms.rows[0].number:
            yield f"wants {wish}"


def _relays(found: Found) -> Iterator[str]:
    for meter, terms in zip(found.state.meters.rows, found.state.meter_terms.rows, strict=True):
        yield f"relay {_RELAY[Supply(int(meter.seen))]} at {int(terms.number)}"
        if terms.number == found.state.meter_terms.rows[0].number:
            yield f"relay {_RELAY[Supply(int(meter.seen))]}"


def _accounts(found: Found) -> Iterator[str]:
    for row, account in enumerate(found.state.account_ids):
        state = AccountState(int(found.state.accounts.rows[row].state)).name.lower()
        yield f"account {state} of {account}"
        if row == 0:
            yield f"account {state}"


def _tenants(found: Found) -> Iterator[str]:
    for account in found.state.account_ids:
        tenant = found.state.account_records[account].name
        yield f"tenant {tenant} of {account}"
        if account == found.state.account_ids[0]:
            yield f"tenant {tenant}"


def _refusals(found: Found) -> Iterator[str]:
    return (f"refused {outcome.refusal}" for outcome in found.effects.outcomes if outcome.refusal)


SEEN: dict[str, Kind] = {
    "balance": Kind("balance AMOUNT [of ACCOUNT]", _balances, complete=False),
    "alarm": Kind("alarm KIND", _alarms("alarm")),
    "clears": Kind("clears KIND", _alarms("clears")),
    "repeats": Kind("repeats KIND", _alarms("repeats")),
    "notice": Kind("notice KIND", _alarms("notice")),
    "orders": Kind("orders open|closed", _commands("orders")),
    "withdraws": Kind("withdraws open|closed", _commands("withdraws")),
    "done": Kind("done open|closed", _commands("done")),
    "failed": Kind("failed open|closed", _commands("failed")),
    "expired": Kind("expired open|closed", _commands("expired")),
    "refused": Kind("refused REFUSAL", _refusals),
    "posts": Kind("posts AMOUNT DEBIT/CREDIT", _postings),
    "hours": Kind("hours COUNT x QUANTITY", _usage),
    "takes": Kind("takes first|normal|rollover|vacant", _classes("takes")),
    "ignored": Kind("ignored late|duplicate", _classes("ignored")),
    "held": Kind("held CLASS", _classes("held")),
    "wants": Kind("wants open|closed|unknown for REASON [at METER]", _wants, complete=False),
    "account": Kind("account open|prepared|closed [of ACCOUNT]", _accounts, complete=False),
    "tenant": Kind("tenant NAME [of ACCOUNT]", _tenants, complete=False),
    "relay": Kind("relay open|closed|unknown [at METER]", _relays, complete=False),
}
ALWAYS = {"alarm", "clears", "repeats", "orders", "withdraws", "failed", "expired", "refused"}
"""Nothing of these may happen unexpectedly."""
