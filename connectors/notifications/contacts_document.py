"""The tables of a contacts file, key by key. Format: docs/notify.md."""

import re
from typing import Annotated, Literal

from pydantic import Field

from connectors.files.site_texts import Name, Zone, checked_text
from domain.contacts import Quiet, Rate
from domain.documents import Part
from domain.words import AlarmKind, Severity

NEVER = "never"
"""In place of a severity: nothing breaks the quiet."""
ADDRESS = "{address}"
_PLACES = re.compile(r"\{[^}]*\}?|\}")
PLACES = (ADDRESS, "{id}")
"""What may stand in a channel's URL: the contact's address, and the id of what is sent."""


def _url(url: str) -> None:
    if "://" not in url or set(_PLACES.findall(url)) - set(PLACES):
        raise ValueError(url)


def _channel_name(name: str) -> None:
    if not re.fullmatch(r"[a-z][a-z0-9_-]{0,31}", name):
        raise ValueError(name)


Language = Literal["zh", "en"]
RateText = Annotated[str, checked_text(Rate.from_text, "a rate such as 10/hour, 2/minute or 30/day")]
QuietText = Annotated[
    str, checked_text(lambda text: text and Quiet.from_text(text), 'hours such as "22:00-07:00", or ""')
]
Url = Annotated[str, checked_text(_url, "the URL of a service, with no braces but {address} and {id}")]
ChannelName = Annotated[
    str,
    checked_text(_channel_name, "a channel's name: lower case letters, digits, - and _, a letter first, at most 32"),
]


Kind = Annotated[str, checked_text(AlarmKind, f"kinds of alarms: {', '.join(AlarmKind)}")]
SeverityText = Annotated[str, checked_text(Severity, f"one of {', '.join(Severity)}")]
BreaksQuiet = Annotated[
    str, checked_text(lambda text: text == NEVER or Severity(text), f"one of {', '.join(Severity)}, {NEVER}")
]


class ChannelPart(Part):
    """`[channel.NAME]`. `rate`: for each contact; without it that of `[limits]`."""

    url: Url = Field(repr=False)
    rate: RateText | None = None


class TermsPart(Part):
    """What a contact says of what it is told and when, and `[household]` and `[operators]` for those that do not say it."""

    language: Language | None = None
    kinds: list[Kind] | None = None
    severity: SeverityText | None = None
    cleared: bool | None = None
    repeats: int | None = Field(default=None, ge=0, le=250)
    quiet: QuietText | None = None
    breaks_quiet: BreaksQuiet | None = None
    zone: Zone | None = None


class ContactPart(TermsPart):
    """`[[contact]]`. Either `accounts` or `sites`."""

    name: Name
    accounts: list[Name] = Field(default=[], max_length=1_000)
    sites: list[Name] = Field(default=[], max_length=1_000)
    to: dict[ChannelName, str] = Field(min_length=1)


class LimitsPart(Part):
    """`[limits]`."""

    rate: RateText = "10/hour"
    overall: RateText = "600/hour"
    attempts: int = Field(default=12, ge=1, le=100)
    old_minutes: int = Field(default=120, ge=1, le=100_000)
    old: Literal["send", "digest", "drop"] = "digest"


class ContactsDocument(Part):
    """The whole file."""

    templates: Name | None = None
    tables: list[Name] = Field(default=[], max_length=100)
    limits: LimitsPart = LimitsPart()
    channel: dict[ChannelName, ChannelPart] = Field(min_length=1)
    household: TermsPart = TermsPart()
    operators: TermsPart = TermsPart()
    contact: list[ContactPart] = Field(default=[], max_length=100_000)
