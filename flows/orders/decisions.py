"""Decisions on quarantine: a person believes the held readings, begins anew from a register, or declares them nonsense.

Each closes the case for good and says what it has charged. Nothing else does: a meter that is believed again by itself leaves its
case to be looked at.
"""

import msgspec

from domain.effects import Effects, Outcome
from domain.facts import QuarantineDecided
from domain.state import MeterRecord, QuarantineCase
from domain.units import MONEY_MAX_MICROS, USAGE_MAX
from domain.words import AccountState, Decision, Metering, Refusal
from flows.ledger import append_postings
from flows.orders.answers import Answer, said
from flows.quarantine import case_key, clear_case, has_open_case, release
from flows.readings.intervals import settle_interval
from flows.readings.metering import LATEST_MS, note_movement
from flows.readings.output import POSTINGS_OF_A_DAY, Output, output_of, taken
from flows.readings.pricing import is_full, prices_of, segments_between
from flows.state import ShardState
from flows.wallet import judge_account

REGISTER_END = 10**15
"""No register is so high, whether or not it wraps."""

_JUMP, _DECREASE, _CONFLICT = (
    metering.name.lower() for metering in (Metering.JUMP, Metering.DECREASE, Metering.CONFLICT)
)


def decide_case(state: ShardState, fact: QuarantineDecided, effects: Effects) -> Answer:
    """Close the case of a meter's readings as a person says."""
    record, case = state.installed(fact.meter), state.cases.get(case_key(fact.meter, fact.reason))
    if record is None and fact.decision != Decision.DISCARD:
        return Refusal.UNKNOWN_METER
    if case is None:
        return Refusal.UNKNOWN_CASE
    if mistake := _mistake(fact, record):
        return Refusal.TERMS_INVALID, mistake
    if not fact.note.strip():
        return Refusal.NOTE_MISSING
    if record is None or fact.decision == Decision.DISCARD:
        return _discard(state, fact, case, record, effects)
    if is_beyond(state, record):
        return Refusal.AMOUNT_TOO_LARGE
    belief = _accepted(state, record, case) if fact.decision == Decision.ACCEPT else _begun(state, record, case, fact)
    if isinstance(belief, str):
        return Refusal.DECISION_NOT_POSSIBLE, belief
    if belief[2] and (why := _nobody_pays(state, record, belief[0])):
        return Refusal.DECISION_NOT_POSSIBLE, f"{why}, so nothing can be charged; rebaseline without usage"
    return _believe(state, fact, case, record, belief, effects)


def _nobody_pays(state: ShardState, record: MeterRecord, until: int) -> str:
    """Why usage up to a time, ms UTC, is not the present tenant's, in words; nothing where it is."""
    account = state.account_records[record.account]
    if state.accounts.rows[account.row].state != AccountState.OPEN:
        return "nobody has the account"
    return "the tenant of that time has gone with a settled balance" if until < account.pays_since else ""


def _mistake(fact: QuarantineDecided, record: MeterRecord | None) -> str:
    modulus = record.modulus if record else 0
    rules = {
        "register and usage with rebaseline only": fact.decision == Decision.REBASELINE
        or (fact.register is None and fact.usage == 0),
        "a register below the modulus": 0 <= (fact.register or 0) < (modulus or REGISTER_END),
        "0 <= usage <= 10^9": 0 <= fact.usage <= USAGE_MAX,
        "a time after 1970 and before 2100": 0 < fact.at <= LATEST_MS,
    }
    return "; ".join(f"expected {rule}" for rule, holds in rules.items() if not holds)


def is_beyond(state: ShardState, record: MeterRecord) -> bool:
    """Whether a wallet or a counter is so far out that nothing more is charged, as with readings."""
    terms = state.meter_terms.rows[record.row]
    balance = int(state.accounts.rows[int(terms.account)].balance)
    return abs(balance) > MONEY_MAX_MICROS or bool(is_full(terms, state.counters.rows))


Belief = tuple[int, int, int]
"""Time and register from which the meter counts on, and the usage to be charged until then."""


def _accepted(state: ShardState, record: MeterRecord, case: QuarantineCase) -> Belief | str:
    """The last held reading is true, whatever the rated power."""
    meter = state.meters.rows[record.row]
    if case.reason not in {_JUMP, _DECREASE}:
        return "only registers that jumped or fell can be accepted"
    if case.released_at or case.last <= meter.time:
        return "the meter has been believed again since; what was held is no longer later than its last reading"
    advance = case.register - int(meter.register)
    if advance < 0 and not record.modulus:
        return f"register {case.register} is below {int(meter.register)} and this meter's does not wrap; rebaseline"
    usage = (advance + (record.modulus if advance < 0 else 0)) * record.ratio
    if usage > USAGE_MAX:
        return f"usage {usage} is more than 10^9 at once; rebaseline with what is to be charged"
    return case.last, case.register, usage


def _begun(state: ShardState, record: MeterRecord, case: QuarantineCase, fact: QuarantineDecided) -> Belief | str:
    """The meter counts on from another register; a person says what is charged for the gap."""
    meter = state.meters.rows[record.row]
    at, register = fact.at, fact.register
    if register is None:
        if case.released_at or case.reason not in {_JUMP, _DECREASE, _CONFLICT}:
            return "the case holds no register to begin from; state one"
        at, register = case.last, case.register
    if not 0 <= register < (record.modulus or REGISTER_END):
        return f"register {register} is more than a meter shows; state one"
    at = max(at, int(meter.time))
    if fact.usage and not 0 <= meter.time < at:
        return "there is no time between the last believed reading and this one to charge usage for"
    return at, register, fact.usage


def _believe(
    state: ShardState,
    fact: QuarantineDecided,
    case: QuarantineCase,
    record: MeterRecord,
    belief: Belief,
    effects: Effects,
) -> Outcome:
    """Let a meter count on from a time and register, after charging usage until then; all its alarms are over."""
    at, register, usage = belief
    meter, account = state.meters.rows[record.row], int(state.meter_terms.rows[record.row].account)
    before = int(state.accounts.rows[account].balance)
    if usage:
        _settle(state, record, at, usage, effects)
    note_movement(meter, register)
    meter.time, meter.register, meter.suspect, meter.held = at, register, -1, 0
    state.meters.dirty[record.row] = 1
    state.oldest_ms = min(state.oldest_ms or at, at)
    clear_case(state, case, fact.at, effects)
    release(state, record.row, fact.at, effects)
    if usage:
        judge_account(state, account, fact.at, effects)
    charged = before - int(state.accounts.rows[account].balance)
    return said(state, fact, record.account, charged, f"usage {usage}, register {register}")


def _settle(state: ShardState, record: MeterRecord, until: int, usage: int, effects: Effects) -> None:
    """Charge usage from the last believed reading on as a reading at `until` would."""
    meter, terms = state.meters.rows[record.row], state.meter_terms.rows[record.row]
    prices = prices_of(state.covering(int(meter.time), until))
    segments = segments_between(int(terms.plan), int(meter.time), until, prices)
    output, account = room_for(segments), int(terms.account)
    wallet = state.accounts.rows[account], state.account_terms.rows[account], state.counters.rows
    sequence = state.header.posting_sequence
    settle_interval(meter, terms, *wallet, segments, until, usage, prices, output, sequence)
    write(state, output, effects)
    count_usage(state, record, usage)


def room_for(segments: tuple[int, int]) -> Output:
    """Buffers for what usage in the segments from the first to the last can lead to."""
    return output_of(POSTINGS_OF_A_DAY * (segments[1] - segments[0] + 1))


def write(state: ShardState, output: Output, effects: Effects) -> None:
    """Make effects of usage rows and postings."""
    usage, postings, _, _ = output.used.tolist()
    effects.usage = taken(output.usage, usage) if usage else None
    append_postings(state, taken(output.postings, postings), effects)


def count_usage(state: ShardState, record: MeterRecord, usage: int) -> None:
    """Keep the total of what was priced, and note that the meter's counter has changed."""
    terms = state.meter_terms.rows[record.row]
    state.counters.dirty[int(terms.counter) : int(terms.counter) + 2 * int(terms.brackets)] = 1
    totals = list(state.header.usage)
    totals[record.commodity] += usage
    state.header = msgspec.structs.replace(state.header, usage=tuple(totals))


def _discard(
    state: ShardState, fact: QuarantineDecided, case: QuarantineCase, record: MeterRecord | None, effects: Effects
) -> Outcome:
    """The held readings were nonsense: later ones are judged against the old baseline as if they had never been."""
    clear_case(state, case, fact.at, effects)
    if record is None:
        return said(state, fact, "", 0, "")
    meter = state.meters.rows[record.row]
    if case.reason == _JUMP:
        meter.suspect = -1
    meter.held = has_open_case(state, fact.meter)
    state.meters.dirty[record.row] = 1
    return said(state, fact, record.account, 0, "usage 0")
