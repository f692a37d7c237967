"""The benches do the work that they report."""

import json

import numpy as np
import pytest
from typer.testing import CliRunner

from bench import fold, price
from commands.bench import app
from domain.words import Level, Metering


@pytest.mark.parametrize("block", [0, 7])
def test_fold_counts_every_reading_and_raises_alarms(block):
    """Whatever the block, every reading is believed, priced and, where money runs out, told of."""
    state = fold.street(1000)

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
