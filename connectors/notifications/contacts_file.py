"""The contacts file: channels with their secrets, and people with their addresses. Format: docs/notify.md.

Promise: a file that loads can be told by. One that does not is refused as a whole, with every mistake at once, and no mistake shows a channel's URL or an
address. A file that other users of the machine may read is refused too.
"""

import csv
import io
import stat
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from connectors.notifications.contacts_document import (
    NEVER,
    ContactPart,
    ContactsDocument,
    LimitsPart,
    TermsPart,
)
from domain.contacts import HOUSEHOLD_KINDS, Channel, Contact, Contacts, Limits, Old, Quiet, Rate
from domain.documents import Lines, Mistake, MistakesError, load, read_document
from domain.units import MINUTE_MS
from domain.words import AlarmKind, Severity

_HIDDEN = ("channel", "contact")
"""Tables in which a mistake may hold a secret or an address."""
_OWN = "a value that is not shown"
_COLUMNS = ("name", "account", "language")


def load_contacts(path: Path) -> Contacts:
    """The contacts in a file and in the tables that it names.

    Raises MistakesError with every mistake, and OSError if a file cannot be read.
    """
    mistakes = list(_readable_by_others(path))
    text = read_document(path)
    try:
        document = load(ContactsDocument, text, path.name)
    except MistakesError as error:
        raise MistakesError(path.name, mistakes + [_without_secrets(each) for each in error.mistakes]) from None
    lines = Lines(text)
    mistakes += _mistakes(document, lines)
    contacts = [_contact(part, document) for part in document.contact]
    for number, name in enumerate(document.tables):
        try:
            mistakes += _readable_by_others(path.parent / name)
            contacts += _table(path.parent / name, document, mistakes)
        except OSError as error:
            mistakes.append(Mistake(lines.of(("tables", number)), "tables", str(error), "a CSV file beside this one"))
    mistakes += _doubles(contacts)
    if mistakes:
        raise MistakesError(path.name, mistakes)
    people = {contact.name: contact for contact in contacts}
    return Contacts(
        _channels(document),
        people,
        _limits(document.limits),
        path.parent / document.templates if document.templates else None,
    )


def _readable_by_others(path: Path) -> Iterator[Mistake]:
    mode = path.stat().st_mode
    if mode & (stat.S_IROTH | stat.S_IWOTH):
        yield Mistake(
            0,
            "permissions",
            f"mode {stat.S_IMODE(mode):o} of {path.name}",
            f"that others cannot read it: chmod 600 {path.name}",
        )


def _without_secrets(mistake: Mistake) -> Mistake:
    is_hidden = mistake.key.partition(".")[0].partition("[")[0] in _HIDDEN and mistake.found != "nothing"
    return Mistake(mistake.line, mistake.key, _OWN, mistake.expected) if is_hidden else mistake


def _mistakes(document: ContactsDocument, lines: Lines) -> Iterator[Mistake]:
    """What no single key can show."""
    for number, part in enumerate(document.contact):
        line = lines.of(("contact", number))
        if bool(part.accounts) == bool(part.sites):
            yield Mistake(line, f"contact {part.name}", "both or neither", "either accounts or sites")
        for channel in part.to:
            if channel not in document.channel:
                yield Mistake(
                    line, f"contact {part.name}", f"channel {channel}", f"one of {', '.join(document.channel)}"
                )
    if not document.contact and not document.tables:
        yield Mistake(0, "contact", "nothing", "a [[contact]], or tables of contacts")


def _doubles(contacts: Iterable[Contact]) -> Iterator[Mistake]:
    seen = set()
    for contact in contacts:
        if contact.name in seen:
            yield Mistake(0, f"contact {contact.name}", "this name twice", "a name for each contact")
        seen.add(contact.name)


def _channels(document: ContactsDocument) -> dict[str, Channel]:
    return {
        name: Channel(name, part.url, Rate.from_text(part.rate or document.limits.rate))
        for name, part in document.channel.items()
    }


def _limits(part: LimitsPart) -> Limits:
    return Limits(Rate.from_text(part.overall), part.attempts, part.old_minutes * MINUTE_MS, Old(part.old))


def _contact(part: ContactPart, document: ContactsDocument) -> Contact:
    terms = document.operators if part.sites else document.household
    kinds = _said("kinds", (part, terms), list(AlarmKind) if part.sites else HOUSEHOLD_KINDS)
    quiet = _said("quiet", (part, terms), "")
    breaks = _said("breaks_quiet", (part, terms), Severity.CRITICAL)
    return Contact(
        name=part.name,
        language=_said("language", (part, terms), "zh"),
        accounts=frozenset(part.accounts),
        sites=frozenset(part.sites),
        addresses=part.to,
        kinds=frozenset(map(AlarmKind, kinds)),
        severity=Severity(_said("severity", (part, terms), Severity.WARNING if part.sites else Severity.INFO)),
        cleared=_said("cleared", (part, terms), bool(part.sites)),
        repeats=_said("repeats", (part, terms), 3),
        quiet=Quiet.from_text(quiet) if quiet else None,
        breaks_quiet=None if breaks == NEVER else Severity(breaks),
        zone=_said("zone", (part, terms), ""),
    )


def _said(key: str, parts: Iterable[TermsPart], default: Any) -> Any:
    """What the first says that says anything."""
    return next((found for part in parts if (found := getattr(part, key)) is not None), default)


def _table(path: Path, document: ContactsDocument, mistakes: list[Mistake]) -> Iterator[Contact]:
    """Contacts of households, a line each: `name`, `account`, perhaps `language`, and a column for each channel. Mistakes are noted."""
    lines = csv.DictReader(io.StringIO(read_document(path)))
    columns = [*(lines.fieldnames or ())]
    for column in (*_COLUMNS[:2], *columns):
        if column not in columns or column not in {*_COLUMNS, *document.channel}:
            expected = f"columns {', '.join(_COLUMNS)} and channels {', '.join(document.channel)}"
            mistakes.append(Mistake(1, f"{path.name} {column}", ", ".join(columns), expected))
            return
    for line in lines:
        to = {channel: address for channel in document.channel if (address := (line.get(channel) or "").strip())}
        written = {
            "name": line["name"],
            "accounts": [line["account"]],
            "language": line.get("language") or None,
            "to": to,
        }
        if None in line or not to:
            found = "more cells than columns" if None in line else "no address"
            mistakes.append(Mistake(lines.line_num, path.name, found, "an address in one of its columns at least"))
            continue
        try:
            yield _contact(ContactPart.model_validate(written), document)
        except ValueError as error:
            mistakes.append(Mistake(lines.line_num, path.name, _OWN, _first(error)))


def _first(error: ValueError) -> str:
    found: Mapping[str, Any] = error.errors()[0]  # type: ignore[attr-defined]  # pydantic's, which is a ValueError
    return f"{'.'.join(map(str, found['loc']))}: {found['msg']}"
