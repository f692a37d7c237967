"""The benches do the work that they report."""

import json

import msgspec
import numpy as np
import pytest
from bytewax.testing import run_main
from typer.testing import CliRunner

from bench import baseline, fold, price
from bench.scene import DOCUMENT, T0, TARIFF, opened, order
from bench.street import RECHARGE, SMALL_RECHARGE, street
from commands.bench import app
from domain.facts import TariffPublished
from domain.state import ROWS
from domain.words import Level, Metering
from flows.machine import fold as machine
from flows.state import ShardState


@pytest.mark.parametrize("block", [0, 7])
def test_fold_counts_every_reading_and_raises_alarms(block):
    """Whatever the block, every reading is believed, priced and, where money runs out, told of."""
    state = fold.opened_street(1000)

    result = fold.run(state, 24, block)

    assert (result["meters"], result["sweeps"], result["block"]) == (1000, 24, block or 1000)
    assert state.header.classes[Metering.NORMAL] == sum(state.header.classes) == 24_000
    assert state.header.usage == (24 * int(fold.usages(1000).sum()), 0)
    assert np.flatnonzero(state.accounts.rows["level"] >= Level.LOW).tolist() == [999]


def test_price_charges_every_meter():
    """The loop that is measured moves money, in every wallet."""
    rows = price.street(30)

    price.run(rows, 4)

    assert (rows.accounts["balance"] < 0).all()
    assert (rows.meters["day_usage"] == 4 * price.usages(30)).all()


def test_the_last_line_is_json():
    """Whoever compares figures reads the last line, with the median run and all others."""
    told = CliRunner().invoke(app, ["price", "--meters", "10", "--sweeps", "2", "--runs", "3"])

    result = json.loads(told.stdout.splitlines()[-1])
    assert len(result["readings_per_s_of_runs"]) == 3
    assert sorted(result["readings_per_s_of_runs"])[1] == result["readings_per_s"]


def test_the_street_is_what_the_machine_opens():
    """Rows and records made at once are those that opening every account would give; only digests of openings differ."""
    facts = [TariffPublished(at=T0, id=order(), tariff=TARIFF, document=DOCUMENT)]
    for number in (998, 1000, 1001):
        facts += opened(number, TARIFF, RECHARGE if number % 1000 else SMALL_RECHARGE)
    expected, _ = machine(ShardState(0), [((1, n), fact) for n, fact in enumerate(facts)])

    made = ShardState.of(street([998, 1000, 1001]))

    for name in ROWS:
        assert getattr(made, name).rows.tobytes() == getattr(expected, name).rows.tobytes()
    assert made.meter_records.sorted() == expected.meter_records.sorted()
    for (name, record), (_, opening) in zip(
        made.account_records.sorted(), expected.account_records.sorted(), strict=True
    ):
        assert msgspec.structs.replace(record, opening=opening.opening) == opening, name


def test_the_baseline_comes_to_the_same_balances():
    """What the kernel is compared with does the same work: two days of readings leave the same money, to the nano, everywhere."""
    sink, state = baseline.Balances(), fold.opened_street(1000)
    run_main(baseline.flow(baseline.readings_of(1000, 192), sink))

    fold.run(state, 192, 0)

    rows = state.accounts.rows
    kept = [1000 * int(row["balance"]) + int(row["balance_picos"]) // 1000 for row in rows]
    assert [sink.balances[number] for number in range(1, 1001)] == kept
    assert sink.alarms == np.count_nonzero(rows["level"]) * 3


TINY = {
    "price": ["--meters", "10", "--sweeps", "2", "--runs", "1"],
    "fold": ["--meters", "10", "--sweeps", "2", "--runs", "1"],
    "settle": ["--meters", "40", "--block", "10", "--sweeps", "2", "--runs", "2", "--blocks-at-once", "2"],
    "latency": ["--meters", "40", "--block", "5", "--rate", "100", "--seconds", "0.5", "--shards", "2"],
    "memory": [
        "--meters",
        "40",
        "--block",
        "5",
        "--rate",
        "500",
        "--seconds",
        "2",
        "--shards",
        "2",
        "--keep-minutes",
        "0",
        "--every-minutes",
        "0",
    ],
    "parts": ["--meters", "40", "--block", "1", "--sweeps", "20", "--shards", "2"],
    "scale": ["--meters", "40", "--meters", "80"],
    "replay": ["--accounts", "6", "--days", "1", "--block", "2", "--shards", "2"],
    "baseline": ["--meters", "40", "--sweeps", "2", "--runs", "1"],
}


@pytest.mark.parametrize("command", TINY)
def test_each_bench_ends_with_a_line_of_json(command, monkeypatch):
    """Each command does its work with little, and says how many readings a second it took."""
    monkeypatch.setattr("bench.scale.READINGS", 200)

    told = CliRunner().invoke(app, [command, *TINY[command], "--json"], catch_exceptions=False)

    result = json.loads(told.stdout.splitlines()[-1])
    assert result["bench"] == command
    assert result["readings_per_s"] > 0
