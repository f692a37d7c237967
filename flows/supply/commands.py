"""Commands: how what is wanted of a supply comes about.

Wanted, commanded and seen are three things. What is wanted is said by `flows/supply/wishes.py`. A command is an attempt with an epoch and an expiry: it is withdrawn as soon as it is no longer wanted, and tried
again by ticks, later each time, until a reading or a read-back shows the supply as wanted. A trip for arrears is not under way in a
no-trip window: it is withdrawn when the window begins, and ordered anew when it ends.
"""

import msgspec

from domain.effects import Alarm, Command, Effects
from domain.facts import CommandReported
from domain.state import OpenCommand
from domain.units import MINUTE_MS
from domain.words import AlarmKind, AlarmState, Reason, Stage, Supply
from flows.state import ShardState
from flows.supply.load import end_use, end_uses, restore_due
from flows.supply.timers import clock, plan_look, take_due
from flows.supply.wishes import waits_to_trip, wanted

COMMAND_LIFE_MS = 30 * MINUTE_MS
"""How long a command may wait for a silent meter before it expires and is tried anew."""
RETRY_MAX_MS = 60 * MINUTE_MS
ATTEMPTS_BEFORE_ALARM = 3

_ON_ITS_WAY = frozenset({Stage.SENT, Stage.ACKNOWLEDGED, Stage.FAILED})


def reconcile(state: ShardState, row: int, at: int, effects: Effects) -> None:
    """Make wish, command and observation of one meter agree: withdraw, be content, or command."""
    meter, terms = state.meters.rows[row], state.meter_terms.rows[row]
    number = int(terms.number)
    now = clock(state, at)
    supply, reason = wanted(state, row, now)
    if (meter.wanted, meter.reason) != (supply, reason):
        meter.wanted, meter.reason = supply, reason
        state.meters.dirty[row] = 1
    plan_look(state, number, now)
    if not meter.seen == supply == Supply.OFF:
        end_use(state, row, at, effects)
    if not terms.switchable:
        return
    command = state.commands.get(number)
    must_wait = meter.seen != supply and waits_to_trip(state, row, now)
    if command and (must_wait or command.wanted != supply):
        _withdraw(state, row, command, at, effects)
        command = None
    if meter.seen == supply:
        if command:
            _content(state, command, at, effects)
    elif command is None and not must_wait and _is_worth_commanding(meter.seen, supply, int(meter.epoch)):
        _issue(state, row, at, 1, effects)


def _is_worth_commanding(seen: int, supply: Supply, epoch: int) -> bool:
    """A supply that has never been seen nor switched is left alone until it must be cut."""
    if supply == Supply.UNKNOWN:
        return False
    return Supply.OFF in {supply, seen} or epoch > 0


def _issue(state: ShardState, row: int, at: int, attempt: int, effects: Effects) -> None:
    meter, number = state.meters.rows[row], int(state.meter_terms.rows[row].number)
    meter.epoch += 1
    state.meters.dirty[row] = 1
    before = state.commands.get(number)
    command = OpenCommand(
        meter=number,
        epoch=int(meter.epoch),
        wanted=Supply(int(meter.wanted)),
        reason=Reason(int(meter.reason)),
        stage=Stage.QUEUED,
        at=at,
        expires_at=at + COMMAND_LIFE_MS,
        attempt=attempt,
        alarmed=before.alarmed if before else False,
        button=int(meter.wanted) == Supply.ON and _has_button(state, number),
    )
    state.commands.put(number, command)
    effects.commands.append(_said(command, Stage.QUEUED, at))


def _has_button(state: ShardState, number: int) -> bool:
    control = state.controls.get(number)
    return bool(control and control.terms and control.terms.button)


def _said(command: OpenCommand, stage: Stage, at: int) -> Command:
    return Command(
        meter=command.meter,
        epoch=command.epoch,
        wanted=command.wanted,
        reason=command.reason,
        stage=stage,
        at=at,
        expires_at=command.expires_at,
        attempt=command.attempt,
        button=command.button,
    )


def _withdraw(state: ShardState, row: int, command: OpenCommand, at: int, effects: Effects) -> None:
    """Cancel. If this attempt or an earlier one was on its way, the supply may be either, so it counts as not seen."""
    if command.stage != Stage.QUEUED or command.attempt > 1:
        state.meters.rows[row].seen = Supply.UNKNOWN
        state.meters.dirty[row] = 1
    effects.commands.append(_said(command, Stage.WITHDRAWN, at))
    _settle(state, command, at, effects)


def _content(state: ShardState, command: OpenCommand, at: int, effects: Effects) -> None:
    """The supply is as wanted: the command has done its work, or was not needed."""
    effects.commands.append(_said(command, Stage.VERIFIED, at))
    _settle(state, command, at, effects)


def _settle(state: ShardState, command: OpenCommand, at: int, effects: Effects) -> None:
    state.commands.drop(command.meter)
    if command.alarmed:
        effects.alarms.append(_failure(state, command, AlarmState.CLEARED, at))


def _failure(state: ShardState, command: OpenCommand, alarm_state: AlarmState, at: int) -> Alarm:
    account = state.meter_records[command.meter].account
    return Alarm(
        id="", kind=AlarmKind.COMMAND_FAILED, state=alarm_state, at=at, account=account, meter=command.meter,
        repeat=command.attempt, reason=command.detail or command.stage,
    )  # fmt: skip


def report(state: ShardState, fact: CommandReported, effects: Effects) -> None:
    """Take in what became of an attempt. What was read back counts whichever attempt it came from."""
    record = state.installed(fact.meter)
    if record is None:
        return
    meter = state.meters.rows[record.row]
    if fact.seen not in {Supply.UNKNOWN, meter.seen}:
        meter.seen = fact.seen
        state.meters.dirty[record.row] = 1
    command = state.commands.get(fact.meter)
    if command and command.epoch == fact.epoch and not command.retry_at:
        if fact.stage in {Stage.FAILED, Stage.EXPIRED}:
            _fail(state, command, fact.stage, fact.detail, fact.at, effects)
        else:
            _note_stage(state, command, fact, effects)
    elif command is None and fact.stage in _ON_ITS_WAY and fact.epoch == meter.epoch:
        # The last command was withdrawn before we heard that it had been sent: the supply may be either.
        meter.seen = fact.seen
        state.meters.dirty[record.row] = 1
    reconcile(state, record.row, fact.at, effects)


def _note_stage(state: ShardState, command: OpenCommand, fact: CommandReported, effects: Effects) -> None:
    """Keep how far a command has come. Where a person has to press a button, nothing is wrong while nobody does."""
    after = msgspec.structs.replace(command, stage=fact.stage, detail=fact.detail)
    if after.waits_for_button and after.alarmed:
        effects.alarms.append(_failure(state, after, AlarmState.CLEARED, fact.at))
        after = msgspec.structs.replace(after, alarmed=False)
    state.commands.put(fact.meter, after)


def _fail(state: ShardState, command: OpenCommand, stage: Stage, detail: str, at: int, effects: Effects) -> None:
    """Plan the next attempt, later each time; after some attempts say so, once."""
    wait = min(MINUTE_MS << min(command.attempt, 16), RETRY_MAX_MS)
    alarmed = command.alarmed or command.attempt >= ATTEMPTS_BEFORE_ALARM
    failed = msgspec.structs.replace(command, stage=stage, detail=detail, retry_at=at + wait, alarmed=alarmed)
    state.commands.put(command.meter, failed)
    effects.commands.append(_said(failed, stage, at))
    if alarmed and not command.alarmed:
        effects.alarms.append(_failure(state, failed, AlarmState.RAISED, at))


def tick(state: ShardState, now: int, effects: Effects) -> None:
    """Let wishes end, act on what is wanted without them, let commands expire, and try failed ones again.

    All that is over ends before anything is commanded: what two wishes leave together is ordered, not what either leaves alone.
    """
    over = [number for number, forced in state.forced.sorted() if forced.until <= now]
    for number in over:
        state.forced.drop(number)
    due = list(take_due(state, now))
    for number in due:
        _end_due(state, number, now, effects)
    for number in dict.fromkeys([*over, *due]):
        reconcile(state, state.meter_records[number].row, now, effects)
    end_uses(state, now, effects)
    for number, command in state.commands.sorted():
        if command.retry_at and now >= command.retry_at:
            _issue(state, state.meter_records[number].row, now, command.attempt + 1, effects)
        elif not command.retry_at and now >= command.expires_at and not command.waits_for_button:
            _fail(state, command, Stage.EXPIRED, "no answer in time", now, effects)


def _end_due(state: ShardState, number: int, now: int, effects: Effects) -> None:
    """Let a protection and a cut end whose time is over."""
    control = restore_due(state, state.controls[number], now, effects)
    if control.protection and 0 < control.protection.until <= now:
        control = msgspec.structs.replace(control, protection=None)
    state.controls.put(number, control)
