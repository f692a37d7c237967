"""What foreign programs get when all journeys happen on a real server, held against the contract (docs/asyncapi.json)."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import msgspec
import pytest
import redis
from jsonschema import Draft202012Validator, FormatChecker
from language import live

from connectors.redis.commit import commit_of
from connectors.redis.formats import encode_fact
from connectors.redis.keys import ALARM_MESSAGES, alarm_channel, key
from connectors.redis.server import EmbeddedServer
from connectors.redis.store import Store
from domain.effects import Alarm, Effects
from domain.facts import AlarmTerms, Place
from domain.ids import entry_text
from domain.state import AccountRecord, Changes, ShardHeader
from domain.words import AlarmKind, AlarmState
from flows.settle import settle_once

HERE = Path(__file__).parent
JOURNEYS = sorted(HERE.glob("*.txt"))
DOCUMENT = json.loads((HERE.parents[1] / "docs" / "asyncapi.json").read_text(encoding="utf-8"))
GARDEN = Place(site="Garden", building="1", floor="1", room="101")
ACCOUNT = AccountRecord(
    row=0, account="A-101", currency="CNY", name="王", place=GARDEN, alarms=AlarmTerms(), opened_at=1
)


def strict(name: str) -> Draft202012Validator:
    """A validator of a message's payload that takes no field which is not described."""
    schemas = json.loads(json.dumps(DOCUMENT["components"]["schemas"]))
    for schema in schemas.values():
        if "properties" in schema:
            schema["additionalProperties"] = False
    payload = DOCUMENT["components"]["messages"][name]["payload"]
    return Draft202012Validator({**payload, "components": {"schemas": schemas}}, format_checker=FormatChecker())


@dataclass
class Told:
    """What was caused, and what came of it to whoever listens and to whoever reads the streams."""

    caused: dict[int, list[Alarm]]
    heard: list[tuple[str, dict]]
    kept: dict[int, list[tuple[str, list[dict]]]]
    record: dict[int, list[Alarm]]

    def on(self, channel: str) -> list[dict]:
        """The messages of one channel, as they came."""
        return [message for name, message in self.heard if name == channel]

    def of_streams(self) -> list[dict]:
        """All messages of the streams, shard by shard."""
        return [message for entries in self.kept.values() for _, messages in entries for message in messages]


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Told]:
    """Every journey in a shard of its own; and in one more shard each kind of alarm in each state, of an account with a room."""
    server = EmbeddedServer.start(tmp_path_factory.mktemp("alarms") / "data")
    store = Store.open(server.url, len(JOURNEYS) + 1)
    client = redis.Redis.from_url(server.access.reader_url)
    listener = client.pubsub(ignore_subscribe_messages=True)
    listener.psubscribe("alarms*")
    listener.get_message(timeout=5)
    caused = {shard: lived(store, shard, journey) for shard, journey in enumerate(JOURNEYS)}
    settle_once(store)
    caused[len(JOURNEYS)] = every_kind_and_state(store, len(JOURNEYS))
    heard = list(messages(store, listener))
    shards = range(store.shards)
    kept = {shard: entries(client, shard) for shard in shards}
    record = {shard: decoded(store, shard) for shard in shards}
    yield Told(caused, heard, kept, record)
    store.close()
    server.stop()


def lived(store: Store, shard: int, journey: Path) -> list[Alarm]:
    """Put a journey's facts into a shard's log under the ids that they have in the journey; what they cause there."""
    found = [each for _, each in live(journey.read_text(encoding="utf-8"))]
    pipe = store._at(shard).pipeline(transaction=False)
    for each in found:
        pipe.xadd(key("log", shard), encode_fact(each.fact), id=entry_text(each.effects.entry))
    pipe.execute()
    here = [(alarm, alarm.id.replace("00-", f"{shard:02d}-", 1)) for each in found for alarm in each.effects.alarms]
    return [msgspec.structs.replace(alarm, id=own) for alarm, own in here]


def every_kind_and_state(store: Store, shard: int) -> list[Alarm]:
    """Commit one alarm of each kind in each state."""
    alarms = [
        Alarm(
            id=f"{shard:02d}-1-0-{number}", kind=kind, state=state, at=1, account="A-101", meter=7, balance=-10_000_001
        )
        for number, (kind, state) in enumerate((kind, state) for kind in AlarmKind for state in AlarmState)
    ]
    effects = Effects((1, 0), alarms=alarms, accounts={"A-101": ACCOUNT})
    store.commit(commit_of(shard, (0, 0), (1, 0), Changes(ShardHeader(), {}, {}), [effects]))
    return alarms


def messages(store: Store, listener: redis.client.PubSub) -> Iterator[tuple[str, dict]]:
    """All that was published until now, with its channel."""
    store._at(0).publish("alarms:end of the test", "null")
    while message := listener.get_message(timeout=5):
        if message["channel"] == b"alarms:end of the test":
            return
        yield message["channel"].decode(), json.loads(message["data"])


def entries(client: redis.Redis, shard: int) -> list[tuple[str, list[dict]]]:
    """What a foreign program reads from a stream."""
    found = client.xrange(key(ALARM_MESSAGES, shard))
    assert all(list(fields) == [b"messages"] for _, fields in found)
    return [(entry.decode(), json.loads(fields[b"messages"])) for entry, fields in found]


def decoded(store: Store, shard: int) -> list[Alarm]:
    """What the record has."""
    return [a for _, f in store.stream("alarms", shard) for a in msgspec.msgpack.decode(f[b"b"], type=list[Alarm])]


def test_every_kind_and_state_is_told(told):
    """The journeys cause every kind of alarm and every state, and all of it arrives in streams and on the channel."""
    journeys = [alarm for shard, alarms in told.caused.items() if shard < len(JOURNEYS) for alarm in alarms]
    assert {alarm.kind for alarm in journeys} == set(AlarmKind)
    assert {alarm.state for alarm in journeys} == set(AlarmState)

    for found in (told.on("alarms"), told.of_streams()):
        assert {(each["kind"], each["state"]) for each in found} == {(k, s) for k in AlarmKind for s in AlarmState}


def test_every_message_is_as_the_description_says(told):
    """A consumer that was generated from docs/asyncapi.json understands every real message, on channels and in streams."""
    alarm, alarms = strict("alarm"), strict("alarms")

    for _, message in told.heard:
        alarm.validate(message)
    for found in told.kept.values():
        for _, message in found:
            alarms.validate(message)


def test_a_message_that_is_otherwise_is_found_out(told):
    """The check above can fail: for a field too many, too few, or of another type."""
    alarm, message = strict("alarm"), told.on("alarms")[0]

    wrong = [
        message | {"more": 1},
        {**message, "balance": 1.5},
        {**message, "at": "yesterday"},
        {**message, "kind": "?"},
    ]
    wrong += [{name: value for name, value in message.items() if name != missing} for missing in message]

    assert alarm.is_valid(message)
    assert not any(alarm.is_valid(each) for each in wrong)


def test_an_event_has_one_id_and_comes_once(told):
    """Channel, streams and record have the same events with the same ids, each once, each shard's in the order of its log."""
    for shard, alarms in told.caused.items():
        ids = [alarm.id for alarm in alarms]
        of_shard = [each["id"] for each in told.on("alarms") if each["id"].startswith(f"{shard:02d}-")]

        assert [alarm.id for alarm in told.record[shard]] == ids
        assert [each["id"] for _, found in told.kept[shard] for each in found] == ids
        assert of_shard == ids
        assert len(set(ids)) == len(ids)


def test_an_event_says_its_entry(told):
    """From an event's id follows where it is in the stream."""
    for shard, found in told.kept.items():
        for entry, alarms in found:
            assert [each["id"] for each in alarms] == [f"{shard:02d}-{entry}-{number}" for number in range(len(alarms))]


def test_an_accounts_events_are_in_order(told):
    """Of every account, what was raised last is what is cleared next: nobody hears that an alarm is over before it began."""
    for found in (told.on("alarms"), told.of_streams()):
        standing = set()
        for each in (each for each in found if int(each["id"].split("-")[0]) < len(JOURNEYS)):
            about = each["id"].split("-")[0], each["about"]
            if each["state"] == "raised":
                assert about not in standing, each
                standing.add(about)
            elif each["state"] != "noted":
                assert about in standing, each
            if each["cleared"]:
                standing.remove(about)


def test_a_site_hears_its_own(told):
    """On a site's channel are the messages of the site, those of `alarms`, and nothing of what is nowhere."""
    own = told.on(alarm_channel("Garden"))

    assert own == [each for each in told.on("alarms") if each["site"] == "Garden"] != []
    assert {name for name, _ in told.heard} == {"alarms", "alarms:Garden"}


def test_every_address_is_described(told):
    """The channels and streams that there are have the addresses of the description."""
    addresses = [re.sub(r"\\{\w+\\}", ".+", re.escape(each["address"])) for each in DOCUMENT["channels"].values()]
    streams = {key(ALARM_MESSAGES, shard) for shard in told.kept}

    for name in {channel for channel, _ in told.heard} | streams:
        assert any(re.fullmatch(address, name) for address in addresses), name
