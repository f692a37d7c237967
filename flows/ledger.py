"""The ledger: double entry, numbered, chained. A posting is one debit, one credit, one amount, so it cannot fail to balance.

Usage is posted by the kernel, once per meter and local day; orders are posted here. The chain is a running digest of the
posting rows of the shard: a digit changed on disk breaks it.
"""

import hashlib

import msgspec
import numpy as np
from numpy.typing import NDArray

from domain.effects import POSTING, Effects
from domain.words import Ledger
from flows.state import ShardState


def post_order(
    state: ShardState,
    account: int,
    at: int,
    sides: tuple[Ledger, Ledger],
    amount_micros: int,
    order: bytes,
    effects: Effects,
    corrects: int = 0,
    day: int = -1,
) -> int:
    """Post one order and return the posting's number: `sides` are debit and credit, `order` the 16 bytes of its id.

    `day`: of a charge item the local day on which it fell due.
    """
    rows = np.zeros(1, POSTING)
    row = rows[0]
    row.sequence, row.at, row.account = state.header.posting_sequence + 1, at, account
    row.debit, row.credit = sides
    row.amount, row.day = amount_micros, day
    row.order_high, row.order_low = int.from_bytes(order[:8], "big"), int.from_bytes(order[8:], "big")
    row.corrects = corrects
    append_postings(state, rows, effects)
    return state.header.posting_sequence


def append_postings(state: ShardState, rows: NDArray[np.void], effects: Effects) -> None:
    """Add numbered posting rows to the effects and carry the number forward. An entry may post several times."""
    if len(rows) == 0:
        return
    before = effects.postings
    effects.postings = rows if before is None else np.concatenate([before, rows]).view(POSTING)
    state.header = msgspec.structs.replace(state.header, posting_sequence=state.header.posting_sequence + len(rows))


def seal(state: ShardState, effects: Effects) -> None:
    """Carry the chain over all that an entry has posted; once, when the entry is decided."""
    if effects.postings is not None:
        effects.chain = chained(state.header.chain, effects.postings)
        state.header = msgspec.structs.replace(state.header, chain=effects.chain)


def chained(chain: bytes, rows: NDArray[np.void]) -> bytes:
    """32 bytes: BLAKE2b over the digest before and the packed rows."""
    return hashlib.blake2b(chain + rows.tobytes(), digest_size=32).digest()
