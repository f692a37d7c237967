"""The contacts file: who is told of what, and every mistake without a secret in it."""

import pytest
from notifying import alarm_of, contacts_of, written

from connectors.notifications.contacts_file import load_contacts
from connectors.notifications.loaded import ContactsFile
from domain.contacts import Quiet, Rate
from domain.documents import MistakesError
from domain.words import AlarmKind, AlarmState, Severity

CHANNELS = """
[channel.email]
url = "mailto://127.0.0.1:1/?from=m%40example.com&to={address}"
[channel.hook]
url = "json://user:hunter2222@127.0.0.1:1/{address}"
"""
WANG = """
[[contact]]
name = "Wang"
accounts = ["A-101"]
to = { email = "wang@example.com" }
"""
DUTY = """
[[contact]]
name = "Duty"
sites = ["river"]
to = { email = "duty@example.com", hook = "duty" }
"""
HEAD = """
[[contact]]
name = "Head"
sites = ["*"]
severity = "critical"
cleared = false
repeats = 0
to = { hook = "head" }
"""


@pytest.mark.parametrize(
    ("alarm", "site", "told"),
    [
        (alarm_of("A-101"), "river", {"Wang", "Duty"}),
        (alarm_of("A-102"), "river", {"Duty"}),
        (alarm_of("A-101", AlarmKind.BALANCE_LIMIT), "river", {"Wang", "Duty", "Head"}),
        (alarm_of("A-101", AlarmKind.MONEY_ARRIVED, AlarmState.NOTED), "river", {"Wang"}),
        (alarm_of("A-101", AlarmKind.USE_WHILE_TRIPPED), "river", {"Duty", "Head"}),
        (alarm_of("", AlarmKind.QUARANTINE, meter=17), "", {"Head"}),
        (alarm_of("A-101", state=AlarmState.CLEARED), "river", {"Duty"}),
        (alarm_of("A-101", AlarmKind.BALANCE_LIMIT, AlarmState.CLEARED), "river", {"Duty"}),
        (alarm_of("A-101", state=AlarmState.REPEATED, repeat=3), "river", {"Wang", "Duty"}),
        (alarm_of("A-101", state=AlarmState.REPEATED, repeat=4), "river", set()),
        (alarm_of("A-101", AlarmKind.BALANCE_LIMIT, AlarmState.REPEATED, repeat=1), "river", {"Wang", "Duty"}),
    ],
)
def test_who_is_told_of_what(tmp_path, alarm, site, told):
    """A household hears of its own money and use, operators of their site's meters, and who wants critical ones only of those; nobody of more than they asked for."""
    contacts = contacts_of(tmp_path, CHANNELS + WANG + DUTY + HEAD)

    assert {contact.name for contact in contacts.told_of(alarm, site)} == told


def test_what_a_contact_does_not_say_its_group_says(tmp_path):
    """Defaults of households and of operators, each of which a contact may say otherwise."""
    said = '[household]\nlanguage = "en"\nquiet = "21:00-06:30"\nkinds = ["offline"]\n[operators]\nseverity = "critical"\nquiet = "01:00-02:00"\n'
    contacts = contacts_of(tmp_path, CHANNELS + said + WANG + DUTY + 'quiet = ""')
    wang, duty = contacts.people["Wang"], contacts.people["Duty"]

    assert (wang.language, wang.quiet, wang.kinds) == ("en", Quiet(1260, 390), {AlarmKind.OFFLINE})
    assert (duty.language, duty.quiet, duty.severity) == ("zh", None, Severity.CRITICAL)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[[contact]]\n", "channel: found nothing; expected this key"),
        (CHANNELS, "contact: found nothing; expected a [[contact]], or tables of contacts"),
        (CHANNELS + WANG.replace("A-101", 'A-101", "A-102') + 'sites = ["river"]', "expected either accounts or sites"),
        (CHANNELS + WANG + WANG, "contact Wang: found this name twice"),
        (CHANNELS + WANG.replace("email =", "sms ="), "contact Wang: found channel sms; expected one of email, hook"),
        (CHANNELS + WANG + 'kinds = ["flood"]', "expected kinds of alarms: balance_low, balance_pretrip"),
        (CHANNELS + WANG + 'severity = "red"', "expected one of info, warning, critical"),
        (CHANNELS + WANG + 'quiet = "22-7"', 'expected hours such as "22:00-07:00"'),
        (CHANNELS + WANG + 'zone = "Beijing"', "expected an IANA time zone"),
        (CHANNELS + WANG + "phone = 1", "contact[0].phone: found a value that is not shown; expected no such key here"),
        ('[limits]\nrate = "10/week"\n' + CHANNELS + WANG, "expected a rate such as 10/hour"),
        (CHANNELS.replace("hunter2222", "hunter2222{who}") + WANG, "expected the URL of a service, with no braces but"),
        (CHANNELS + 'password = "hunter2222"\n' + WANG, "channel.hook.password: found a value that is not shown"),
        (CHANNELS + WANG.replace('"wang@example.com" }', "7 }"), "contact[0].to.email: found a value that is not shown"),
        ('tables = ["none.csv"]\n' + CHANNELS, "expected a CSV file beside this one"),
    ],
)  # fmt: skip
def test_every_mistake_is_said_without_a_secret(tmp_path, text, said):
    """What is wrong and what is expected, and neither a channel's URL nor an address."""
    with pytest.raises(MistakesError) as error:
        contacts_of(tmp_path, text)

    assert said in str(error.value)
    assert "hunter" not in str(error.value)
    assert "wang@" not in str(error.value)


@pytest.mark.parametrize(("mode", "is_refused"), [(0o600, False), (0o640, False), (0o644, True), (0o602, True)])
def test_a_file_that_others_read_is_refused(tmp_path, mode, is_refused):
    """It has passwords and people's addresses in it; a group may be meant, everybody never is."""
    path = written(tmp_path, CHANNELS + WANG, mode)

    if is_refused:
        with pytest.raises(MistakesError, match=r"chmod 600 contacts\.toml"):
            load_contacts(path)
    else:
        assert load_contacts(path).people


def test_households_come_from_a_table(tmp_path):
    """A line for each; no line is left out in silence."""
    written(
        tmp_path, "name,account,language,email\nLi,A-7,en,li@example.com\nWu,A-8,,wu@example.com\n", name="homes.csv"
    )
    contacts = contacts_of(tmp_path, 'tables = ["homes.csv"]\n' + CHANNELS)

    assert {name: (each.language, set(each.accounts)) for name, each in contacts.people.items()} == {
        "Li": ("en", {"A-7"}), "Wu": ("zh", {"A-8"}),
    }  # fmt: skip


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ("name,email\nLi,li@example.com\n", "homes.csv account: found name, email; expected columns name, account"),
        ("name,account,fax\nLi,A-7,7\n", "homes.csv fax: found name, account, fax"),
        ("name,account,email\nLi,A-7,\n", "line 2: homes.csv: found no address"),
        ("name,account,email\nLi,A-7,li@example.com,7\n", "line 2: homes.csv: found more cells than columns"),
        ("name,account,language,email\nLi,A-7,fr,li@example.com\n", "line 2: homes.csv: found a value that is not shown; expected language"),
        ("name,account,email\nLi,,li@example.com\n", "expected accounts.0"),
    ],
)  # fmt: skip
def test_every_mistake_of_a_table_is_said(tmp_path, table, said):
    """With its line, and without the address."""
    written(tmp_path, table, name="homes.csv")

    with pytest.raises(MistakesError) as error:
        contacts_of(tmp_path, 'tables = ["homes.csv"]\n' + CHANNELS)

    assert said in str(error.value)
    assert "li@" not in str(error.value)


def test_a_changed_file_is_read_anew_and_a_wrong_one_is_not(tmp_path, monkeypatch):
    """People come and go without a restart; a mistake does not silence everybody."""
    monkeypatch.setattr("connectors.notifications.loaded.LOOKED_SECONDS", 0.0)
    path = written(tmp_path, CHANNELS + WANG)
    file = ContactsFile(path)

    written(tmp_path, CHANNELS + WANG + DUTY)
    both = set(file.now().contacts.people)
    written(tmp_path, CHANNELS + WANG + "phone = 1")
    wrong = set(file.now().contacts.people)
    written(tmp_path, CHANNELS + DUTY)

    assert both == wrong == {"Wang", "Duty"}
    assert set(file.now().contacts.people) == {"Duty"}
    path.chmod(0o644)
    assert set(file.now().contacts.people) == {"Duty"}


def test_what_a_service_does_not_take_is_refused_at_the_start(tmp_path):
    """A channel that could never send, and an address that is none, are mistakes of the file."""
    wrong = CHANNELS + WANG.replace("wang@example.com", "not an address") + '[channel.wecom]\nurl = "wecombot://"\n'
    with pytest.raises(MistakesError) as error:
        ContactsFile(written(tmp_path, wrong))

    assert "channel.wecom.url: found a value that is not shown; expected the URL of a service" in str(error.value)
    assert "contact Wang: found an address for email; expected one that the service takes" in str(error.value)


SHANGHAI = "Asia/Shanghai"
"""Eight hours ahead, no summer time."""
HOUR = 3_600_000


@pytest.mark.parametrize(
    ("hours", "zone", "now", "ends"),
    [
        ("22:00-07:00", SHANGHAI, 13 * HOUR, 0),  # 21:00
        ("22:00-07:00", SHANGHAI, 14 * HOUR, 23 * HOUR),  # 22:00
        ("22:00-07:00", SHANGHAI, 22 * HOUR, 23 * HOUR),  # 06:00
        ("22:00-07:00", SHANGHAI, 23 * HOUR, 0),  # 07:00
        ("12:30-14:00", SHANGHAI, 5 * HOUR, 6 * HOUR),  # 13:00
        ("12:30-14:00", SHANGHAI, 4 * HOUR, 0),  # 12:00
        (
            "22:00-02:30",
            "Europe/Berlin",
            1_774_742_400_000,
            1_774_747_800_000,
        ),  # 2026-03-29 01:00, and the hour from 2 is left out
    ],
)
def test_quiet_hours_are_those_of_a_zone(hours, zone, now, ends):
    """Nobody is woken, also where the clocks change in that night, and mornings come."""
    assert Quiet.from_text(hours).ends_at(now, zone) == ends


def test_a_rate_lets_as_many_pass_as_it_says():
    """So many at once, then evenly; never more in any stretch than twice that, which is what a burst at its end makes."""
    rate, mark, sent = Rate.from_text("6/hour"), 0, []
    for now in range(0, 4 * HOUR, 60_000):
        while rate.room(mark, now):
            mark = rate.after_one(mark, now)
            sent.append(now)
    later = rate.room_at(mark)

    assert sent[:6] == [0] * 6
    assert len(sent) == 6 + 6 * 4 - 1
    assert (rate.room(mark, later - 1), rate.room(mark, later)) == (0, 1)
    assert rate.room(rate.without_one(mark), 4 * HOUR - 60_000) == 1
