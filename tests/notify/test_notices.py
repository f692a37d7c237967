"""What is sent when: one message after another on a line, digests instead of silence, quiet hours, old news, and what is for nobody."""

import msgspec
import pytest
from notifying import alarm_of, contacts_of, said_of
from test_contacts import CHANNELS, DUTY, WANG

from domain.notices import OVERALL, Now, Result, back_off_ms, notices_of, planned, said_once
from domain.words import AlarmKind, AlarmState

MINUTE, HOUR = 60_000, 3_600_000
NOON = 4 * HOUR
"""1970-01-01 12:00 in Shanghai."""


def due_of(contacts, count, kind=AlarmKind.BALANCE_LOW, at=NOON, **more):
    """Notices of some alarms, as they are decided."""
    found = []
    for number in range(count):
        alarm = alarm_of(id=f"{kind}-{number:03d}", kind=kind, at=at + number, **more)
        found += notices_of(alarm, said_of(alarm), contacts, "Asia/Shanghai", at + number)
    return found


def now_at(real, event=None, speed=1):
    """The time."""
    return Now(real, real if event is None else event, speed)


def lines(plan):
    """Which alarms go together, by line."""
    return {message.line: [notice.alarm["id"] for notice in message.notices] for message in plan.messages}


def test_each_line_sends_one_message_after_another(tmp_path):
    """The first of each line goes; what is busy is left alone."""
    contacts = contacts_of(tmp_path, CHANNELS + WANG + DUTY)
    due = due_of(contacts, 2)

    assert lines(planned(due, contacts, {}, set(), now_at(NOON))) == {
        "email Wang": ["balance_low-000"], "email Duty": ["balance_low-000"], "hook Duty": ["balance_low-000"],
    }  # fmt: skip
    assert lines(planned(due, contacts, {}, {"email Wang", "hook Duty"}, now_at(NOON))) == {
        "email Duty": ["balance_low-000"]
    }


def test_what_matters_most_goes_first(tmp_path):
    """A critical alarm overtakes a warning that came before it."""
    contacts = contacts_of(tmp_path, CHANNELS + WANG)
    due = due_of(contacts, 2) + due_of(contacts, 1, AlarmKind.BALANCE_LIMIT, NOON + 10)

    assert lines(planned(due, contacts, {}, set(), now_at(NOON + 20))) == {"email Wang": ["balance_limit-000"]}


def test_a_rate_that_is_nearly_used_up_makes_a_digest_of_all_that_waits(tmp_path):
    """Of thirty alarms in an hour that allows four messages, three come singly and one has the others; nothing is lost."""
    contacts = contacts_of(tmp_path, '[limits]\nrate = "4/hour"\n' + CHANNELS + WANG)
    due, marks, sent, now = due_of(contacts, 30), {}, [], NOON + 100
    while due:
        plan = planned(due, contacts, marks, set(), now_at(now))
        assert not plan.later
        for message in plan.messages:
            sent.append(message.notices)
            marks[message.line] = message.channel.rate.after_one(marks.get(message.line, 0), now)
            due = [notice for notice in due if notice not in message.notices]
    held = planned(due_of(contacts, 3), contacts, marks, set(), now_at(now))

    assert [len(notices) for notices in sent] == [1, 1, 1, 27]
    assert not held.messages
    assert set(held.later.values()) == {now + HOUR // 4}


def test_all_together_have_a_rate_too(tmp_path):
    """A storm does not send more than the operator pays for, whoever it is about."""
    contacts = contacts_of(tmp_path, '[limits]\noverall = "2/hour"\n' + CHANNELS + WANG + DUTY)
    plan = planned(due_of(contacts, 1), contacts, {}, set(), now_at(NOON))
    full = planned(due_of(contacts, 1), contacts, {OVERALL: NOON + HOUR}, set(), now_at(NOON))

    assert (len(plan.messages), len(plan.later)) == (2, 1)
    assert (len(full.messages), set(full.later.values())) == (0, {NOON + HOUR // 2})


@pytest.mark.parametrize(
    ("more", "kind", "is_held"),
    [
        ('quiet = "11:00-13:00"', AlarmKind.BALANCE_LOW, True),
        ('quiet = "11:00-13:00"', AlarmKind.BALANCE_LIMIT, False),
        ('quiet = "11:00-13:00"\nbreaks_quiet = "never"', AlarmKind.BALANCE_LIMIT, True),
        ('quiet = "11:00-13:00"\nbreaks_quiet = "warning"', AlarmKind.BALANCE_LOW, False),
        ('quiet = "11:00-13:00"\nzone = "Europe/Berlin"', AlarmKind.BALANCE_LOW, False),
        ('quiet = ""', AlarmKind.BALANCE_LOW, False),
    ],
)
def test_in_quiet_hours_messages_wait_but_those_that_break_it(tmp_path, more, kind, is_held):
    """By the site's clock, unless the contact has one of its own."""
    contacts = contacts_of(tmp_path, CHANNELS + WANG + more)
    plan = planned(due_of(contacts, 1, kind), contacts, {}, set(), now_at(NOON))

    assert bool(plan.messages) != is_held
    assert set(plan.later.values()) == ({NOON + HOUR} if is_held else set())


def test_quiet_hours_follow_a_clock_that_runs_fast(tmp_path):
    """In a demo a night is over in minutes."""
    contacts = contacts_of(tmp_path, CHANNELS + WANG + 'quiet = "11:00-13:00"')
    plan = planned(due_of(contacts, 1), contacts, {}, set(), Now(1_000, NOON, 60))

    assert set(plan.later.values()) == {1_000 + MINUTE}


@pytest.mark.parametrize(("old", "sent"), [("send", [1]), ("digest", [5]), ("drop", [])])
def test_old_news_is_marked_or_dropped(tmp_path, old, sent):
    """After an outage nobody's phone rings forty times: once with all of it, unless it is configured otherwise; what is dropped is said."""
    contacts = contacts_of(tmp_path, f'[limits]\nold = "{old}"\nold_minutes = 60\n' + CHANNELS + WANG)
    plan = planned(due_of(contacts, 5), contacts, {}, set(), now_at(NOON + 2 * HOUR))

    assert [len(message.notices) for message in plan.messages] == sent
    assert all(message.is_late for message in plan.messages)
    assert [why for _, _, why in plan.ended] == ["too old"] * (5 if old == "drop" else 0)


def test_new_news_is_not_old_because_the_clock_runs_fast(tmp_path):
    """Age is counted in real time: two hours of a demo's night are two seconds. What happened long ago and was heard only now is old."""
    contacts = contacts_of(tmp_path, CHANNELS + WANG)
    fresh, imported = due_of(contacts, 1, at=NOON), due_of(contacts, 1, at=NOON - 400 * 24 * HOUR)

    assert not planned(fresh, contacts, {}, set(), Now(NOON + 10, NOON + 2 * HOUR + 1, 3_600)).messages[0].is_late
    assert planned(imported, contacts, {}, set(), now_at(NOON)).messages[0].is_late


def test_who_is_in_the_file_no_more_is_told_nothing(tmp_path):
    """A contact or a channel that was taken out while messages waited."""
    before = contacts_of(tmp_path, CHANNELS + WANG + DUTY)
    due = due_of(before, 1)
    after = contacts_of(tmp_path, CHANNELS + DUTY.replace(', hook = "duty"', ""))
    plan = planned(due, after, {}, set(), now_at(NOON))

    assert set(lines(plan)) == {"email Duty"}
    assert {notice.line for notice, result, _ in plan.ended if result == Result.DROPPED} == {"email Wang", "hook Duty"}


def test_a_message_that_ends_the_notifier_is_given_up(tmp_path):
    """An attempt is counted before it begins, so what kills each time does not kill for ever."""
    contacts = contacts_of(tmp_path, "[limits]\nattempts = 2\n" + CHANNELS + WANG)
    (fresh,) = due_of(contacts, 1)
    begun = msgspec.structs.replace(fresh, attempts=2)
    plan = planned([begun], contacts, {}, set(), now_at(NOON))

    assert plan.ended == [(begun, Result.DEAD, "the notifier ended at each attempt")]
    assert not plan.messages


def test_pauses_grow_to_an_hour_and_differ():
    """A service that is down is not hammered, nor by all at the same instant."""
    assert [back_off_ms(attempt, 0) // 1000 for attempt in (1, 2, 3, 9, 10, 90)] == [10, 20, 40, 2560, 3600, 3600]
    assert back_off_ms(3, 500) == 20_000


@pytest.mark.parametrize(
    ("kinds", "state", "told"),
    [
        (["balance_low", "balance_pretrip", "balance_arrears"], "raised", ["balance_arrears"]),
        (["balance_arrears", "balance_pretrip", "balance_low"], "cleared", ["balance_low"]),
        (["balance_low", "offline", "balance_pretrip"], "raised", ["balance_pretrip", "offline"]),
        (["balance_low", "load_limit"], "raised", ["balance_low", "load_limit"]),
    ],
)
def test_levels_that_are_crossed_at_once_are_told_once(tmp_path, kinds, state, told):
    """Who pays hears one thing and not four; what is not a level is told beside it."""
    contacts = contacts_of(tmp_path, CHANNELS + WANG + f"cleared = true\nkinds = {[*map(str, AlarmKind)]}")
    alarms = [alarm_of(id=f"{kind}-7", kind=AlarmKind(kind), state=AlarmState(state)) for kind in kinds]
    notices = [each for alarm in alarms for each in notices_of(alarm, said_of(alarm), contacts, "UTC", 0)]

    assert sorted(each.alarm["kind"] for each in said_once(notices)) == told
