"""Journeys of households, written as tables that a clerk can read, lived through by the machine."""

from pathlib import Path

import pytest
from expectations import SEEN
from language import live, parse, play
from times import JourneyError
from verbs import VERBS
from verbs_life import ACCOUNT_TERMS, METER_TERMS
from verbs_metering import WATCH_TERMS
from verbs_supply import CONTROL_TERMS

from domain.facts import RECORDS, ReadingBlock
from domain.words import AlarmKind, Metering, Reason

HERE = Path(__file__).parent
JOURNEYS = sorted(HERE.glob("*.txt"))
README = (HERE / "README.md").read_text(encoding="utf-8")
HEAD = "in Asia/Shanghai\n2025-12-06\n"
WATCHES = "line 3: '08:00 watches meter 1 with offline_ms 30'"
CONTROLS = "line 3: '08:00 controls meter 1 with"
OPENED = HEAD + (
    "08:00 publishes one-yuan\n08:00 opens room-201\n08:00 installs meter 1 at 100.000 tariff one-yuan\n08:00 tops up 5.00\n"
)


@pytest.mark.parametrize("journey", JOURNEYS, ids=lambda path: path.stem)
def test_a_journey_goes_as_it_is_written(journey):
    """Every line of the table sees what it expects, and no alarm, order or refusal besides."""
    differences = list(play(journey.read_text(encoding="utf-8")))

    assert not differences, "\n".join([journey.name, *differences])


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (
            "08:00 tops up five",
            "line 3: 'tops up five': expected `tops up [ACCOUNT] AMOUNT [by CHANNEL] [order ORDER]`",
        ),
        (
            "08:00 wins 5.00",
            "line 3: 'wins 5.00' begins with no verb that is known: expected one of accepts, activates",
        ),
        ("8:00 tops up 5.00", "line 3: '8:00 tops up 5.00': expected a time, a verb"),
        ("25:00 tops up 5.00", "line 3: '25:00' is no time of the day"),
        ("08:00 second tops up 5.00", "line 3: 2025-12-06 has 08:00 only once"),
        ("08:00 tops up 5.00 ->", "line 3: nothing after `->`"),
        ("08:00 tops up 5.00 -> wealth", "line 3: 'wealth': expected one of account, alarm"),
        ("08:00 tops up 5.00", "line 3: '08:00 tops up 5.00': no account yet"),
        ("08:00 publishes gold", "line 3: '08:00 publishes gold': no tariff 'gold': expected one of"),
        ("08:00 opens room-1 with colour red", "line 3: '08:00 opens room-1 with colour red': 'colour' is no term"),
        (
            "08:00 opens room-1 with low much",
            "line 3: '08:00 opens room-1 with low much': low 'much': amount 'much' is not",
        ),
        ("08:00 updates room-9 with low 1.00", "line 3: '08:00 updates room-9 with low 1.00': no account 'room-9'"),
        ("08:00 reads 5.000", "line 3: '08:00 reads 5.000': no meter yet"),
        ("08:00 watches meter 1 with offline_ms 30", f"{WATCHES}: offline_ms '30': expected hours and minutes"),
        (
            "08:00 controls meter 1 with no_trip always",
            f"{CONTROLS} no_trip always': no_trip 'always': expected days and",
        ),
        (
            "08:00 controls meter 1 with no_trip sun-mon/1:00-2:00",
            f"{CONTROLS} no_trip sun-mon/1:00-2:00': no_trip 'sun-mon/1:00-2:00': expected days such as",
        ),
        (
            "08:00 controls meter 1 with schedule off/mon/1:00-2:00",
            f"{CONTROLS} schedule off/mon/1:00-2:00': schedule 'off/mon/1:00-2:00': expected what is scheduled",
        ),
        ("2025-02-30", "line 3: '2025-02-30' is not in the calendar"),
        ("in Atlantis", "line 3: 'Atlantis' is no time zone"),
    ],
)
def test_a_bad_line_is_said_clearly(line, words):
    """A line that cannot be read is named by its number, with what was found and what is expected."""
    with pytest.raises(JourneyError) as error:
        list(play(HEAD + line))

    assert str(error.value).startswith(words)


@pytest.mark.parametrize(
    ("text", "words"),
    [("", "nothing happens"), ("08:00 ticks", "line 1: '08:00 ticks': expected `in ZONE` and a date")],
)
def test_a_journey_has_a_place_and_a_day(text, words):
    """Without a zone and a date no time of the day means anything."""
    with pytest.raises(JourneyError, match=words):
        parse(text)


def test_a_time_that_the_day_does_not_have_is_refused():
    """On the day on which clocks go forward there is no half past one."""
    with pytest.raises(JourneyError, match="line 3: 2025-03-30 has no 01:30: clocks go forward then"):
        parse("in Europe/London\n2025-03-30\n01:30 ticks")


@pytest.mark.parametrize(
    ("line", "seen"),
    [
        ("09:00 reads 101.000 -> balance 5.00", "balance 4.00 of room-201, balance 4.00"),
        ("09:00 reads 106.000", "alarm balance_low, alarm balance_pretrip, alarm balance_arrears, orders open"),
        (
            "09:00 reads 106.000 -> nothing",
            "alarm balance_low, alarm balance_pretrip, alarm balance_arrears, orders open",
        ),
        ("09:00 reads 101.000 -> nothing", "nothing"),
        ("09:00 reads 101.000 -> alarm balance_low", "nothing"),
        ("09:00 refunds 9.00", "refused insufficient_balance"),
        ("09:00 tops up 1.00 -> posts 1.00 customer/cash", "posts 1.00 cash/customer"),
        ("09:00 reads 101.000 -> takes rollover", "takes normal"),
    ],
)
def test_what_is_not_as_expected_is_said(line, seen):
    """A journey fails at the line, which says what was seen instead: too much, too little, or something else."""
    (difference,) = play(OPENED + line)

    assert difference == f"line 7: {line}\n    seen: {seen}"


def test_every_word_of_the_language_is_used():
    """No verb and no expectation is there for nothing: each has a journey that shows it."""
    lines = [line for journey in JOURNEYS for line in parse(journey.read_text(encoding="utf-8"))[1]]

    assert {line.verb.form for line in lines} == {verb.form for verb in VERBS}
    expected = [each.split(" ") for line in lines for each in line.expected]
    assert {words[0] for words in expected} == {*SEEN, "nothing"}
    assert {words[3] for words in expected if words[0] == "wants"} == {reason.name.lower() for reason in Reason}


def test_every_kind_of_fact_alarm_and_reading_is_lived_through():
    """Whatever the machine can be told, whatever it can be alarmed about, and every class of reading happens to some household."""
    found = [found for journey in JOURNEYS for _, found in live(journey.read_text(encoding="utf-8"))]

    facts = {type(each.fact) for each in found}
    classes = {
        Metering(int(number)) for each in found if each.effects.classes is not None for number in each.effects.classes
    }
    alarms = {alarm.kind for each in found for alarm in each.effects.alarms}
    assert facts == {*RECORDS, ReadingBlock}
    assert alarms == set(AlarmKind)
    assert classes == set(Metering) - {Metering.UNREADABLE}, "what is unreadable is no reading"


def test_the_language_is_written_down():
    """Every form that a clerk may write is in the language's README, and nothing else."""
    forms = [verb.form for verb in VERBS] + [kind.form for kind in SEEN.values()]

    written = [
        row.split("|")[1].strip().strip("`") for row in README.replace("\\|", "/").splitlines() if row.startswith("| `")
    ]
    assert written == [form.replace("|", "/") for form in forms]


@pytest.mark.parametrize("term", [*ACCOUNT_TERMS, *METER_TERMS, *WATCH_TERMS, *CONTROL_TERMS])
def test_every_term_is_written_down(term):
    """A clerk finds each term of an account, a meter, a watch and of control in the language's README."""
    assert f"`{term}" in README
