"""Main meters: what is asked at each midnight, and what an answer says. Written from docs/machine/watching.md."""

from dataclasses import dataclass
from datetime import datetime, time
from zoneinfo import ZoneInfo

from domain.effects import Alarm
from domain.facts import MainMeterSet, SubMetersCounted
from domain.units import quantity_text
from domain.words import AlarmKind, AlarmState, Commodity


def midnight(at: int, zone: str) -> int:
    """The last one before an instant, both in ms UTC."""
    today = datetime.fromtimestamp(at // 1000, ZoneInfo(zone)).date()
    return int(datetime.combine(today, time(), ZoneInfo(zone)).timestamp()) * 1000


@dataclass
class Main:
    """A main meter. `question`: sub-meters, begin (None: not known yet) and end of what is to be counted; None: nothing is asked."""

    account: str
    number: int
    commodity: Commodity
    subs: tuple[int, ...] = ()
    permille: int = 0
    least: int = 0
    day: int | None = None
    begins: int | None = None
    question: tuple[tuple[int, ...], int, int] | None = None
    raised: str = ""

    def name(self, fact: MainMeterSet) -> None:
        """Other sub-meters begin anew; other limits do not."""
        self.permille, self.least = fact.loss_max_permille, fact.loss_min
        if set(fact.subs) != set(self.subs):
            self.subs, self.begins, self.question = tuple(sorted(fact.subs)), None, None

    def tick(self, now: int, today: int, zone: str) -> None:
        """The first tick of a day asks for the days that have ended; the day of the naming is none."""
        if self.day is not None and today > self.day:
            self.question = self.subs, self.begins or 0, midnight(now, zone)
        self.day = max(today, self.day or today)

    def hear(self, fact: SubMetersCounted, at: int) -> list[Alarm]:
        """An answer to what is asked."""
        if self.question != (fact.subs, fact.begins, fact.ends):
            return []
        self.question = None
        if fact.waits_for:
            return []
        if not fact.subs_now:
            self.subs = ()
            return self.end(at)
        is_first, self.begins, self.subs = self.begins is None, fact.ends, fact.subs_now
        return [] if is_first else self._judge(fact.used, fact.counted, at)

    def _judge(self, used: int, counted: int, at: int) -> list[Alarm]:
        lost = used - counted
        if lost > max(self.least, used * self.permille / 1000):
            permille, unit = lost * 1000 // max(used, 1), "m³" if self.commodity == Commodity.WATER else "kWh"
            share = f", {permille / 10:.1f} %" if used else ""
            was, self.raised = (
                self.raised,
                f"{quantity_text(used)} − {quantity_text(counted)} = {quantity_text(lost)} {unit}{share}",
            )
            return [] if was else [self._say(AlarmState.RAISED, at)]
        return self.end(at)

    def end(self, at: int) -> list[Alarm]:
        """Its alarm is over, if there is one."""
        said = [self._say(AlarmState.CLEARED, at)] if self.raised else []
        self.raised = ""
        return said

    def _say(self, state: AlarmState, at: int) -> Alarm:
        return Alarm(
            id="", kind=AlarmKind.LINE_LOSS, state=state, at=at, account=self.account, meter=self.number, reason=self.raised
        )  # fmt: skip
