"""The second stage on a real store: sub-meters that live in other shards than their main meter, and a process that is killed."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import msgspec
import numpy as np
import pytest
from log_samples import START, TARIFF, order_text

from connectors.redis.store import Store
from connectors.redis.streams import Streams
from domain.effects import Alarm
from domain.facts import (
    AccountOpened,
    MainMeterSet,
    MeterInstalled,
    MeterRemoved,
    MeterReplaced,
    ReadingBlock,
    SubMetersCounted,
    TariffPublished,
    Ticked,
)
from domain.ids import shard_of
from domain.units import DAY_MS, HOUR_MS, MINUTE_MS
from domain.words import Commodity
from flows.count import Counting
from flows.settle import settle_once

ROOT = Path(__file__).parents[2]
SHARDS = 4
MAIN, SUBS = 1, (2, 3, 4)
MIDNIGHT = START - 8 * HOUR_MS
"""The begin of the first day, in Shanghai."""
pytestmark = pytest.mark.parametrize("server", ["bundled"], indirect=True)


class Building:
    """A main meter and three sub-meters, each in a shard of its own. `days` have ended."""

    def __init__(self, server):
        self.store = Store.open(server.url, SHARDS)
        self.orders, self.days = 0, 0
        self.accounts = {}
        for number, shard in zip((MAIN, *SUBS), range(SHARDS), strict=True):
            self.accounts[number] = next(name for n in range(99) if shard_of(name := f"room-{n}", SHARDS) == shard)
        self.registers = dict.fromkeys(self.accounts, 0)
        for shard in range(SHARDS):
            tariff = TariffPublished(at=START, id=self.id(), tariff="flat", document=TARIFF)
            self.store.append(shard, tariff)
        for number, account in self.accounts.items():
            self.tell(number, AccountOpened(at=START, id=self.id(), account=account, currency="CNY"))
            self.tell(number, self.installed(number, account))
        named = MainMeterSet(at=START, id=self.id(), meter=MAIN, subs=SUBS, loss_max_permille=50, loss_min=0)
        self.tell(MAIN, named)
        self.store.append_to_all(Ticked(at=START))

    def id(self):
        """A new order id."""
        self.orders += 1
        return order_text(START, self.orders)

    def installed(self, number, account):
        """A meter that begins at zero."""
        return MeterInstalled(
            at=START, id=self.id(), meter=number, account=account, commodity=Commodity.ELECTRICITY, tariff="flat", modulus=0,
            rated_per_hour=1_000_000, opening_register=0,
        )  # fmt: skip

    def tell(self, number, fact):
        """A fact for the shard of a meter."""
        self.store.append(shard_of(self.accounts[number], SHARDS), fact)

    def at(self, hours, minutes=0):
        """A time of the day that is open, ms UTC."""
        return MIDNIGHT + self.days * DAY_MS + hours * HOUR_MS + minutes * MINUTE_MS

    def lives(self, *used):
        """A day with these usages, until two hours after its end, settled."""
        self.uses(self.at(22, 30), dict(zip(self.registers, used, strict=True)))
        self.uses(self.at(24, 10), dict.fromkeys(self.registers, 0))
        self.store.append_to_all(Ticked(at=self.at(26)))
        self.days += 1
        settle_once(self.store)

    def uses(self, at, used):
        """Readings of all meters at a time."""
        self.store.append_to_all(Ticked(at=at))
        for number, usage in used.items():
            self.registers[number] += usage
            columns = (np.array([each], np.int64) for each in (number, at, self.registers[number]))
            self.tell(number, ReadingBlock(*columns))

    def answers(self):
        """What the second stage has said."""
        entries = self.store.read(shard_of(self.accounts[MAIN], SHARDS), (0, 0), 10_000)
        return [fact for _, fact in entries if isinstance(fact, SubMetersCounted)]

    def losses(self):
        """The alarms of line losses, of all shards."""
        streams = [self.store.stream("alarms", shard) for shard in range(SHARDS)]
        alarms = [
            alarm for found in streams for _, fields in found for alarm in msgspec.msgpack.decode(fields[b"b"], type=list[Alarm])
        ]  # fmt: skip
        return [(alarm.state, alarm.meter, alarm.reason) for alarm in alarms if alarm.kind == "line_loss"]


@pytest.fixture
def building(server):
    """A building whose first day, which is not compared, is over."""
    building = Building(server)
    building.lives(5, 0, 0, 0)
    Counting(building.store).count()
    settle_once(building.store)
    yield building
    building.store.close()


def test_sub_meters_count_wherever_they_live(building):
    """Three sub-meters in three other shards: what they do not count is lost, and is an alarm of the main meter's shard."""
    counting = Counting(building.store)
    building.lives(10_000, 3_000, 2_000, 4_600)
    assert counting.count() == 1
    settle_once(building.store)
    assert building.losses() == []

    building.lives(10_000, 3_000, 2_000, 4_000)
    assert counting.count() == 1
    settle_once(building.store)

    assert building.losses() == [("raised", MAIN, "10.000 − 9.000 = 1.000 kWh, 10.0 %")]
    assert counting.count() == 0


def test_usage_that_will_be_asked_about_is_not_trimmed(building, server):
    """While a main meter is named no archiver trims usage that its next comparison needs, even if the stage has died."""
    building.lives(10_000, 3_000, 2_000, 4_600)
    Counting(building.store).count()
    streams = Streams.open(server.url)
    shard = shard_of(building.accounts[2], SHARDS)
    before = building.store.stream("usage", shard)

    streams.trim("usage", shard, before[-1][0], kept_ms=0)

    assert building.store.stream("usage", shard) == before
    streams.close()


def test_a_stage_that_forgets_everything_doubles_nothing(building):
    """Killed after each answer and before it knows that it was heard: it answers again, and the machine hears it once."""
    for used in ((10_000, 3_000, 2_000, 1_000), (10_000, 3_000, 3_000, 4_000)):
        building.lives(*used)
        assert [Counting(building.store).count() for _ in range(3)] == [1, 1, 1]
        settle_once(building.store)

    assert [state for state, _, _ in building.losses()] == ["raised", "cleared"]


def test_an_answer_waits_for_the_slowest_shard(building):
    """A shard that is behind is not a silent meter: nothing is said before it has come as far as the others."""
    counting = Counting(building.store)
    building.lives(10_000, 3_000, 2_000, 4_900)
    building.uses(building.at(22, 30), {MAIN: 10_000, 2: 5_000, 3: 5_000, 4: 0})
    building.uses(building.at(24, 10), dict.fromkeys(building.registers, 0))
    late = Ticked(at=building.at(26))
    building.store.append_many((shard, late) for shard in range(SHARDS - 1))
    settle_once(building.store)
    assert counting.count() == 0

    building.store.append(SHARDS - 1, late)
    settle_once(building.store)

    assert counting.count() == 1
    assert [(answer.used, answer.counted) for answer in building.answers()[1:]] == [(20_000, 19_900)]


def test_a_sub_meter_of_another_shard_is_replaced_and_one_is_taken_down(building):
    """The second stage finds the successor where it is, counts both on the day of the replacement, and says what hangs there now."""
    building.uses(building.at(12), dict.fromkeys(building.registers, 1_000))
    at = building.at(12)
    replaced = MeterReplaced(
        at=at, id=building.id(), meter=2, closing_register=1_000, new_meter=9, opening_register=0, modulus=0, rated_per_hour=10**6
    )  # fmt: skip
    building.tell(2, replaced)
    building.tell(3, MeterRemoved(at=at, id=building.id(), meter=3, closing_register=1_000))
    building.accounts[9], building.registers[9] = building.accounts[2], 0
    for gone in (2, 3):
        del building.registers[gone]
    building.lives(3_000, 500, 1_500)
    Counting(building.store).count()
    settle_once(building.store)

    answer = building.answers()[-1]
    assert (answer.used, answer.counted, answer.subs_now) == (4_000, 1_000 + 1_000 + 1_500 + 1_500, (4, 9))
    assert building.losses() == []


class Process:
    """`meterline count` as an operator runs it."""

    def __init__(self, url):
        self.process = subprocess.Popen(
            [sys.executable, "-m", "meterline", "count"], cwd=ROOT, env=os.environ | {"REDIS_URL": url},
            stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip

    def wait_for(self, holds):
        """Poll until something holds while the process lives."""
        deadline = time.monotonic() + 60
        while not holds():
            assert self.process.poll() is None, self.process.stderr.read()
            assert time.monotonic() < deadline, "the second stage says nothing"
            time.sleep(0.02)

    def kill(self):
        """End it as a power cut would."""
        self.process.send_signal(signal.SIGKILL)
        self.process.communicate()


def test_a_process_that_is_killed_goes_on_where_the_machine_is(server, building):
    """Killed each day when it has answered, whether or not the machine has heard it, the command raises one alarm and clears it."""
    for heard, used in ((True, (10_000, 0, 0, 0)), (False, (9_000, 0, 0, 0)), (True, (9_000, 3_000, 3_000, 3_000))):
        answered = len(building.answers())
        building.lives(*used)
        process = Process(server.url)
        process.wait_for(lambda answered=answered: len(building.answers()) > answered)
        process.kill()
        if heard:
            settle_once(building.store)

    process = Process(server.url)
    process.wait_for(lambda: settle_once(building.store) == 0)
    process.kill()
    assert [state for state, _, _ in building.losses()] == ["raised", "cleared"]
    assert [answer.used for answer in building.answers()] == [0, 10_000, 9_000, 9_000]


def test_a_store_that_does_not_answer_ends_it(building, server):
    """Whoever supervises it starts it again: it ends with a sentence, not with a traceback."""
    process = Process(server.url)
    server.stop()

    _, said = process.process.communicate(timeout=60)

    assert process.process.returncode == 1
    assert "Traceback" not in said
