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
) -> int:
    """Post one order and return the posting's number: `sides` are debit and credit, `order` the 16 bytes of its id."""
    rows = np.zeros(1, POSTING)
    row = rows[0]
    row.sequence, row.at, row.account = state.header.posting_sequence + 1, at, account
    row.debit, row.credit = sides
    row.amount, row.day = amount_micros, -1
    row.order_high, row.order_low = int.from_bytes(order[:8], "big"), int.from_bytes(order[8:], "big")
    row.corrects = corrects
    append_postings(state, rows, effects)
    return state.header.posting_sequence


def append_postings(state: ShardState, rows: NDArray[np.void], effects: Effects) -> None:
    """Add numbered posting rows to the effects and carry number and chain forward."""
    if len(rows) == 0:
        return
    chain = chained(state.header.chain, rows)
    sequence = state.header.posting_sequence + len(rows)
    state.header = msgspec.structs.replace(state.header, posting_sequence=sequence, chain=chain)
    assert effects.postings is None, "one entry posts once"
    effects.postings, effects.chain = rows, chain


def chained(chain: bytes, rows: NDArray[np.void]) -> bytes:
    """32 bytes: BLAKE2b over the digest before and the packed rows."""
    return hashlib.blake2b(chain + rows.tobytes(), digest_size=32).digest()
