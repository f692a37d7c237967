"""The words of a message: our own, or those of a folder of templates. Format: docs/notify.md.

Promise: templates that load can be filled in for every alarm. Values are put in as plain text without control characters, so that no room's name begins a
header or a line of its own; a channel that wants HTML gets it escaped by the library that sends it.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from string import Template
from zoneinfo import ZoneInfo

from domain.alarm_message import AlarmMessage
from domain.documents import Mistake, MistakesError, read_document
from domain.notices import Message, Notice
from domain.words import AlarmKind, Severity

ANY, DIGEST = "any", "digest"
LINES_MAX = 20
"""So many alarms of a digest are told one by one, the rest as a number."""
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]+")
_NAME = re.compile(r"([a-z_]+)\.(zh|en)\.txt")

OF_ALARM = (
    "text", "where", "when", "late", "what", "contact",
    *(name for name in AlarmMessage.__struct_fields__ if name not in {"v", "text"}),
)  # fmt: skip
"""What a template may name. `what`: how much it matters, in words; `late`: when it was, where that is old."""
OF_DIGEST = ("count", "lines", "more", "contact")

_WHAT = {
    "zh": {Severity.INFO: "通知", Severity.WARNING: "提醒", Severity.CRITICAL: "紧急提醒"},
    "en": {Severity.INFO: "Notice", Severity.WARNING: "Warning", Severity.CRITICAL: "Urgent"},
}
_LATE = {"zh": "（发生于 {when}）", "en": " (of {when})"}
_MORE = {"zh": "……另有 {more} 条", "en": "… and {more} more"}
_OURS = {
    f"{ANY}.zh.txt": "${what}：${where}\n${text}${late}",
    f"{ANY}.en.txt": "${what}: ${where}\n${text}${late}",
    f"{DIGEST}.zh.txt": "${count} 条告警\n${lines}${more}",
    f"{DIGEST}.en.txt": "${count} alarms\n${lines}${more}",
}


@dataclass(frozen=True, slots=True)
class Words:
    """What is sent: a title of one line, and a body."""

    title: str
    body: str


class Templates:
    """Templates by name and language; the most specific is used: an alarm's kind, else its severity, else `any`."""

    def __init__(self, texts: Mapping[str, str], name: str = "templates") -> None:
        """Of texts by file name, besides our own. Raises MistakesError with every mistake."""
        mistakes = [mistake for file, text in texts.items() for mistake in _mistakes(file, text)]
        if mistakes:
            raise MistakesError(name, mistakes)
        self._texts = {**_OURS, **texts}

    @classmethod
    def of_folder(cls, folder: Path | None) -> "Templates":
        """The templates in a folder, None: only ours. Raises MistakesError, and OSError if it cannot be read."""
        if folder is None:
            return cls({})
        return cls({file.name: read_document(file).rstrip("\n") for file in sorted(folder.iterdir())}, folder.name)

    def words(self, message: Message) -> Words:
        """A message in its contact's language and time."""
        contact, first = message.contact, message.notices[0]
        if len(message.notices) == 1:
            values = _values(first, contact.language, contact.zone or first.zone, is_late=message.is_late)
            names = [first.alarm["kind"], first.alarm["severity"], ANY]
        else:
            names, values = [DIGEST], _digest(message)
        files = [f"{name}.{contact.language}.txt" for name in names]
        text = next(self._texts[file] for file in files if file in self._texts)
        title, _, body = Template(text).substitute(values, contact=_plain(contact.name)).partition("\n")
        return Words(title.strip(), body.strip("\n") or title.strip())


def _mistakes(file: str, text: str) -> Iterator[Mistake]:
    named = _NAME.fullmatch(file)
    known = {ANY, DIGEST, *Severity, *AlarmKind}
    if not named or named[1] not in known:
        yield Mistake(
            0, file, "this name", "NAME.zh.txt or NAME.en.txt, NAME a kind of alarms, a severity, any or digest"
        )
        return
    fields = OF_DIGEST if named[1] == DIGEST else OF_ALARM
    for number, line in enumerate(text.splitlines(), start=1):
        template = Template(line)
        if not template.is_valid():
            yield Mistake(number, file, "a $ that begins no name", "${name}, or $$ for a dollar sign")
        for field in template.get_identifiers() if template.is_valid() else ():
            if field not in fields:
                yield Mistake(number, file, f"${{{field}}}", f"one of {', '.join(fields)}")
    if not text.strip():
        yield Mistake(0, file, "nothing", "a title in the first line, and the text after it")


def _values(notice: Notice, language: str, zone: str, *, is_late: bool) -> dict[str, str]:
    """What a template's names stand for."""
    alarm = notice.alarm
    place = " ".join(part for part in (alarm["building"], alarm["room"]) if part)
    local = datetime.fromtimestamp(notice.said_at / 1000, UTC).astimezone(ZoneInfo(zone))
    when = f"{local:%Y-%m-%d %H:%M}"
    said = {name: str(alarm.get(name, "")) for name in OF_ALARM} | {
        "text": alarm["text"][language],
        "where": place or alarm["account"] or alarm["meter"],
        "when": when,
        "late": _LATE[language].format(when=when) if is_late else "",
        "what": _WHAT[language][notice.severity],
    }
    return {name: _plain(value) for name, value in said.items()}


def _digest(message: Message) -> dict[str, str]:
    language, count = message.contact.language, len(message.notices)
    lines = []
    for notice in message.notices[:LINES_MAX]:
        values = _values(notice, language, message.contact.zone or notice.zone, is_late=message.is_late)
        lines.append(f"· {values['text']}{values['late']}")
    more = f"\n{_MORE[language].format(more=count - LINES_MAX)}" if count > LINES_MAX else ""
    return {"count": str(count), "lines": "\n".join(lines), "more": more}


def _plain(value: str) -> str:
    return _CONTROL.sub(" ", value)
