"""Sites by order."""

import re

from domain.effects import Effects
from domain.facts import SiteSet
from domain.state import SiteRecord
from domain.words import Refusal
from flows.orders.answers import Answer
from flows.state import ShardState
from tariffs.zones import zone

_CURRENCY = re.compile("[A-Z]{3}")
NAME_MAX = 100


def set_site(state: ShardState, fact: SiteSet, _effects: Effects) -> Answer:
    """Enter a site, or give it other titles or another zone; what it is paid in stays."""
    before = state.sites.get(fact.site)
    if before and before.currency != fact.currency:
        return Refusal.WRONG_CURRENCY
    if mistake := _mistake(fact):
        return Refusal.TERMS_INVALID, mistake
    record = SiteRecord(
        site=fact.site, title_zh=fact.title_zh, title_en=fact.title_en, zone=fact.zone, currency=fact.currency
    )
    state.sites.put(fact.site, record)
    return None


def _mistake(fact: SiteSet) -> str:
    try:
        zone(fact.zone)
    except ValueError as error:
        return f"expected zone to be {error}"
    rules = {
        "site to have a name of 1 to 100 characters": 0 < len(fact.site) <= NAME_MAX,
        "a currency of 3 capital letters such as CNY": _CURRENCY.fullmatch(fact.currency) is not None,
    }
    return "; ".join(f"expected {rule}" for rule, holds in rules.items() if not holds)
