"""Policies by order: alarm amounts under a name, which the accounts that follow it have."""

import msgspec

from domain.effects import Effects
from domain.facts import PolicySet
from domain.state import PolicyRecord
from domain.words import Refusal
from flows.orders.accounts import enter_account, terms_mistake
from flows.orders.answers import Answer
from flows.state import ShardState

NAME_MAX = 100


def set_policy(state: ShardState, fact: PolicySet, effects: Effects) -> Answer:
    """Enter a policy, or change it for all accounts that follow it: each is judged at once, in the order in which they were opened."""
    if not 0 < len(fact.policy) <= NAME_MAX:
        return Refusal.TERMS_INVALID, "expected policy to have a name of 1 to 100 characters"
    if mistake := terms_mistake(fact.alarms):
        return Refusal.TERMS_INVALID, mistake
    before, policy = state.policies.get(fact.policy), PolicyRecord(policy=fact.policy, alarms=fact.alarms)
    if before == policy:
        return None
    state.policies.put(fact.policy, policy)
    followers = [
        record
        for record in map(state.account_records.get, state.account_ids)
        if record and record.policy == fact.policy
    ]
    for record in followers if before else ():
        enter_account(state, msgspec.structs.replace(record, alarms=fact.alarms), fact.at, effects)
    return None
