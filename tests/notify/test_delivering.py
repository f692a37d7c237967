"""What becomes of notices in the store: sent, tried again, given up, sent after all; decided once, and sent by one."""

import time
from contextlib import closing
from threading import Event

import msgspec
import pytest
import redis
from notifying import SHARDS, written
from test_contacts import DUTY, WANG

from connectors.notifications.counters import Notified
from connectors.notifications.loaded import ContactsFile
from connectors.redis import notices as kept
from connectors.redis.errors import MovedOn, StoreMismatch
from connectors.redis.notices import Notices
from domain import notices as rules
from domain.notices import Result
from flows.notify import DeliverPartition, KeepPartition, ReadPartition, StuckError, Tells, Terms, decided

ENDED = {Result.SENT, Result.DEAD, Result.DROPPED}


class Notifier:
    """The dataflow's steps without bytewax, in one thread."""

    def __init__(self, url, path):
        self.terms = Terms(ContactsFile(path), counted=Notified())
        self.reads = [ReadPartition(Notices.open(url), shard, self.terms.ending) for shard in range(SHARDS)]
        self.keeps = KeepPartition(Notices.open(url))
        self.delivers = DeliverPartition(Notices.open(url), self.terms)
        self.tells = Tells(self.terms.counted).build("tell", 0, 1)

    def decide(self):
        """Decide all that is in the streams."""
        for read in self.reads:
            while spans := read.next_batch():
                self.keeps.write_batch([decided(span, self.terms) for _, span in spans])

    def deliver(self, count):
        """Deliver until so many results are there. Returns them."""
        found, deadline = [], time.monotonic() + 30
        while len(found) < count:
            assert time.monotonic() < deadline, found
            settled = self.delivers.next_batch()
            self.tells.write_batch(settled)
            found += [each.delivery for each in settled]
            time.sleep(0.002)
        return found

    def close(self):
        """Give all connections back."""
        for each in (*self.reads, self.keeps, self.delivers):
            each.close()


@pytest.fixture
def path(tmp_path, mail, hook):
    """Contacts: Wang by mail and Duty by mail and hook."""
    channels = f'[channel.email]\nurl = "{mail.url()}"\n[channel.hook]\nurl = "{hook.url()}"\n'
    return written(tmp_path, "[limits]\nattempts = 3\n" + channels + WANG + DUTY)


@pytest.fixture
def notifier(server, notices, path):
    """A notifier."""
    with closing(Notifier(server.access.notifier_url, path)) as notifier:
        yield notifier


@pytest.fixture
def no_pauses(monkeypatch):
    """Failed attempts are repeated at once."""
    monkeypatch.setattr(rules, "BACK_OFF_FIRST_MS", 1)


def test_an_alarm_is_told_to_everybody_whom_it_concerns_and_recorded(street, notices, notifier, mail, hook):
    """Household and operators, each in their way; with who, when, what, and how it went; and nothing waits afterwards."""
    account = street.account("A-101")
    alarm = street.raise_alarm(account)
    notifier.decide()
    notifier.deliver(3)
    recorded = notices.deliveries(10)

    assert sorted(to for to, _, _ in mail.taken) == ["duty@example.com", "wang@example.com"]
    assert hook.ids() == [f"{alarm} hook Duty"]
    assert {(each.contact, each.channel, each.result, each.attempt, each.alarm) for each in recorded} == {
        ("Wang", "email", Result.SENT, 1, alarm), ("Duty", "email", Result.SENT, 1, alarm), ("Duty", "hook", Result.SENT, 1, alarm),
    }  # fmt: skip
    assert notices.waiting() == (0, 0, 0)
    assert notifier.terms.counted.deliveries == {("email", "sent"): 2, ("hook", "sent"): 1}


def test_nothing_of_before_the_first_start_is_told(server, street):
    """Who installs it today is not told of last year; unless they ask for it, at the first start only."""
    street.raise_alarm(street.account("A-101"))
    with closing(Notices.open(server.access.notifier_url)) as first:
        first.begin()
        begun = [first.alarms(shard, first.position(shard), 9) for shard in range(SHARDS)]
        with pytest.raises(StoreMismatch, match="--from is for the first start only"):
            first.begin(0)
        street.client.delete("notified:{notify}")
        first.begin(street.client.time()[0] * 1000 - 60_000)
        anew = [first.alarms(shard, first.position(shard), 9) for shard in range(SHARDS)]

    assert begun == [[], []]
    assert sorted(len(entries) for entries in anew) == [0, 1]


def test_what_fails_is_tried_again_given_up_and_sent_when_somebody_says_so(
    no_pauses, street, notices, notifier, mail, hook
):
    """Each attempt is recorded with a reason; a channel that is down holds up no other; a dead letter is kept until it is sent after all."""
    mail.refuses = True
    alarm = street.raise_alarm(street.account("A-101"))
    notifier.decide()
    found = notifier.deliver(7)
    dead = notices.dead()

    assert len(hook.taken) == 1
    assert [each.result for each in found if each.contact == "Wang"] == [Result.FAILED, Result.FAILED, Result.DEAD]
    assert {(each.contact, each.attempts) for each in dead} == {("Wang", 3), ("Duty", 3)}
    assert all("failed" in each.problem and "@" not in each.problem for each in dead)
    assert notices.waiting()[:2] == (0, 2)
    assert notifier.terms.counted.deliveries == {
        ("hook", "sent"): 1, ("email", "failed"): 4, ("email", "dead"): 2,
    }  # fmt: skip

    mail.refuses = False
    assert notices.resend([each for each in dead if each.contact == "Wang"], 0) == 1
    assert notices.resend(dead[:0], 0) == 0
    (sent,) = notifier.deliver(1)

    assert (sent.alarm, sent.contact, sent.result, sent.attempt) == (alarm, "Wang", Result.SENT, 1)
    assert [to for to, _, _ in mail.taken] == ["wang@example.com"]
    assert [each.contact for each in notices.dead()] == ["Duty"]


def test_a_message_that_did_not_go_out_uses_no_rate_up(no_pauses, street, notices, notifier, mail):
    """After a mail server was down, people are told singly as ever."""
    mail.refuses = True
    street.raise_alarm(street.account("A-101"))
    notifier.decide()
    notifier.deliver(7)
    marks = {line.decode(): int(mark) for line, mark in street.client.hgetall("rate_marks:{notify}").items()}
    step, (seconds, micros) = 360_000, street.client.time()
    now = seconds * 1000 + micros // 1000

    assert marks["email Wang"] <= now < marks["hook Duty"]
    assert marks[""] - now < step


def test_dead_letters_are_bounded_and_none_goes_in_silence(no_pauses, street, notices, notifier, mail, monkeypatch):
    """Of too many the oldest go, and that is recorded."""
    monkeypatch.setattr(kept, "DEAD_KEPT", 1)
    mail.refuses = True
    street.raise_alarm(street.account("A-101"))
    notifier.decide()
    found = notifier.deliver(8)

    assert [each.problem for each in found if each.result == Result.DROPPED] == ["too many were given up"]
    assert len(notices.dead()) == 1
    assert street.client.hlen("notices:{notify}") == 1


def test_a_digest_is_one_message_and_each_alarm_is_recorded(street, notices, notifier, hook, path):
    """Of forty alarms at once each is in the records, with how many went together."""
    path.write_text(path.read_text().replace("attempts = 3", 'attempts = 3\nrate = "4/hour"'))
    notifier.terms.contacts._looked = 0
    account = street.account("A-102")
    ids = [street.raise_alarm(account) for _ in range(40)]
    notifier.decide()
    found = [each for each in notifier.deliver(80) if each.channel == "hook"]

    assert len(hook.taken) == 4
    assert sorted(each.together for each in found) == [1] * 3 + [37] * 37
    assert {each.alarm for each in found} == set(ids)
    assert "37 条告警" in hook.taken[-1][1]["title"]


def test_alarms_are_decided_once(server, street, notices, notifier):
    """Of two notifiers that have read the same alarms the later one is refused, and keeps nothing."""
    street.raise_alarm(street.account("A-101"))
    other = [ReadPartition(Notices.open(server.access.notifier_url), shard, Event()) for shard in range(SHARDS)]
    spans = [span for read in other for _, span in read.next_batch()]
    notifier.decide()
    before = street.client.hgetall("notices:{notify}")

    with pytest.raises(MovedOn, match="another notifier is at work"):
        notifier.keeps.write_batch([decided(span, notifier.terms) for span in spans])

    assert street.client.hgetall("notices:{notify}") == before
    for read in other:
        read.close()


def test_only_the_sender_that_started_last_sends(server, street, notices, notifier, hook, path):
    """One that was believed dead ends before it sends anything."""
    street.raise_alarm(street.account("A-101"))
    notifier.decide()
    with closing(Notifier(server.access.notifier_url, path)) as later:
        with pytest.raises(MovedOn, match="another notifier is at work: sender is 2, not 1"):
            notifier.deliver(1)
        assert hook.taken == []
        later.deliver(3)

    assert len(hook.taken) == 1


def test_a_mistake_of_ours_fails_one_message_and_says_only_its_kind(
    no_pauses, street, notices, notifier, mail, hook, monkeypatch
):
    """A bug met by one message neither ends the notifier nor leaks what it was about."""

    def broken(_, message):
        raise KeyError(message.contact.addresses)

    monkeypatch.setattr("connectors.notifications.templates.Templates.words", broken)
    street.raise_alarm(street.account("A-101"))
    notifier.decide()
    notifier.deliver(9)

    assert {each.problem for each in notices.dead()} == {"a mistake of ours: KeyError"}
    assert len(notices.dead()) == 3


def test_a_message_that_never_ends_ends_the_notifier(street, notices, notifier, hook, monkeypatch):
    """Whoever watches starts it again; what else has ended is recorded before."""
    hook.hangs = 1.0
    street.raise_alarm(street.account("A-101"))
    notifier.decide()
    notifier.deliver(2)
    monkeypatch.setattr("flows.notify.STUCK_SECONDS", 0.0)

    with pytest.raises(StuckError, match="a message over hook has been under way for 0 s"):
        notifier.deliver(1)
    assert [each.channel for each in notices.deliveries(9)] == ["email", "email"]
    assert notices.waiting()[0] == 1


def test_waiting_and_lag_are_counted(no_pauses, street, notices, notifier, mail, monkeypatch):
    """What a gauge shows while a service is down."""
    mail.refuses = True
    monkeypatch.setattr(rules, "BACK_OFF_FIRST_MS", 3_600_000)
    street.raise_alarm(street.account("A-101"))
    notifier.decide()
    notifier.deliver(3)
    notifier.delivers.next_batch()

    assert (notifier.terms.counted.waiting, notifier.terms.counted.dead_letters) == (2, 0)
    assert notifier.terms.counted.lag_seconds == 0.0


@pytest.mark.parametrize(
    "command",
    [
        ["xadd", "alarms:{00}", "*", "v", "1"],
        ["xadd", "log:{00}", "*", "v", "1"],
        ["xrange", "log:{00}", "-", "+"],
        ["get", "accounts:{00}"],
        ["hset", "account_records:{00}", "A-101", "x"],
        ["hgetall", "people:{access}"],
        ["config", "get", "*"],
        ["flushall"],
    ],
)
def test_a_notifier_has_few_rights(server, street, command):
    """It can tell people and keep what was told; it can change nothing that others decide, and see no balance row, no log and nobody's password."""
    with (
        closing(redis.Redis.from_url(server.access.notifier_url)) as client,
        pytest.raises(redis.exceptions.NoPermissionError),
    ):
        client.execute_command(*command)


def test_nothing_in_the_store_is_an_address_or_a_secret(no_pauses, street, notices, notifier, mail, hook):
    """A backup of the store tells no stranger how to reach anybody, or to send in our name."""
    mail.refuses = True
    hook.answers = 500
    street.raise_alarm(street.account("A-101"))
    notifier.decide()
    notifier.deliver(9)
    everything = b""
    for name in (b"notified", b"notices", b"notices_due", b"notices_dead", b"rate_marks", b"deliveries"):
        everything += street.client.dump(name + b":{notify}") or b""
    for each in (*notices.dead(), *notices.deliveries(100)):
        everything += msgspec.json.encode(each)

    assert b"Wang" in everything
    assert not any(secret in everything for secret in (b"example.com", b"hunter", b"8e5c1f", b"127.0.0.1"))
