"""Answers: every fact that asks for something gets an outcome by the id its caller gave.

An outcome is kept for 90 days by id: the same order again gets the same answer, another order under the same id is refused. A
rule is a ladder of guards in the order of `domain.words.Refusal`; after the ladder nothing can fail.
"""

import hashlib
from collections.abc import Callable
from typing import Any

import msgspec

from domain.effects import Effects, Outcome
from domain.facts import Record
from domain.ids import order_id, order_time_ms
from domain.state import KeptOutcome
from domain.units import DAY_MS
from domain.words import Refusal
from flows.items import forget_charged
from flows.state import ShardState

IDS_KEPT_MS = 90 * DAY_MS
IDS_AHEAD_MS = DAY_MS
"""An id made later than this after its fact would outlive the time it is kept."""

Answer = Refusal | tuple[Refusal, str] | Outcome | None


def decide_order(
    state: ShardState, fact: Any, rule: Callable[[ShardState, Any, Effects], Answer], effects: Effects
) -> None:
    """Answer an order by its id: with the outcome it already has, with a refusal, or by carrying it out."""
    try:
        key = order_id(fact.id)
    except ValueError as error:
        effects.outcomes.append(_outcome(state, fact, Refusal.BAD_ID, str(error)))
        return
    content = _digest(fact)
    kept = state.outcomes.get(key)
    if kept is not None:
        same = kept.content == content
        effects.outcomes.append(kept.outcome if same else _outcome(state, fact, Refusal.EXISTS_WITH_DIFFERENT_CONTENT))
        return
    answer = _age_refusal(key, max(state.header.now, fact.at)) or rule(state, fact, effects)
    refusal, detail = answer if isinstance(answer, tuple) else (answer, "")
    outcome = answer if isinstance(answer, Outcome) else _outcome(state, fact, refusal, detail)
    if refusal not in {Refusal.TOO_OLD, Refusal.ID_FROM_THE_FUTURE}:
        posting = state.header.posting_sequence if effects.postings is not None else 0
        channel = getattr(fact, "channel", "")
        state.outcomes.put(key, KeptOutcome(content=content, outcome=outcome, posting=posting, channel=channel))
    effects.outcomes.append(outcome)


def _digest(fact: Record) -> bytes:
    """16 bytes over what the caller said; when it reached us is not part of it."""
    content = msgspec.msgpack.encode(msgspec.structs.replace(fact, at=0))
    return hashlib.blake2b(type(fact).__name__.encode() + content, digest_size=16).digest()


def _age_refusal(key: bytes, now: int) -> Refusal | None:
    made = order_time_ms(key)
    if made < now - IDS_KEPT_MS:
        return Refusal.TOO_OLD
    return Refusal.ID_FROM_THE_FUTURE if made > now + IDS_AHEAD_MS else None


def _outcome(state: ShardState, fact: Any, refusal: Any, detail: str = "") -> Outcome:
    account = getattr(fact, "account", "")
    record = state.account_records.get(account)
    return Outcome(
        id=fact.id,
        kind=fact.KIND,
        at=fact.at,
        refusal=refusal or "",
        account=account,
        meter=getattr(fact, "meter", 0),
        amount_micros=getattr(fact, "amount_micros", 0),
        balance_micros=int(state.accounts.rows[record.row].balance) if record else 0,
        detail=detail,
    )


def said(state: ShardState, fact: Any, account: str, amount_micros: int, detail: str) -> Outcome:
    """The outcome of an order about a meter that was carried out: whose wallet it moved, what it took from it, and a word on it."""
    outcome = _outcome(state, fact, None, detail)
    record = state.account_records.get(account)
    balance = int(state.accounts.rows[record.row].balance) if record else 0
    return msgspec.structs.replace(outcome, account=account, amount_micros=amount_micros, balance_micros=balance)


def prune(state: ShardState, now: int) -> None:
    """Once a day, forget outcomes whose ids are older than are accepted, and charges before which no fee may begin."""
    today = now // DAY_MS
    if today == state.header.pruned_day:
        return
    for key, _ in state.outcomes.sorted():
        if order_time_ms(key) >= now - IDS_KEPT_MS:
            break
        state.outcomes.drop(key)
    forget_charged(state, now)
    state.header = msgspec.structs.replace(state.header, pruned_day=today)
