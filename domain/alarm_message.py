"""The message that foreign programs get of an alarm, version 1. A later release may add fields, and changes none.

This is the one table of its fields: docs/asyncapi.json is made from it, and the table in docs/alarms.md is held to it.
"""

from typing import Annotated, Literal

from msgspec import Meta, Struct

from domain.words import AlarmKind, AlarmState, Severity

_MONEY = r"^-?[0-9]+\.[0-9]{2,6}$"
_TIME = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{3}Z$"

Time = Annotated[str, Meta(pattern=_TIME, extra_json_schema={"format": "date-time"})]
AlarmLevel = Literal["", "low", "pretrip", "arrears", "limit"]

LEVELS: dict[AlarmKind, AlarmLevel] = {
    AlarmKind.BALANCE_LOW: "low",
    AlarmKind.BALANCE_PRETRIP: "pretrip",
    AlarmKind.BALANCE_ARREARS: "arrears",
    AlarmKind.BALANCE_LIMIT: "limit",
}
"""What `level` says, by the kind of a balance alarm."""

Money = Annotated[str, Meta(pattern=_MONEY)]


class AlarmText(Struct, frozen=True, kw_only=True):
    """One sentence for people in each language."""

    zh: Annotated[str, Meta(description="Chinese.")]
    en: Annotated[str, Meta(description="English.")]


class AlarmMessage(Struct, frozen=True, kw_only=True):
    """One event in the life of an alarm. Every field is there in every message; text that says nothing is empty."""

    v: Annotated[Literal[1], Meta(description="Version of this format: 1. A later release may add fields to it.")]
    id: Annotated[
        str,
        Meta(
            pattern=r"^[0-9]{2,}-[0-9]+-[0-9]+-[0-9]+$",
            description="The event's own id, the same on the channels, in the streams and in the API: shard, log entry (two numbers), number in it.",
        ),
    ]
    about: Annotated[
        str,
        Meta(
            description="What the alarm is about: the same when it is raised, repeated and cleared, and the `id` in `GET /alarms/standing`."
        ),
    ]
    kind: Annotated[AlarmKind, Meta(description="What it is about.")]
    level: Annotated[
        AlarmLevel,
        Meta(
            description="Of balance alarms, the level that was reached or left: `low`, `pretrip`, `arrears` or `limit`; else empty."
        ),
    ]
    severity: Annotated[Severity, Meta(description="`info`, `warning` or `critical`.")]
    state: Annotated[
        AlarmState,
        Meta(description="`raised`, `repeated` or `cleared`; `noted` for a notice, which nothing clears."),
    ]
    at: Annotated[Time, Meta(description="When it happened, in event time: ISO 8601, UTC.")]
    recorded_at: Annotated[
        Time, Meta(description="When what caused it was recorded, by the server's clock: ISO 8601, UTC.")
    ]
    site: Annotated[str, Meta(description="Id of the site of the account's room; empty where it is not known.")]
    building: Annotated[str, Meta(description="As above.")]
    room: Annotated[str, Meta(description="As above.")]
    account: Annotated[str, Meta(description="The account's id; empty for a meter that no account owns.")]
    meter: Annotated[
        str, Meta(pattern="^([0-9]{12})?$", description="The meter's 12 digits; empty where it is about an account.")
    ]
    currency: Annotated[str, Meta(description="Currency of the amounts; empty where there is no account.")]
    balance: Annotated[
        Money, Meta(description="Decimal: the balance at that moment, of balance alarms and `money_arrived`.")
    ]
    threshold: Annotated[Money, Meta(description="Decimal: the amount that was crossed, of balance alarms.")]
    repeat: Annotated[
        int, Meta(ge=0, description="How many times it has been repeated; of `command_failed`, attempts.")
    ]
    reason: Annotated[str, Meta(description="Why, or how much, as the line of its kind says.")]
    amount: Annotated[Money, Meta(description="Decimal: what arrived, of `money_arrived`.")]
    cleared: Annotated[bool, Meta(description="Whether this event ends the alarm.")]
    text: Annotated[AlarmText, Meta(description="`zh` and `en`: one sentence for people in each language.")]
