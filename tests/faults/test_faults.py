import pytest
from fault_kinds import KINDS
from fault_run import live
from power_cut import compiler

SEED, FAULTS = 20_250_101, len(KINDS)


@pytest.mark.timeout(600)
def test_nothing_is_lost_and_nothing_doubled(tmp_path):
    """Under every kind of fault, at instants that a seed has chosen, what was acknowledged is there, once, to the last pico."""
    print(f"make faults ARGS='--seed {SEED} --faults {FAULTS}'")  # noqa: T201 - shown when it fails

    report = live(SEED, FAULTS, tmp_path)

    assert report.verdict.sentences() == []
    assert report.faults.total() == FAULTS
    assert report.verdict.orders > 0
    assert report.verdict.readings > 0
    assert report.verdict.verified > 0
    assert set(report.faults) == set(KINDS) or not compiler()
