"""What a site file says, told to a store, and what the machine answers. It may be told again at any time: what is known already changes nothing."""

from collections.abc import Callable, Iterable

import msgspec
from ulid import ULID

from commands.site_fees import fees_of, has_fees
from connectors.files.site import (
    Site,
    account_facts,
    main_meter_facts,
    meter_facts,
    meter_term_facts,
    policy_facts,
    site_fact,
)
from connectors.redis.store import Store
from domain.effects import Outcome
from domain.facts import Fact, TariffPublished
from domain.ids import EntryId, shard_of

Waits = Callable[[], None]
"""Returns when everything that is in the log now is folded and committed. Raises StoreError if that takes too long."""


def open_site(store: Store, site: Site, at: int, wait: Waits, more: Iterable[tuple[str, Fact]] = ()) -> list[str]:
    """Append what a site file says, at `at` (ms UTC), and wait for the answers. Returns a sentence for whatever was refused or left out.

    `more`: facts by account, between the accounts and their meters. Raises StoreError.
    """
    fees, left_out = _fees(store, site, at, wait)
    accounts = [(fact.account, fact) for fact in account_facts(site, at)]
    meters = [(fact.account, fact) for fact in meter_facts(site, at)]
    terms = [*meter_term_facts(site, at), *main_meter_facts(site, at)]
    told: list[tuple[str, Fact]] = [*accounts, *fees, *more, *meters, *terms]
    facts = [(shard, fact) for fact in _for_everyone(site, at) for shard in range(store.shards)]
    facts += [(shard_of(account, store.shards), fact) for account, fact in told]
    waiting = [(shard, store.append(shard, fact)) for shard, fact in facts]
    wait()
    return [*left_out, *map(_sentence, _refusals(store, waiting))]


def _for_everyone(site: Site, at: int) -> list[Fact]:
    tariffs = [
        TariffPublished(at=at, id=str(ULID.from_timestamp(at / 1000)), tariff=tariff.id, document=tariff.document)
        for tariff in site.tariffs
    ]
    return [site_fact(site, at), *policy_facts(site, at), *tariffs]


def _fees(store: Store, site: Site, at: int, wait: Waits) -> tuple[list[tuple[str, Fact]], list[str]]:
    """Fees and allowances that the store does not have yet as the file says them, and a sentence for each that cannot be said."""
    if not has_fees(site):
        return [], []
    wait()  # What the log says and nobody has folded would be said twice.
    fees = fees_of(site, at, (store.load(shard) for shard in range(store.shards)))
    return [(fact.account, fact) for fact in fees.facts], fees.left_out


def _refusals(store: Store, waiting: Iterable[tuple[int, EntryId]]) -> list[Outcome]:
    refusals = []
    for shard, entry in waiting:
        before = (entry[0], entry[1] - 1) if entry[1] else (entry[0] - 1, 2**63)
        for _, fields in store.stream("outcomes", shard, before, 1):
            outcomes = msgspec.msgpack.decode(fields[b"b"], type=list[Outcome])
            refusals += [outcome for outcome in outcomes if outcome.refusal]
    return refusals


def _sentence(refused: Outcome) -> str:
    return f"refused: {refused.kind} {refused.account or refused.detail}: {refused.refusal} {refused.detail}".rstrip()
