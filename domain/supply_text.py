"""Why a supply is as it is, and what must clear before it comes on, in Chinese and in English, from committed state alone."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from domain.state import AccountRecord, Control, Forced, OpenCommand
from domain.units import money_text
from domain.words import Reason, Supply

Text = tuple[str, str]
"""One sentence for people: Chinese, English."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SUPPLIES = {Supply.ON: ("供应", "on"), Supply.OFF: ("停供", "off"), Supply.UNKNOWN: ("自动", "automatic")}


@dataclass(frozen=True, slots=True, eq=False)
class Standing:
    """All that bears on a meter's supply: its row (`domain.state.METER`), its account's record and row, and what is open."""

    meter: Any
    account: AccountRecord
    wallet: Any
    forced: Forced | None = None
    control: Control | None = None
    command: OpenCommand | None = None


def why(standing: Standing) -> Text:
    """Why the supply is wanted as it is."""
    return _WHY[Reason(int(standing.meter["reason"]))](standing)


def must_clear(standing: Standing) -> list[Text]:
    """All that must clear, as far as is known, before the supply comes on; empty where it is on or nothing keeps it off."""
    wanted, seen = int(standing.meter["wanted"]), int(standing.meter["seen"])
    if wanted == Supply.ON and seen != Supply.ON and standing.command:
        return [_of_command(standing.command)]
    if wanted != Supply.OFF:
        return []
    return [text for obstacle in _OBSTACLES if (text := obstacle(standing))]


def _time(at: int) -> str:
    return f"{_EPOCH + timedelta(milliseconds=at):%Y-%m-%d %H:%M} UTC"


def _money(standing: Standing, micros: int) -> str:
    return f"{money_text(micros)} {standing.account.currency}"


def _why_credit(standing: Standing) -> Text:
    if standing.meter["wanted"] == Supply.UNKNOWN:
        return "尚无收支，不作控制", "no money has moved yet, so the supply is left alone"
    return "余额充足", "in credit"


def _why_forced(standing: Standing) -> Text:
    forced = standing.forced
    if forced is None:
        return "强控", "forced"
    (zh, en), until, operator = _SUPPLIES[forced.wanted], _time(forced.until), forced.operator or "?"
    return f"由 {operator} 强制{zh}至 {until}", f"forced {en} by {operator} until {until}"


def _why_protected(standing: Standing) -> Text:
    protection = standing.control.protection if standing.control else None
    if protection is None or not protection.until:
        return "保电/保水，直至撤销", "protected until revoked"
    return f"保电/保水至 {_time(protection.until)}", f"protected until {_time(protection.until)}"


def _why_cut(standing: Standing) -> Text:
    cut = standing.control.cut if standing.control else None
    zh, en = (
        ("恶性负载", "a malignant load") if standing.meter["reason"] == Reason.SAFETY else ("超负荷", "too much power")
    )
    return (
        (f"{zh}：{cut.watts} W，限值 {cut.allowed_w} W", f"{en}: {cut.watts} W, allowed {cut.allowed_w} W")
        if cut
        else (zh, en)
    )


_WHY: dict[Reason, Callable[[Standing], Text]] = {
    Reason.IN_CREDIT: _why_credit,
    Reason.ARREARS: lambda _: ("欠费", "in arrears"),
    Reason.FORCED: _why_forced,
    Reason.PROTECTED: _why_protected,
    Reason.SAFETY: _why_cut,
    Reason.LOAD: _why_cut,
    Reason.SCHEDULE: lambda _: ("时控时段", "by its scheduled hours"),
    Reason.NO_TRIP: lambda _: (
        "欠费，在不跳闸时段内，时段结束时断开",
        "in arrears, in a no-trip window: cut at its end unless paid",
    ),
    Reason.CLOSED: lambda _: (
        "无人使用：未开户、已销户或表已拆除",
        "nobody has it: the account is not open, or the meter is gone",
    ),
}


def _of_force(standing: Standing) -> Text | None:
    if standing.forced is None or standing.forced.wanted != Supply.OFF:
        return None
    until = _time(standing.forced.until)
    return (
        f"强控到期（{until}），或由人恢复自动",
        f"the force to end ({until}), or a person to give the supply back to automatic",
    )


def _of_cut(standing: Standing) -> Text | None:
    cut = standing.control.cut if standing.control else None
    if cut is None or cut.is_over:
        return None
    if not cut.restore_at:
        return "须由人检查负载并恢复", "a person to see to the load and release it"
    at = _time(cut.restore_at)
    return f"{at} 自动恢复，或由人恢复", f"the wait to end ({at}), or a person to release it"


def _of_arrears(standing: Standing) -> Text | None:
    if not (standing.wallet["settled"] and standing.wallet["tripped"]):
        return None
    amount = standing.account.alarms.reconnect
    reconnect, missing = _money(standing, amount), _money(standing, amount - int(standing.wallet["balance"]))
    return f"余额须达到 {reconnect}，还差 {missing}", f"the balance to reach {reconnect}, {missing} more than now"


def _of_schedule(standing: Standing) -> Text | None:
    if standing.meter["reason"] != Reason.SCHEDULE:
        return None
    return "等待时控时段结束", "the scheduled hours to end"


def _of_vacancy(standing: Standing) -> Text | None:
    if not standing.wallet["cut"]:
        return None
    return "须开户", "the account to be opened again"


_OBSTACLES: tuple[Callable[[Standing], Text | None], ...] = (_of_force, _of_vacancy, _of_cut, _of_arrears, _of_schedule)


def _of_command(command: OpenCommand) -> Text:
    if command.waits_for_button:
        return "须有人按下表上的合闸按钮", "somebody to press the button of the meter"
    return "等待仪表执行命令", "the meter to carry out its command"
