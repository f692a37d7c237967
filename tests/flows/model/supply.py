"""Supply: what is wanted of a meter's and why, its commands, and its load. Written from docs/machine/control.md."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

from domain.effects import Alarm
from domain.facts import CommandReported, ControlTerms, Window
from domain.units import MINUTE_MS, quantity_text
from domain.words import CUT_ALARM, AlarmKind, AlarmState, Commodity, Reason, Stage, Supply
from model.levels import Standing

HOLIDAY = 128
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass
class Attempt:
    """A command that has not done its work. `retry_at`: it failed, and is tried again then."""

    wanted: Supply
    epoch: int
    number: int
    expires_at: int
    stage: Stage = Stage.QUEUED
    detail: str = ""
    retry_at: int | None = None
    alarmed: bool = False
    button: bool = False

    @property
    def was_sent(self) -> bool:
        """Whether this attempt or an earlier one may have reached the meter."""
        return self.stage != Stage.QUEUED or self.number > 1

    @property
    def waits_for_person(self) -> bool:
        """Whether the meter allows its supply to close, and somebody must press its button."""
        return self.button and self.stage == Stage.ACKNOWLEDGED


@dataclass
class Cut:
    """A supply that its load has cut; `restore_at` None: a person must give it back."""

    reason: Reason
    words: str
    restore_at: int | None
    day: int
    restores: int
    is_over: bool = False


@dataclass
class Use:
    """Use of a meter whose supply is off."""

    last: int
    usage: int
    said: bool = False


@dataclass
class Meter:
    """What bears on the supply of one meter.

    `status`: as last said. `heard_last`: whether the believed reading is the last that was heard.
    """

    number: int
    account: str
    commodity: Commodity
    switchable: bool
    terms: ControlTerms | None = None
    forced: tuple[Supply, int] | None = None
    protected_until: int | None = None
    cut: Cut | None = None
    wanted: tuple[Supply, Reason] = (Supply.UNKNOWN, Reason.IN_CREDIT)
    seen: Supply = Supply.UNKNOWN
    epoch: int = 0
    attempt: Attempt | None = None
    power: int | None = None
    status: int = 0
    heard_last: bool = False
    use: Use | None = None
    said: list[Alarm] = field(default_factory=list)

    def say(self, kind: AlarmKind, state: AlarmState, at: int, reason: str, count: int = 0) -> None:
        """One event of an alarm of this meter."""
        self.said.append(
            Alarm(
                id="",
                kind=kind,
                state=state,
                at=at,
                account=self.account,
                meter=self.number,
                reason=reason,
                repeat=count,
            )
        )


def local(at: int, zone: str) -> datetime:
    """The clock on the wall."""
    return (EPOCH + timedelta(milliseconds=at)).astimezone(ZoneInfo(zone))


def holds(windows: Sequence[Window], terms: ControlTerms, now: int) -> Window | None:
    """The first window that holds now: it belongs to the day on which it begins, and may go on into the next one."""
    clock = local(now, terms.zone)
    for window in windows:
        length = (window.until_minute - window.from_minute - 1) % 1440 + 1
        for begun in (clock.date(), clock.date() - timedelta(days=1)):
            minute = clock.hour * 60 + clock.minute + 1440 * (clock.date() - begun).days
            if window.days & _day(begun, windows, terms) and 0 <= minute - window.from_minute < length:
                return window
    return None


def _day(day: date, windows: Sequence[Window], terms: ControlTerms) -> int:
    number = day.toordinal() - EPOCH.toordinal()
    is_holiday = number in terms.holidays and any(window.days & HOLIDAY for window in windows)
    return HOLIDAY if is_holiday else 1 << day.weekday()


def is_no_time_to_trip(meter: Meter, now: int) -> bool:
    """Whether a no-trip window holds, and neither the load nor the clock cuts besides."""
    terms = meter.terms
    if terms is None or holds(terms.no_trip, terms, now) is None:
        return False
    scheduled = holds(terms.schedule, terms, now)
    is_cut = meter.cut is not None and not meter.cut.is_over and meter.cut.reason == Reason.LOAD
    return not is_cut and getattr(scheduled, "supply", None) != Supply.OFF


def must_wait(meter: Meter, now: int) -> bool:
    """Whether the trip that is wanted is not to be sent before the no-trip window is over."""
    return meter.wanted == (Supply.OFF, Reason.ARREARS) and is_no_time_to_trip(meter, now)


def wish(meter: Meter, standing: Standing, nobody: str, now: int) -> tuple[Supply, Reason]:
    """The first opinion of the table. `nobody`: "" where the account is open, else "cut" or "left"."""
    terms, cut = meter.terms, meter.cut.reason if meter.cut and not meter.cut.is_over else None
    in_arrears = standing.judged and standing.tripped
    scheduled = holds(terms.schedule, terms, now) if terms else None
    spared = meter.wanted[0] != Supply.OFF and is_no_time_to_trip(meter, now)
    table = [
        (meter.forced is not None, meter.forced[0] if meter.forced else Supply.UNKNOWN, Reason.FORCED),
        (nobody != "", Supply.OFF if nobody == "cut" else Supply.UNKNOWN, Reason.CLOSED),
        (meter.protected_until is not None, Supply.ON, Reason.PROTECTED),
        (cut == Reason.SAFETY, Supply.OFF, Reason.SAFETY),
        (in_arrears and not spared, Supply.OFF, Reason.ARREARS),
        (cut == Reason.LOAD, Supply.OFF, Reason.LOAD),
        (scheduled is not None, getattr(scheduled, "supply", Supply.UNKNOWN), Reason.SCHEDULE),
        (in_arrears, Supply.ON, Reason.NO_TRIP),
        (standing.judged, Supply.ON, Reason.IN_CREDIT),
        (True, Supply.UNKNOWN, Reason.IN_CREDIT),
    ]
    return next((supply, reason) for has_opinion, supply, reason in table if has_opinion)


def look(meter: Meter, wanted: tuple[Supply, Reason], at: int, now: int) -> None:
    """Act on what is wanted: withdraw a command that is not, or has to wait, be content, or command."""
    meter.wanted, supply = wanted, wanted[0]
    if supply != Supply.OFF or meter.seen != Supply.OFF:
        end_use(meter, at)
    if not meter.switchable:
        return
    waits = meter.seen != supply and must_wait(meter, now)
    if meter.attempt and (waits or meter.attempt.wanted != supply):
        if meter.attempt.was_sent:
            meter.seen = Supply.UNKNOWN
        end_attempt(meter, at)
    if meter.seen == supply:
        end_attempt(meter, at)
    elif meter.attempt is None and supply != Supply.UNKNOWN and not waits:
        never_switched = meter.seen == Supply.UNKNOWN and meter.epoch == 0
        if supply == Supply.OFF or not never_switched:
            begin_attempt(meter, at, 1)


def begin_attempt(meter: Meter, at: int, number: int) -> None:
    """Command what is wanted; it may take thirty minutes."""
    before, supply = meter.attempt, meter.wanted[0]
    meter.epoch += 1
    button = supply == Supply.ON and meter.terms is not None and meter.terms.button
    meter.attempt = Attempt(supply, meter.epoch, number, at + 30 * MINUTE_MS, button=button)
    meter.attempt.alarmed = before is not None and before.alarmed


def end_attempt(meter: Meter, at: int) -> None:
    """The command is no longer needed."""
    attempt, meter.attempt = meter.attempt, None
    if attempt and attempt.alarmed:
        _say_failed(meter, attempt, AlarmState.CLEARED, at)


def fail(meter: Meter, attempt: Attempt, at: int) -> None:
    """Wait for 2, 4, 8 … minutes, at most an hour; say so from the third attempt on, once."""
    attempt.retry_at = at + min(2**attempt.number, 60) * MINUTE_MS
    if attempt.number >= 3 and not attempt.alarmed:
        attempt.alarmed = True
        _say_failed(meter, attempt, AlarmState.RAISED, at)


def _say_failed(meter: Meter, attempt: Attempt, state: AlarmState, at: int) -> None:
    meter.say(AlarmKind.COMMAND_FAILED, state, at, attempt.detail or attempt.stage, attempt.number)


def report(meter: Meter, fact: CommandReported) -> None:
    """What became of an attempt; what was read back counts whichever attempt it came from."""
    if fact.seen != Supply.UNKNOWN:
        meter.seen = fact.seen
    attempt = meter.attempt
    if attempt is None:
        on_its_way = fact.stage in {Stage.SENT, Stage.ACKNOWLEDGED, Stage.FAILED}
        if on_its_way and fact.epoch == meter.epoch:
            meter.seen = fact.seen  # It was withdrawn before we heard that it had been sent: the supply may be either.
    elif attempt.epoch == fact.epoch and attempt.retry_at is None:
        attempt.stage, attempt.detail = fact.stage, fact.detail
        if fact.stage in {Stage.FAILED, Stage.EXPIRED}:
            fail(meter, attempt, fact.at)
        elif attempt.waits_for_person and attempt.alarmed:
            _say_failed(meter, attempt, AlarmState.CLEARED, fact.at)
            attempt.alarmed = False


def try_again(meter: Meter, now: int) -> None:
    """Let a command expire that nobody answers, and try one again whose time has come."""
    attempt = meter.attempt
    if attempt is None:
        return
    if attempt.retry_at is not None:
        if now >= attempt.retry_at:
            begin_attempt(meter, now, attempt.number + 1)
    elif now >= attempt.expires_at and not attempt.waits_for_person:
        attempt.stage, attempt.detail = Stage.EXPIRED, "no answer in time"
        fail(meter, attempt, now)


def power_cuts(meter: Meter, watts: int, before: int | None) -> list[tuple[Reason, str]]:
    """For what a reading's power is to cut the supply: a step, then the power itself."""
    terms, found = meter.terms, []
    if terms is None:
        return []
    step = 0 if before is None else watts - before
    is_tolerated = terms.whitelisted or any(each.low_w <= step <= each.high_w for each in terms.tolerated)
    if before is not None and 0 < terms.malignant_step_w <= step and not is_tolerated:
        found.append((Reason.SAFETY, f"+{step} W ≥ {terms.malignant_step_w} W"))
    if 0 < terms.power_limit_w < watts:
        found.append((Reason.LOAD, f"{watts} W > {terms.power_limit_w} W"))
    return found


def cut(meter: Meter, reason: Reason, words: str, now: int) -> bool:
    """Cut a supply for its load, unless it is spared. Whether it was."""
    is_spared = meter.forced or meter.protected_until is not None or meter.wanted[1] == Reason.CLOSED
    is_off = meter.wanted[0] == Supply.OFF and not must_wait(meter, now)
    if meter.terms is None or is_spared or is_off:
        return False
    day = local(now, meter.terms.zone).toordinal()
    done = meter.cut.restores if meter.cut and meter.cut.day == day else 0
    restore_at = now + meter.terms.restore_wait_ms if done < meter.terms.restores else None
    meter.cut = Cut(reason, words, restore_at, day, done)
    meter.say(CUT_ALARM[reason], AlarmState.RAISED, now, words)
    return True


def restore(meter: Meter, now: int) -> None:
    """Give back a supply whose wait is over."""
    if meter.cut is None or meter.terms is None or meter.cut.restore_at is None or meter.cut.restore_at > now:
        return
    day = local(now, meter.terms.zone).toordinal()
    done = meter.cut.restores if meter.cut.day == day else 0
    meter.say(CUT_ALARM[meter.cut.reason], AlarmState.CLEARED, now, meter.cut.words)
    meter.cut = Cut(meter.cut.reason, meter.cut.words, None, day, done + 1, is_over=True)


def release(meter: Meter, at: int) -> None:
    """A person has seen to the load, or it is nobody's any more."""
    if meter.cut and not meter.cut.is_over:
        meter.say(CUT_ALARM[meter.cut.reason], AlarmState.CLEARED, at, meter.cut.words)
    meter.cut = None


def let_go(meter: Meter, at: int) -> None:
    """Nobody wants anything of this supply any more."""
    release(meter, at)
    meter.forced = meter.protected_until = None


def note_use(meter: Meter, usage: int, at: int) -> None:
    """A reading with use while the supply is off: the second is said."""
    if meter.use is None:
        meter.use = Use(at, usage)
        return
    meter.use.last, meter.use.usage = at, meter.use.usage + usage
    if not meter.use.said:
        meter.use.said = True
        _say_use(meter, AlarmState.RAISED, at)


def end_use(meter: Meter, at: int) -> None:
    """It no longer counts while off, or is not off any more."""
    if meter.use and meter.use.said:
        _say_use(meter, AlarmState.CLEARED, at)
    meter.use = None


def _say_use(meter: Meter, state: AlarmState, at: int) -> None:
    assert meter.use is not None
    unit = {Commodity.ELECTRICITY: "kWh", Commodity.WATER: "m³"}[meter.commodity]
    meter.say(AlarmKind.USE_WHILE_TRIPPED, state, at, f"{quantity_text(meter.use.usage)} {unit}")
