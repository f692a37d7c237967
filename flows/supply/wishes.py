"""Wishes: who has an opinion about a meter's supply, in order of precedence. The first that has one wins."""

from collections.abc import Callable

from domain.words import AccountState, Reason, Supply
from flows.state import ShardState

Wish = tuple[Supply, Reason]


def _forced(state: ShardState, row: int) -> Wish | None:
    forced = state.forced.get(int(state.meter_terms.rows[row].number))
    return (forced.wanted, Reason.FORCED) if forced else None


def _nobody(state: ShardState, row: int) -> Wish | None:
    """Of a meter that is gone, or whose account nobody has, nothing is wanted, unless the supply was to be cut."""
    terms = state.meter_terms.rows[row]
    account = state.accounts.rows[terms.account]
    if not terms.removed and account.state == AccountState.OPEN:
        return None
    return (Supply.OFF if account.cut and not terms.removed else Supply.UNKNOWN, Reason.CLOSED)


def _credit(state: ShardState, row: int) -> Wish | None:
    account = state.accounts.rows[state.meter_terms.rows[row].account]
    if not account.settled:
        return None
    return (Supply.OFF, Reason.ARREARS) if account.tripped else (Supply.ON, Reason.IN_CREDIT)


WISHES: tuple[Callable[[ShardState, int], Wish | None], ...] = (_forced, _nobody, _credit)


def wanted(state: ShardState, row: int) -> Wish:
    """The supply that a meter should have, and why; UNKNOWN until an account's first movement of money."""
    opinions = (wish(state, row) for wish in WISHES)
    return next((opinion for opinion in opinions if opinion), (Supply.UNKNOWN, Reason.IN_CREDIT))
