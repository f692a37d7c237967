"""Wishes: who has an opinion about a meter's supply, in order of precedence. The first that has one wins.

Forced, protected, safety, arrears, load, schedule, credit. In a no-trip window arrears do not cut a supply that is on; the trip
waits, also one that was ordered before the window and is not done. Whoever comes later in the order may still cut; the window
gives nothing back, so arrears are then the reason.
"""

from collections.abc import Callable

from domain.state import Control
from domain.words import AccountState, Reason, Supply
from flows.state import ShardState
from tariffs.hours import holding

Wish = tuple[Supply, Reason]


def _control(state: ShardState, row: int) -> Control | None:
    return state.controls.get(int(state.meter_terms.rows[row].number))


def _forced(state: ShardState, row: int, _now: int) -> Wish | None:
    forced = state.forced.get(int(state.meter_terms.rows[row].number))
    return (forced.wanted, Reason.FORCED) if forced else None


def _nobody(state: ShardState, row: int, _now: int) -> Wish | None:
    """Of a meter that is gone, or whose account nobody has, nothing is wanted, unless the supply was to be cut."""
    terms = state.meter_terms.rows[row]
    account = state.accounts.rows[terms.account]
    if not terms.removed and account.state == AccountState.OPEN:
        return None
    return (Supply.OFF if account.cut and not terms.removed else Supply.UNKNOWN, Reason.CLOSED)


def _protected(state: ShardState, row: int, _now: int) -> Wish | None:
    control = _control(state, row)
    return (Supply.ON, Reason.PROTECTED) if control and control.protection else None


def _cut(state: ShardState, row: int, reason: Reason) -> Wish | None:
    control = _control(state, row)
    is_cut = control and control.cut and not control.cut.is_over and control.cut.reason == reason
    return (Supply.OFF, reason) if is_cut else None


def _safety(state: ShardState, row: int, _now: int) -> Wish | None:
    return _cut(state, row, Reason.SAFETY)


def _is_tripped(state: ShardState, row: int) -> bool:
    account = state.accounts.rows[state.meter_terms.rows[row].account]
    return bool(account.settled and account.tripped)


def _is_spared(state: ShardState, row: int, now: int) -> bool:
    """Whether a no-trip window keeps a supply from being cut for arrears. It keeps none that somebody else cuts."""
    control = _control(state, row)
    if control is None or control.terms is None:
        return False
    others = _load(state, row, now), _schedule(state, row, now)
    is_cut = any(other and other[0] == Supply.OFF for other in others)
    return not is_cut and holding(control.terms.no_trip, control.terms, now) is not None


def waits_to_trip(state: ShardState, row: int, now: int) -> bool:
    """Whether a trip that is wanted already must not be commanded now: a no-trip window has begun before it was done."""
    return state.meters.rows[row].reason == Reason.ARREARS and _is_spared(state, row, now)


def _arrears(state: ShardState, row: int, now: int) -> Wish | None:
    """A window gives back no supply that was wanted off before it began."""
    if not _is_tripped(state, row):
        return None
    is_cut = state.meters.rows[row].wanted == Supply.OFF or not _is_spared(state, row, now)
    return (Supply.OFF, Reason.ARREARS) if is_cut else None


def _load(state: ShardState, row: int, _now: int) -> Wish | None:
    return _cut(state, row, Reason.LOAD)


def _schedule(state: ShardState, row: int, now: int) -> Wish | None:
    control = _control(state, row)
    if control is None or control.terms is None:
        return None
    window = holding(control.terms.schedule, control.terms, now)
    return (window.supply, Reason.SCHEDULE) if window else None


def _credit(state: ShardState, row: int, _now: int) -> Wish | None:
    if not state.accounts.rows[state.meter_terms.rows[row].account].settled:
        return None
    return Supply.ON, Reason.NO_TRIP if _is_tripped(state, row) else Reason.IN_CREDIT


WISHES: tuple[Callable[[ShardState, int, int], Wish | None], ...] = (
    _forced,
    _nobody,
    _protected,
    _safety,
    _arrears,
    _load,
    _schedule,
    _credit,
)


def wanted(state: ShardState, row: int, now: int) -> Wish:
    """The supply that a meter should have at `now` (ms UTC), and why; UNKNOWN until an account's first movement of money."""
    opinions = (wish(state, row, now) for wish in WISHES)
    return next((opinion for opinion in opinions if opinion), (Supply.UNKNOWN, Reason.IN_CREDIT))
