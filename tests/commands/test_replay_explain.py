"""`meterline replay --explain` and `--tariff` on a real store: what a clerk reads, and that it is what the ledger has."""

import contextlib
import csv
import json
import sys
from fractions import Fraction
from pathlib import Path

import msgspec
import numpy as np
import pytest
import redis
from log_samples import options
from typer.testing import CliRunner

from connectors.redis.keys import ledger_key
from connectors.redis.store import Store
from domain.effects import POSTING
from domain.facts import TariffPublished
from domain.ids import shard_of
from domain.units import money_micros
from flows.settle import settle_once
from meterline import app_of

sys.path.append(str(Path(__file__).parents[1] / "journeys"))
from language import live

ROOT = Path(__file__).parents[2]
SHARDS = 2
JOURNEY = """in Asia/Shanghai
2025-12-06
08:00 sets site street in Asia/Shanghai paid in CNY
08:00 publishes day-and-night-ladder
08:00 publishes one-yuan
08:00 opens room-201
08:00 opens room-202
08:00 installs meter 1 in room-201 at 100.000 tariff day-and-night-ladder
08:00 installs meter 2 in room-202 at 7.000 tariff one-yuan
08:00 allows room-201 4.000 of electricity a month
08:00 tops up room-201 50.00
21:30 reads meter 1 103.333
22:30 reads meter 1 112.500
23:00 reads meter 2 8.001
2025-12-07
07:00 reads meter 2 9.004
07:05 corrects meter 2 2025-12-06 22:00 to 2025-12-06 23:00 by -0.501 order K because the photo
2025-12-08
05:00 reads meter 1 121.000
08:00 ticks
09:00 reads meter 1 122.000
"""
SIXTH = """\
room-201, meter 000000000001, 2025-12-06 (Asia/Shanghai), kWh
reading            register           spread over    kWh  used before  band    tier  price   cost  of it free
"""
OVER_THE_TIER = """\
21:30–22:30        103.333 → 112.500  21:30–22:00  0.667        3.333  peak       1      1  0.667       0.667
                                      21:30–22:00  3.916        4.000  peak       1      1  3.916            
                                      22:00–22:30  2.084        7.916  valley     1    0.5  1.042            
                                      22:00–22:30  2.500       10.000  valley     2      1    2.5            
22:30–12-08 05:00  112.500 → 121.000  22:30–23:00  0.139       12.500  valley     2      1  0.139            
                                      23:00–24:00  0.279       12.639  valley     2      1  0.279            
  By “Day and night, in tiers”, prices from 2024-01-01 00:00, tiers counted from 2025-12-01 00:00:
  Cost of the day: 11.876
  Of it free: 4
  Posted: 11.876 CNY (posting 4, 2025-12-08 05:00)
  Of it free: 4.00 CNY (posting 5, 2025-12-08 05:00)
  Carried on: 0
"""  # noqa: W291 - a table's last column may be empty


@pytest.fixture
def store(server):
    """Two rooms over three days: free energy, a tier within an hour, an outage over two nights, a correction, and a price of eight decimals."""
    store = Store.open(server.url, SHARDS)
    facts = []
    for _, found in live(JOURNEY):
        fact = found.fact
        assert not any(outcome.refusal for outcome in found.effects.outcomes)
        if isinstance(fact, TariffPublished):
            fact = msgspec.structs.replace(fact, document=fact.document.replace('price = "1"', 'price = "0.61700055"'))
        facts += [(shard, fact) for shard in range(SHARDS)]
    store.append_many(facts)
    settle_once(store)
    yield store
    store.close()


def replay(server, *arguments):
    """Run `meterline replay` on a server's data directory, in this process."""
    told = ["replay", *arguments, "--data", str(server.data)]
    return CliRunner().invoke(app_of(["replay"]), told, env={"REDIS_URL": ""}, catch_exceptions=False)


def test_a_day_is_explained_down_to_its_readings(server, store):
    """Readings, hours, bands, tiers, what was free, and the postings: a clerk can add it up by hand."""
    done = replay(server, "room-201", "--explain", "2025-12-06")

    assert done.exit_code == 0, done.stderr
    assert done.stdout.startswith(SIXTH)
    assert OVER_THE_TIER in done.stdout
    assert done.stdout.endswith("Worked out a second time, every amount is as in the ledger.\n")


def test_figures_add_up_to_the_postings(server, store):
    """In the JSON every part is quantity × price, parts are the cost, and with what is carried they are what was posted, exactly."""
    told = replay(server, "room-202", "--explain", "2025-12-06..2025-12-09", "--json")
    found = json.loads(told.stdout.splitlines()[-1])

    assert told.exit_code == 0, told.stderr
    assert found["reproduced"]
    assert [day["day"] for day in found["days"]] == ["2025-12-06", "2025-12-07"]
    for day in found["days"]:
        parts = [part for charge in day["charges"] for part in charge["parts"]]
        assert all(Fraction(part["usage"]) * Fraction(part["price"]) == Fraction(part["cost"]) for part in parts)
        assert sum(Fraction(part["cost"]) for part in parts) == Fraction(day["cost"])
        posted = sum(Fraction(each["amount"]) for each in day["posted"])
        before = Fraction(day["carried"]) + Fraction(day["cost"]) + Fraction(day["corrections_rest"])
        assert before == posted + Fraction(day["carried_on"])
    (correction,) = found["corrections"]
    assert correction["charge"]["usage"] == "-0.501"
    assert Fraction(correction["cost"]) == Fraction("-0.501") * Fraction("0.61700055")


def test_the_day_of_a_posting_is_explained_in_chinese(server, store):
    """A posting's number finds its day; the words are the tenant's."""
    done = replay(server, "room-201", "--explain", "6", "--lang", "zh")

    assert done.exit_code == 0, done.stderr
    assert done.stdout.startswith("room-201，表 000000000001，2025-12-07（Asia/Shanghai），kWh\n")
    assert "入账: 11.147 CNY" in done.stdout
    assert done.stdout.endswith("已独立重算，各项金额与账本完全一致。\n")


def test_a_ledger_that_was_changed_is_not_reproduced(server, store):
    """One micro on disk is enough: the command says which posting it is, with code 1."""
    shard = shard_of("room-201", SHARDS)
    row = store.load(shard).records["account_records"]["room-201"].row
    packed = np.frombuffer(store.ledgers(shard, [row])[0], POSTING).copy()
    place = int(np.flatnonzero(packed["meter"])[0])
    packed["amount"][place] += 1
    with contextlib.closing(redis.Redis.from_url(server.url, **options())) as client:
        client.lset(ledger_key(shard, row), place, packed[place].tobytes())

    done = replay(server, "room-201", "--explain", "2025-12-06", "--json")

    assert done.exit_code == 1
    number = int(packed["sequence"][place])
    assert f"IT CANNOT BE REPRODUCED: posting {number} of the ledger is not what the log gives" in done.stdout
    assert json.loads(done.stdout.splitlines()[-1])["reproduced"] is False


def test_a_shard_is_shown_and_held_against_the_store(server, store):
    """All accounts, meters and balances of a shard, now and then."""
    shard = str(shard_of("room-201", SHARDS))
    now = replay(server, "--shard", shard, "--diff", "--json")
    then = replay(server, "--shard", shard, "--until", "2025-12-07 07:04", "--json")

    assert (now.exit_code, then.exit_code) == (0, 0), now.stderr + then.stderr
    figures = json.loads(now.stdout.splitlines()[-1])
    assert figures["accounts"] == {"open": 2, "prepared": 0, "closed": 0}
    assert (figures["meters"], figures["differences"]) == (2, [])
    assert json.loads(then.stdout.splitlines()[-1])["balances"] == {
        "CNY": "41.30553"
    }  # 50 - 7.458 - 2.004 × 0.61700055, rounded down
    assert "2 accounts (2 open), 2 meters" in now.stdout


def test_what_would_be_paid_by_another_tariff(server, store, tmp_path):
    """Each account before and after, all together, how many pay more, and a distribution; a file has every account exactly."""
    tariff, output = tmp_path / "two.toml", tmp_path / "accounts.csv"
    text = (ROOT / "tests/journeys/tariffs/one-yuan.toml").read_text(encoding="utf-8")
    tariff.write_text(text.replace("one-yuan", "two-yuan").replace('price = "1"', 'price = "2"'), encoding="utf-8")
    shard = str(shard_of("room-201", SHARDS))

    done = replay(server, "--shard", shard, "--tariff", str(tariff), "-o", str(output), "--json")
    days = replay(server, "room-201", "--tariff", str(tariff), "--from", "2025-12-07", "--to", "2025-12-07", "--json")

    assert (done.exit_code, days.exit_code) == (0, 0), done.stderr + days.stderr
    figures = json.loads(done.stdout.splitlines()[-1])
    with output.open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert rows == figures["accounts"]
    assert [(row["account"], row["usage"], row["would"]) for row in rows] == [
        ("room-201", "22.000", "36.00"), ("room-202", "1.503", "3.006"),
    ]  # fmt: skip
    assert sum(money_micros(row["difference"]) for row in rows) == money_micros(figures["difference"])
    assert (figures["less"], figures["same"], figures["more"]) == (0, 0, 2)
    assert sum(each["accounts"] for each in figures["bins"]) == 2
    assert figures["quantiles"]["5"] in {row["difference"] for row in rows}
    assert "0 would pay less, 0 the same, 2 more" in done.stdout
    (row,) = json.loads(days.stdout.splitlines()[-1])["accounts"]
    assert (row["usage"], row["was"], row["would"]) == ("6.688", "11.147", "13.376")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "name an ACCOUNT, or --shard"),
        (["room-201", "--shard", "0"], "leave out --shard"),
        (["--shard", "7"], "expected one of 0 to 1"),
        (["--shard", "0", "--explain", "2025-12-06"], "--explain is for an ACCOUNT"),
        (["room-201", "--explain", "yesterday"], "found 'yesterday'; expected a day such as"),
        (["room-201", "--explain", "2025-12-07..2025-12-06"], "expected the earlier day first"),
        (["room-201", "--explain", "1"], "posting 1, which is not for usage"),
        (["room-201", "--explain", "99"], "posting 99, which is not in what the ledger has"),
        (["nobody", "--explain", "2025-12-06"], "is not in the store"),
        (["room-201", "--from", "2025-12-06"], "go with --tariff"),
        (["--tariff", "beijing-residential", "--from", "2025-13-06"], "--from: found '2025-13-06'"),
        (["--tariff", "beijing-residential", "--from", "2025-12-06", "--to", "2025-12-05"], "is after --to"),
        (["--tariff", "dominion-schedule-1"], "a wallet cannot be charged by it"),
        (["--tariff", "no-such"], "expected a tariff file, or one of the catalogue"),
        (
            ["nobody", "--tariff", "beijing-residential"],
            "account 'nobody' has no meter that this tariff is for: electricity, paid in CNY",
        ),
        (["--tariff", "economy-7-example"], "no account has a meter that this tariff is for: electricity, paid in GBP"),
    ],
)
def test_what_cannot_be_answered_is_refused(server, store, arguments, said):
    """A mistake is said in words, with code 2."""
    done = replay(server, *arguments)

    assert done.exit_code == 2
    assert said in done.stderr
