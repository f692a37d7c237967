import os

import pytest
from histories import history

from commands.verifying import verify_store
from domain.words import Check
from flows.settle import settle_once

SEED = int(os.environ.get("METERLINE_SEED", "1"))


@pytest.mark.parametrize("seed", range(SEED, SEED + 8))
def test_any_history_verifies(store, seed):
    """No check cries wolf, whatever happens in a street: decisions, corrections, moves, exchanged meters, fees."""
    store.append_many((0, fact) for _, fact in history(seed, 250))
    settle_once(store, 7)

    findings = verify_store(store).findings

    assert findings.said == {}
    assert dict(findings.counts) == dict.fromkeys(Check, 0)
