"""What stands, as committed state says, against what was raised and cleared."""

from histories import histories
from hypothesis import given, settings

from domain.standing import key_of, standing_of_account, standing_of_meters
from domain.state import RECORDS
from domain.words import AlarmState
from flows.machine import fold
from flows.state import ShardState


def standing(state: ShardState) -> set[str]:
    """Ids of all that stands of a shard."""
    tables = {
        "standing_alarms": state.standing,
        "cases": state.cases,
        "open_commands": state.commands,
        "controls": state.controls,
        "used_while_off": state.used_while_off,
        "meter_clocks": state.meter_clocks,
        "main_meters": state.main_meters,
    }
    records = {name: dict(tables[name].sorted()) if name in tables else {} for name in RECORDS}
    found = {each.id for of_meter in standing_of_meters(records).values() for each in of_meter}
    for _, record in state.account_records.sorted():
        row = state.accounts.rows[record.row]
        found |= {each.id for each in standing_of_account(record, int(row.level), int(row.alarmed_at))}
    return found


@settings(max_examples=150)
@given(histories(120))
def test_what_stands_is_what_was_raised_and_not_cleared(entries):
    """After each fact of any history, the alarms that stand are those that were raised and not cleared: no operator looks at a ghost."""
    state, raised = ShardState(0), set()
    for entry, fact in entries:
        state, folded = fold(state, [(entry, fact)])
        for alarm in (alarm for effects in folded for alarm in effects.alarms):
            if alarm.state == AlarmState.RAISED:
                raised.add(key_of(alarm))
            elif alarm.state == AlarmState.CLEARED:
                raised.discard(key_of(alarm))
        assert standing(state) == raised
