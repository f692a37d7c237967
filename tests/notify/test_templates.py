"""The words of messages: ours, and those of a folder, filled in without harm."""

import pytest
from notifying import SITE, alarm_of, contacts_of, said_of
from test_contacts import CHANNELS, DUTY, WANG

from connectors.notifications.templates import OF_ALARM, OF_DIGEST, Templates
from domain.documents import MistakesError
from domain.facts import AlarmTerms, Place
from domain.notices import Message, notices_of
from domain.state import AccountRecord
from domain.words import AlarmKind, AlarmState

AT = 1_767_225_600_000
"""2026-01-01 08:00 in Shanghai."""


def message_of(folder, count=1, room="101", language="zh", kind=AlarmKind.BALANCE_LOW, *, is_late=False):
    """A message to Wang."""
    contacts = contacts_of(folder, CHANNELS + WANG + f'language = "{language}"\nkinds = {[*map(str, AlarmKind)]}\n')
    place = Place(site=SITE.site, building="3号楼", room=room)
    record = AccountRecord(
        row=0, account="A-101", currency="CNY", name="王", place=place, alarms=AlarmTerms(), opened_at=0
    )
    notices = []
    for number in range(count):
        alarm = alarm_of(id=f"alarm-{number}", kind=kind, at=AT)
        notices += notices_of(alarm, said_of(alarm, record), contacts, SITE.zone, AT)
    return Message(tuple(notices), contacts.people["Wang"], contacts.channels["email"], is_late)


@pytest.mark.parametrize(
    ("language", "is_late", "title", "body"),
    [
        ("zh", False, "提醒：3号楼 101", "3号楼 101 告警：余额不足，余额 3.20 CNY"),
        ("en", False, "Warning: 3号楼 101", "3号楼 101: alarm, balance low, balance 3.20 CNY"),
        ("zh", True, "提醒：3号楼 101", "3号楼 101 告警：余额不足，余额 3.20 CNY（发生于 2026-01-01 08:00）"),
        ("en", True, "Warning: 3号楼 101", "3号楼 101: alarm, balance low, balance 3.20 CNY (of 2026-01-01 08:00)"),
    ],
)
def test_our_words(tmp_path, language, is_late, title, body):
    """What matters and where in the title; the alarm's own sentence in the body; when it was, where that is old."""
    words = Templates({}).words(message_of(tmp_path, language=language, is_late=is_late))

    assert (words.title, words.body) == (title, body)


def test_a_digest_has_some_lines_and_the_number_of_the_others(tmp_path):
    """A hundred alarms are one message that can be read."""
    words = Templates({}).words(message_of(tmp_path, 100))
    lines = words.body.splitlines()

    assert words.title == "100 条告警"
    assert len(lines) == 21
    assert lines[0] == "· 3号楼 101 告警：余额不足，余额 3.20 CNY"
    assert lines[-1] == "……另有 80 条"


def test_the_most_specific_template_is_used(tmp_path):
    """A kind's own before its severity's before that of any; of another language never."""
    texts = {
        "any.zh.txt": "any\nx",
        "warning.zh.txt": "warning\nx",
        "balance_low.zh.txt": "low ${room} ${balance} ${when}\nhello ${contact}",
    }
    low, pretrip, limit = AlarmKind.BALANCE_LOW, AlarmKind.BALANCE_PRETRIP, AlarmKind.BALANCE_LIMIT
    templates = Templates(texts)
    titles = [templates.words(message_of(tmp_path, kind=kind)).title for kind in (low, pretrip, limit)]
    english = templates.words(message_of(tmp_path, language="en")).title

    assert titles == ["low 101 3.20 2026-01-01 08:00", "warning", "any"]
    assert english == "Warning: 3号楼 101"


@pytest.mark.parametrize(
    ("file", "text", "said"),
    [
        ("flood.zh.txt", "x", "flood.zh.txt: found this name; expected NAME.zh.txt or NAME.en.txt"),
        ("any.fr.txt", "x", "any.fr.txt: found this name"),
        ("any.zh.txt", "x\n${rom}", "line 2: any.zh.txt: found ${rom}; expected one of text, where"),
        ("any.zh.txt", "costs 5 $", "line 1: any.zh.txt: found a $ that begins no name"),
        ("digest.zh.txt", "${room}", "expected one of count, lines, more, contact"),
        ("any.zh.txt", " \n", "any.zh.txt: found nothing"),
    ],
)
def test_a_template_with_a_mistake_is_refused_at_the_start(tmp_path, file, text, said):
    """Not in the night when it is needed."""
    (tmp_path / file).write_text(text)

    with pytest.raises(MistakesError) as error:
        Templates.of_folder(tmp_path)

    assert said in str(error.value)


def test_every_name_that_may_be_named_is_filled_in(tmp_path):
    """What passes the check never fails when it is sent."""
    text = "\n".join(f"${{{name}}}" for name in OF_ALARM)
    digest = "\n".join(f"${{{name}}}" for name in OF_DIGEST)
    templates = Templates({"any.zh.txt": text, "digest.zh.txt": digest})

    for kind in AlarmKind:
        assert templates.words(message_of(tmp_path, kind=kind)).title
    assert templates.words(message_of(tmp_path, 30)).title == "30"


def test_no_value_begins_a_line_or_is_a_template(tmp_path):
    """A room may be called anything, and is still only a room's name."""
    words = Templates({}).words(message_of(tmp_path, room="1\r\nBcc: everybody@example.com\u2028${balance} $x"))

    assert "\n" not in words.title
    assert "\r" not in words.title + words.body
    assert "${balance} $x" in words.body
    assert len(words.body.splitlines()) == 1


def test_every_kind_and_state_has_words(tmp_path):
    """Nobody gets an empty message."""
    contacts = contacts_of(tmp_path, CHANNELS + DUTY + 'severity = "info"\n')
    for kind in AlarmKind:
        for state in AlarmState:
            alarm = alarm_of("A-101", kind, state, meter=17, at=AT)
            (notice, _) = notices_of(alarm, said_of(alarm), contacts, "UTC", AT)
            words = Templates({}).words(Message((notice,), contacts.people["Duty"], contacts.channels["email"], False))
            assert words.title
            assert words.body
