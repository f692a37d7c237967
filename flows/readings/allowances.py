"""Allowances: free Wh, litres or money of a local month, used before paid credit, in the compiled loop.

What is free is priced like all usage, counts for tiers, and stands in the windows with its cost; only the wallet is not charged for it.
An allowance is given anew with the first piece of usage in a later month, and what was left of it is gone.
"""

from domain.units import PICOS_PER_MICRO
from domain.words import AllowanceKind
from flows.readings.compiled import Row, compiled
from flows.readings.windows import month_of

NONE, MONEY = int(AllowanceKind.NONE), int(AllowanceKind.MONEY)
FIRST_COMMODITY = int(AllowanceKind.ELECTRICITY)


@compiled
def renew(account: Row, terms: Row, day: int) -> bool:
    """Give the allowance anew where `day` begins a later month. Returns whether usage of that day may have any of it."""
    if terms.allowance_kind == NONE or day < terms.allowance_from:
        return False
    month = month_of(day)
    if month > account.allowance_month:
        account.allowance, account.allowance_picos = terms.allowance, 0
        account.allowance_month = month
    return month == account.allowance_month


@compiled
def free_usage(account: Row, terms: Row, commodity: int, day: int, usage: int) -> int:
    """How much of `usage` is free, and take it from the allowance."""
    if terms.allowance_kind != FIRST_COMMODITY + commodity or not renew(account, terms, day):
        return 0
    free = min(usage, account.allowance)
    account.allowance -= free
    return free


@compiled
def free_money(account: Row, terms: Row, day: int, micros: int, picos: int) -> tuple[int, int]:
    """How much of a cost is free (micros, picos), and take it from the allowance; nothing of a cost that gives money back."""
    if terms.allowance_kind != MONEY or micros < 0 or not renew(account, terms, day):
        return 0, 0
    left, left_picos = account.allowance, account.allowance_picos
    if micros > left or (micros == left and picos > left_picos):
        account.allowance, account.allowance_picos = 0, 0
        return left, left_picos
    account.allowance -= micros
    account.allowance_picos -= picos
    if account.allowance_picos < 0:
        account.allowance_picos += PICOS_PER_MICRO
        account.allowance -= 1
    return micros, picos


@compiled
def give_back(account: Row, meter: Row, micros: int, picos: int) -> None:
    """Undo a charge by what was free, and note on the meter's open day that it was."""
    account.balance += micros
    account.balance_picos += picos
    if account.balance_picos >= PICOS_PER_MICRO:
        account.balance_picos -= PICOS_PER_MICRO
        account.balance += 1
    meter.day_free += micros
    meter.day_free_picos += picos
    if meter.day_free_picos >= PICOS_PER_MICRO:
        meter.day_free_picos -= PICOS_PER_MICRO
        meter.day_free += 1
