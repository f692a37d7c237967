"""Meters that were sold energy past the books: whose purchase counter moves, although we never write a purchase to a meter."""

import pytest
from histories import Shelf
from test_machine import EIGHT, Home, at, kinds

from connectors.redis.formats import alarm_message
from domain.facts import MeterWatchSet, PurchasesAccepted, PurchasesCounted, WatchTerms
from domain.units import HOUR_MS
from flows.machine import fold
from flows.state import ShardState


def shows(home, when, count, meter=1):
    """What a meter's purchase counter shows."""
    return home.tell(PurchasesCounted(at=when, meter=meter, count=count))


def accepts(home, when, count, meter=1, note="the old tenant's card"):
    """A person's word; returns the refusal and its detail."""
    fact = PurchasesAccepted(at=when, id=home.id(when), meter=meter, count=count, note=note)
    effects = home.tell(fact)
    return effects, (effects.outcomes[0].refusal, effects.outcomes[0].detail)


@pytest.mark.parametrize(
    ("counts", "said"),
    [
        ([5, 5, 5], []),
        ([5, 6], ["raised 6 ≠ 5"]),
        ([5, 4], ["raised 4 ≠ 5"]),
        ([0xFFFF, 0], ["raised 0 ≠ 65535"]),
        ([5, 6, 6, 7], ["raised 6 ≠ 5"]),
        ([5, 6, 7, 5], ["raised 6 ≠ 5", "cleared 7 ≠ 5"]),
        ([5, 6, 5, 9], ["raised 6 ≠ 5", "cleared 6 ≠ 5", "raised 9 ≠ 5"]),
    ],
)
def test_a_count_that_moves_is_said_once(counts, said):
    """The first count is expected; another one raises the alarm with both numbers, and only the expected one clears it by itself."""
    home = Home()

    effects = [shows(home, EIGHT + minute, count) for minute, count in enumerate(counts)]

    assert [f"{alarm.state} {alarm.reason}" for effect in effects for alarm in effect.alarms] == said
    assert all(effect.postings is None and not effect.commands for effect in effects)


def test_whoever_hears_it_knows_what_is_shown_and_what_is_expected():
    """The message is critical, is about the meter and its account, and says both counts in both languages."""
    home = Home()
    shows(home, EIGHT, 5)
    (alarm,) = shows(home, at("09:00"), 7).alarms

    message = alarm_message(alarm, home.state.account_records["room-201"])

    assert (message.account, message.meter, message.severity) == ("room-201", "000000000001", "critical")
    assert message.text.zh == "room-201 告警：购电次数不符，疑似绕过平台售电，表号 000000000001（7 ≠ 5）"
    assert "perhaps sold past the books, meter 000000000001 (7 ≠ 5)" in message.text.en


def test_a_meter_that_is_not_there_is_not_looked_at():
    """Whatever stands on a bus may be polled before it is installed; what it showed then is not expected of it later."""
    home = Home()

    shows(home, EIGHT, 5, meter=9)

    assert len(home.state.purchase_counts) == 0


def test_the_order_of_what_stands_in_the_way_of_an_acceptance():
    """An unknown meter, no reason given, a meter that has shown nothing, another count than it shows; each refusal says which."""
    home = Home(meters=2)
    shows(home, EIGHT, 5)
    shows(home, EIGHT, 7)
    tries = [(6, 9, " "), (6, 1, " "), (0, 2, "n"), (6, 1, "n"), (5, 1, "n"), (7, 1, "n"), (7, 1, "n")]

    told = [accepts(home, at("09:00"), count, meter, note) for count, meter, note in tries]

    assert [answer for _, answer in told] == [
        ("unknown_meter", ""),
        ("note_missing", ""),
        ("decision_not_possible", "the meter has shown no purchase count"),
        ("decision_not_possible", "the meter shows 7, not 6"),
        ("decision_not_possible", "the meter shows 7, not 5"),
        ("", "purchase count 7, before 5"),
        ("", "purchase count 7, before 7"),
    ]
    assert [kinds(effects) for effects, _ in told][-2:] == [["purchase_count_mismatch cleared"], []]


def test_what_was_accepted_is_expected_from_then_on():
    """After the acceptance the count of before is another one than expected."""
    home = Home()
    shows(home, EIGHT, 5)
    shows(home, EIGHT, 7)
    accepts(home, at("09:00"), 7)

    assert kinds(shows(home, at("10:00"), 5)) == ["purchase_count_mismatch raised"]


@pytest.mark.parametrize(
    ("terms", "clocks"),
    [
        (None, ["13:00", "17:00", "21:00"]),
        (WatchTerms(repeat_ms=HOUR_MS, repeat_max=2), ["10:00", "11:00"]),
        (WatchTerms(repeat_max=0), []),
    ],
    ids=["watched by nobody", "sooner", "never"],
)
@pytest.mark.parametrize("reloaded", [False, True])
def test_it_is_repeated_as_the_alarms_of_a_watched_meter_are(terms, clocks, reloaded):
    """By the meter's own terms, else every four hours, three times; also where the machine was started again meanwhile."""
    home = Home()
    if terms:
        home.tell(MeterWatchSet(at=EIGHT, id=home.id(EIGHT), meter=1, terms=terms))
    shows(home, EIGHT, 5)
    shows(home, at("09:00"), 7)
    if reloaded:
        shelf = Shelf()
        shelf.keep(home.state)
        home.state = ShardState.of(shelf.load())
    said = []
    for hour in range(9, 24):
        for minute in (0, 30):
            told = home.ticks(at(f"{hour}:{minute}")).alarms
            said += [(f"{hour}:{minute:02}", alarm.state, alarm.repeat) for alarm in told]

    assert said == [(clock, "repeated", number) for number, clock in enumerate(clocks, start=1)]


def test_new_terms_repeat_what_stands_sooner():
    """A clerk who wants to hear of it every hour does so at once."""
    home = Home()
    shows(home, EIGHT, 5)
    shows(home, at("09:00"), 7)
    home.ticks(at("09:10"))

    terms = WatchTerms(repeat_ms=HOUR_MS, repeat_max=1)
    home.tell(MeterWatchSet(at=at("09:20"), id=home.id(EIGHT), meter=1, terms=terms))

    assert kinds(home.ticks(at("10:00"))) == ["purchase_count_mismatch repeated"]


def test_telling_it_again_writes_nothing():
    """A collector tells what it knows once a day: where nothing has changed, nothing is written but the position."""
    home = Home()
    shows(home, EIGHT, 5)
    home.state.take_changes()

    home.state, _ = fold(home.state, [((99, 0), PurchasesCounted(at=at("09:00"), meter=1, count=5))])

    assert home.state.take_changes().records["purchase_counts"] == {}
