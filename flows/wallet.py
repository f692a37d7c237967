"""What follows when a wallet has changed: levels raised or cleared, and the meters of the account looked at again."""

from domain.effects import Effects
from flows.alarms import level_alarms
from flows.readings.levels import judge
from flows.state import ShardState
from flows.supply.commands import reconcile


def judge_account(state: ShardState, row: int, at: int, effects: Effects) -> None:
    """Bring an account's level and trip up to its balance, and say what changed."""
    account = state.accounts.rows[row]
    before = int(account.level)
    state.accounts.dirty[row] = 1
    if judge(account, state.account_terms.rows[row], at):
        announce_level(state, row, before, int(account.level), int(account.balance), at, effects)


def announce_level(
    state: ShardState, row: int, before: int, after: int, balance: int, at: int, effects: Effects
) -> None:
    """Alarms for the levels crossed, and a look at every meter of the account."""
    record = state.account_record(row)
    effects.alarms.extend(level_alarms(record, before, after, balance, at))
    for number in record.meters:
        reconcile(state, state.meter_records[number].row, max(at, state.header.now), effects)
