"""The postings of a shard, taken as they are kept: numbered, chained, balanced, and each order posted once.

The chain is computed here from its definition (docs/machine/money.md), not by `flows.ledger`.
"""

import hashlib
from collections import Counter
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from domain.effects import POSTING
from domain.ids import EntryId, entry_text
from domain.state import ShardHeader
from domain.words import Check, Ledger
from flows.proof.findings import Findings

CHAIN_BEGIN = bytes(32)
_LEDGERS = np.array([int(ledger) for ledger in Ledger])


class Postings:
    """Takes a shard's postings entry by entry, then closes the books. `whole`: they begin with the shard's first.

    `orders`: ids (16 bytes) of the orders that have posted.
    """

    def __init__(self, shard: int, findings: Findings, *, whole: bool) -> None:
        self.orders: set[bytes] = set()
        self.count = 0
        self._name = f"postings:{{{shard:02d}}}"
        self._findings = findings
        self._chain = CHAIN_BEGIN if whole else None
        self._sequence = 0 if whole else None
        self._rows: list[NDArray[np.void]] = []

    def take(self, entry: EntryId, packed: bytes, chain: bytes) -> None:
        """Take the postings of one entry, and the chain that is kept with them."""
        where = f"{self._name} at {entry_text(entry)}"
        if len(packed) % POSTING.itemsize or not packed:
            self._findings.differ(Check.CHAIN, [f"{where}: {len(packed)} bytes are no whole postings"])
            return
        before, self._chain = self._chain, chain
        if before is not None and hashlib.blake2b(before + packed, digest_size=32).digest() != chain:
            sentence = f"{where}: the chain breaks; a posting of this entry was changed, or one between it and the entry before is gone"
            self._findings.differ(Check.CHAIN, [sentence])
        rows = np.frombuffer(packed, POSTING)
        self._number(where, rows["sequence"])
        self.count += len(rows)
        self._rows.append(rows)

    def _number(self, where: str, sequences: NDArray[np.int64]) -> None:
        expected = int(sequences[0]) if self._sequence is None else self._sequence + 1
        must = np.arange(expected, expected + len(sequences))
        wrong = np.flatnonzero(sequences != must)
        if len(wrong):
            sentence = f"{where}: posting {int(must[wrong[0]])} is expected and {int(sequences[wrong[0]])} is there"
            self._findings.differ(Check.CHAIN, [sentence])
        self._sequence = int(sequences[-1])

    def close(self, header: ShardHeader) -> NDArray[np.void]:
        """Check the end, the balance and the orders. Returns all rows (n,), `POSTING`."""
        self._findings.made(Check.CHAIN)
        sequence = header.posting_sequence if self._sequence is None else self._sequence
        if sequence != header.posting_sequence:
            self._findings.differ(
                Check.CHAIN,
                [f"{self._name}: the last posting is {sequence}, the header says {header.posting_sequence}"],
            )
        elif self._chain not in {None, header.chain}:
            self._findings.differ(Check.CHAIN, [f"{self._name}: its chain does not end with that of the header"])
        rows = np.concatenate([np.empty(0, POSTING), *self._rows]).view(POSTING)
        self._rows = []
        self._findings.differ(Check.TRIAL_BALANCE, self._unbalanced(rows))
        self._findings.differ(Check.ORDERS, self._doubled(rows))
        return rows

    def _unbalanced(self, rows: NDArray[np.void]) -> Iterator[str]:
        known = {side: np.isin(rows[side], _LEDGERS) for side in ("debit", "credit")}
        bad = ~known["debit"] | ~known["credit"] | (rows["debit"] == rows["credit"]) | (rows["amount"] <= 0)
        for row in rows[bad]:
            yield f"{self._name}: posting {row['sequence']} moves {row['amount']} micros from ledger account {row['debit']} to {row['credit']}: expected more than 0, between two accounts of the ledger"
        debits, credits_ = (exact_sum(rows["amount"][known[side]]) for side in ("debit", "credit"))
        if debits != credits_:
            yield f"{self._name}: debits are {debits} micros, credits {credits_}: the trial balance is {debits - credits_}, not 0"

    def _doubled(self, rows: NDArray[np.void]) -> Iterator[str]:
        ordered = rows[(rows["order_high"] != 0) | (rows["order_low"] != 0)]
        columns = ("order_high", "order_low", "debit", "credit", "day", "account")
        counts = Counter(zip(*(ordered[column].tolist() for column in columns), strict=True))
        for (high, low, debit, credit, day, account), count in counts.items():
            order = high.to_bytes(8, "big") + low.to_bytes(8, "big")
            if day == -1:
                self.orders.add(order)
            if count > 1:
                yield f"{self._name}: order {order.hex()} is posted {count} times from ledger account {debit} to {credit}, for the account in row {account}"


def exact_sum(values: NDArray[np.int64]) -> int:
    """The sum, however large: in two halves, of which neither can overflow."""
    return (int((values >> 32).sum()) << 32) + int((values & 0xFFFFFFFF).sum())


def balances_of(rows: NDArray[np.void]) -> dict[Ledger, int]:
    """Debits less credits of each ledger account that was posted to, in micros."""
    amounts = rows["amount"]
    found = {
        ledger: exact_sum(amounts[rows["debit"] == ledger]) - exact_sum(amounts[rows["credit"] == ledger])
        for ledger in Ledger
    }
    return {ledger: balance for ledger, balance in found.items() if balance}
