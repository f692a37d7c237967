"""What an alarm says to people, in Chinese and in English. One table, so that no consumer invents its own words."""

from domain.effects import Alarm
from domain.ids import meter_text
from domain.state import AccountRecord
from domain.units import money_text
from domain.words import LEVEL_ALARM, AlarmKind, AlarmState

_WORDS: dict[AlarmKind, tuple[str, str]] = {
    AlarmKind.BALANCE_LOW: ("余额不足", "balance low"),
    AlarmKind.BALANCE_PRETRIP: ("即将跳闸", "supply will soon be cut"),
    AlarmKind.BALANCE_ARREARS: ("欠费", "in arrears"),
    AlarmKind.BALANCE_LIMIT: ("达到赊欠上限，停止供应", "overdraft used up, supply is cut"),
    AlarmKind.MONEY_ARRIVED: ("充值到账", "money arrived"),
    AlarmKind.QUARANTINE: ("读数异常，待人工处理", "readings held for a person to decide"),
    AlarmKind.DAY_USAGE: ("日用量超限", "more used in a day than allowed"),
    AlarmKind.MONTH_USAGE: ("月用量超限", "more used in a month than allowed"),
    AlarmKind.OFFLINE: ("仪表失连", "meter offline"),
    AlarmKind.STUCK: ("有负荷但示数不走", "the register stands still under load"),
    AlarmKind.REVERSE_FLOW: ("反向用电", "power flows back"),
    AlarmKind.NIGHT_FLOW: ("夜间持续用量，疑似泄漏", "use at night, perhaps a leak"),
    AlarmKind.COMMAND_FAILED: ("控制命令未成功", "the supply could not be switched"),
    AlarmKind.LINE_LOSS: ("线损超限", "more is lost behind a main meter than allowed"),
    AlarmKind.PURCHASE_COUNT_MISMATCH: (
        "购电次数不符，疑似绕过平台售电",
        "the purchase count has moved, perhaps sold past the books",
    ),
    AlarmKind.CLOCK_DRIFT: ("表计时钟偏差", "the meter's clock is wrong"),
    AlarmKind.LOAD_LIMIT: ("超负荷跳闸", "too much power, supply is cut"),
    AlarmKind.MALIGNANT_LOAD: ("恶性负载跳闸", "a malignant load, supply is cut"),
    AlarmKind.USE_WHILE_TRIPPED: (
        "断开后仍有用量，疑似窃用或触点故障",
        "use while the supply is off, perhaps a bypass",
    ),
}
_STATES: dict[AlarmState, tuple[str, str]] = {
    AlarmState.RAISED: ("告警", "alarm"),
    AlarmState.REPEATED: ("再次告警", "alarm repeated"),
    AlarmState.CLEARED: ("告警解除", "alarm cleared"),
    AlarmState.NOTED: ("通知", "notice"),
}
_BALANCE_KINDS = {*LEVEL_ALARM.values()}


def alarm_texts(alarm: Alarm, record: AccountRecord | None) -> tuple[str, str]:
    """(Chinese, English), one sentence each: where, what, how much."""
    place = " ".join(part for part in (record.place.building, record.place.room) if part) if record else ""
    where = place or alarm.account or meter_text(alarm.meter)
    currency = record.currency if record else ""
    if alarm.kind in _BALANCE_KINDS:
        rest = (f"余额 {money_text(alarm.balance)} {currency}", f"balance {money_text(alarm.balance)} {currency}")
    elif alarm.kind == AlarmKind.MONEY_ARRIVED:
        amount, balance = money_text(alarm.amount), money_text(alarm.balance)
        rest = (f"{amount} {currency}，余额 {balance}", f"{amount} {currency}, balance {balance}")
    else:
        reason_zh, reason_en = (f"（{alarm.reason}）", f" ({alarm.reason})") if alarm.reason else ("", "")
        rest = (f"表号 {meter_text(alarm.meter)}{reason_zh}", f"meter {meter_text(alarm.meter)}{reason_en}")
    (state_zh, state_en), (kind_zh, kind_en) = _STATES[alarm.state], _WORDS[alarm.kind]
    return f"{where} {state_zh}：{kind_zh}，{rest[0]}", f"{where}: {state_en}, {kind_en}, {rest[1]}"
