"""A stored shard, and its ledger, held against the audit of its log."""

import numpy as np
from numpy.typing import NDArray

from domain.state import StoredShard
from domain.units import PICOS_PER_MICRO
from domain.words import Commodity, Ledger, Metering
from flows.audit.book import Book


def compare(audit: Book, stored: StoredShard, postings: NDArray[np.void] | None = None) -> list[str]:
    """One sentence for each thing in which a stored shard differs from its audit; none: they agree to the last pico.

    With all of the shard's `postings`, the ledger must add up to the balances as well.
    """
    if audit.position != stored.position:
        return [f"the audit stands at {audit.position}, the store at {stored.position}: they cannot be compared"]
    found = [*_balances_wrong(audit, stored), *_totals_wrong(audit, stored), *_outcomes_wrong(audit, stored)]
    return found if postings is None else [*found, *ledger_wrong(stored, postings)]


def _balances_wrong(audit: Book, stored: StoredShard) -> list[str]:
    balances = _balances(stored)
    wrong = {name: (audit.balances.get(name), balances.get(name)) for name in sorted({*audit.balances, *balances})}
    return [
        f"account {name} must hold {must} picos and holds {has}" for name, (must, has) in wrong.items() if must != has
    ]


def _balances(stored: StoredShard) -> dict[str, int]:
    rows = stored.rows["accounts"]
    return {
        name: int(rows["balance"][record.row]) * PICOS_PER_MICRO + int(rows["balance_picos"][record.row])
        for name, record in stored.records["account_records"].items()
    }


def _totals_wrong(audit: Book, stored: StoredShard) -> list[str]:
    counts = {metering: (audit.classes[metering], stored.header.classes[metering]) for metering in Metering}
    usages = {commodity: (audit.usage_of(commodity), stored.header.usage[commodity]) for commodity in Commodity}
    return [
        f"{word.name.lower()}: {must} expected, {has} stored"
        for word, (must, has) in [*counts.items(), *usages.items()]
        if must != has
    ]


def _outcomes_wrong(audit: Book, stored: StoredShard) -> list[str]:
    kept = {key: record.outcome.refusal for key, record in stored.records["kept_outcomes"].items()}
    return [
        f"order {key.hex()} must be answered {audit.refusal_kept(key)!r} and is answered {refusal!r}"
        for key, refusal in sorted(kept.items())
        if audit.refusal_kept(key) != refusal
    ]


def ledger_wrong(stored: StoredShard, postings: NDArray[np.void]) -> list[str]:
    """Σ postings of an account less what its meters have not yet posted is its balance: a sentence for each where it is not."""
    names = {record.row: name for name, record in stored.records["account_records"].items()}
    ledger, found = dict.fromkeys(names.values(), 0), []
    columns = ("sequence", "account", "debit", "credit", "amount")
    for sequence, row, debit, credit, amount in zip(*(postings[each].tolist() for each in columns), strict=True):
        if row not in names or Ledger.CUSTOMER not in {debit, credit}:
            found.append(f"posting {sequence} is of no account: row {row}, ledger accounts {debit} and {credit}")
        else:
            ledger[names[row]] += (amount if credit == Ledger.CUSTOMER else -amount) * PICOS_PER_MICRO
    for meter, terms in zip(stored.rows["meters"], stored.rows["meter_terms"], strict=True):
        unposted = int(meter["day_cost"]) * PICOS_PER_MICRO + int(meter["day_picos"])
        unposted -= int(meter["day_free"]) * PICOS_PER_MICRO + int(meter["day_free_picos"])
        ledger[names[int(terms["account"])]] -= unposted
    balances = _balances(stored)
    return found + [
        f"account {name} holds {balances[name]} picos, its ledger {picos}"
        for name, picos in ledger.items()
        if picos != balances[name]
    ]
