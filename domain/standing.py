"""Alarms that stand: raised and not cleared, as committed state says. What has been said of them is in the stream `alarms:{07}`.

A test holds it against the stream: after any history, what stands is what was raised and not cleared.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import msgspec

from domain.effects import Alarm
from domain.ids import meter_text
from domain.state import AccountRecord
from domain.words import CUT_ALARM, LEVEL_ALARM, AlarmKind, Level


class Standing(msgspec.Struct, frozen=True, kw_only=True):
    """An alarm that stands: of an account (`meter` 0) or of a meter. `reason` belongs to what it is, for quarantine, or says how much.

    `since`: ms UTC from which what it is about has been so, as far as is kept; 0: not kept. `said_at`: at or before the last time
    that it was said.
    """

    kind: AlarmKind
    account: str = ""
    meter: int = 0
    reason: str = ""
    since: int = 0
    said_at: int = 0

    @property
    def id(self) -> str:
        """The same from raising to clearing, and when it is raised again."""
        return alarm_key(self.kind, self.account, self.meter, self.reason)


def alarm_key(kind: str, account: str, meter: int, reason: str) -> str:
    """What an alarm is about: `A-101:balance_low`, `000000000017:offline`, `000000000017:quarantine:jump`."""
    of = f":{reason}" if kind == AlarmKind.QUARANTINE else ""
    return f"{meter_text(meter) if meter else account}:{kind}{of}"


def key_of(alarm: Alarm) -> str:
    """What an event is about."""
    return alarm_key(alarm.kind, alarm.account, alarm.meter, alarm.reason)


def standing_of_account(record: AccountRecord, level: int, alarmed_at: int) -> list[Standing]:
    """Every balance level that is reached: each of them has been raised by itself."""
    return [
        Standing(kind=LEVEL_ALARM[Level(each)], account=record.account, since=alarmed_at, said_at=alarmed_at)
        for each in range(1, level + 1)
    ]


def standing_of_meters(records: Mapping[str, Mapping[Any, Any]]) -> dict[int, list[Standing]]:
    """What stands of each meter that anything stands of. `records`: by the names of `domain.state.RECORDS`."""
    found: dict[int, list[Standing]] = {}
    for name, of in SOURCES.items():
        for record in records[name].values():
            for each in of(record):
                found.setdefault(each.meter, []).append(each)
    return found


def _repeated(record: Any) -> Iterator[Standing]:
    yield Standing(
        kind=AlarmKind(record.kind), meter=record.meter, reason=record.reason, since=record.since, said_at=record.last
    )


def _case(case: Any) -> Iterator[Standing]:
    if not case.released_at:
        yield Standing(
            kind=AlarmKind.QUARANTINE, meter=case.meter, reason=case.reason, since=case.since, said_at=case.since
        )


def _command(command: Any) -> Iterator[Standing]:
    if command.alarmed:
        yield Standing(
            kind=AlarmKind.COMMAND_FAILED, meter=command.meter, reason=command.detail, since=command.at,
            said_at=command.at,
        )  # fmt: skip


def _cut(control: Any) -> Iterator[Standing]:
    cut = control.cut
    if cut and not cut.is_over:
        yield Standing(
            kind=CUT_ALARM[cut.reason], meter=control.meter, reason=f"{cut.watts} W, {cut.allowed_w} W",
            since=cut.since, said_at=cut.since,
        )  # fmt: skip


def _use(use: Any) -> Iterator[Standing]:
    if use.alarmed:
        yield Standing(kind=AlarmKind.USE_WHILE_TRIPPED, meter=use.meter, since=use.since, said_at=use.since)


def _clock(clock: Any) -> Iterator[Standing]:
    if clock.alarmed:
        yield Standing(
            kind=AlarmKind.CLOCK_DRIFT, meter=clock.meter, reason="ahead", since=clock.counted_at,
            said_at=clock.counted_at,
        )  # fmt: skip


def _loss(main: Any) -> Iterator[Standing]:
    if main.raised:
        begins, ends = (main.last.begins, main.last.ends) if main.last else (0, 0)
        yield Standing(kind=AlarmKind.LINE_LOSS, meter=main.meter, reason=main.reason, since=begins, said_at=ends)


SOURCES: dict[str, Callable[[Any], Iterable[Standing]]] = {
    "standing_alarms": _repeated,
    "cases": _case,
    "open_commands": _command,
    "controls": _cut,
    "used_while_off": _use,
    "meter_clocks": _clock,
    "main_meters": _loss,
}
"""Which records say that an alarm of a meter stands."""
