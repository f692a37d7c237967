"""Fees and allowances of a site file, held against what a store has: a file that is read at every start never charges or gives anything twice."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from connectors.files.site import Site, allowance_facts, item_facts
from domain.facts import AllowanceSet, ChargeItemSet
from domain.state import StoredShard
from domain.words import Period
from flows.items import at_midnight, item_key

_TERMS = ("kind", "amount_micros", "period", "starts", "zone", "ends", "area", "partial", "title")


@dataclass(slots=True)
class SiteFees:
    """What is to be said at a start, and a sentence for each fee that is in the file and cannot be said."""

    facts: list[ChargeItemSet | AllowanceSet] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)


def has_fees(site: Site) -> bool:
    """Whether the file says anything of fees or allowances."""
    return any(account.items or account.allowance for account in site.accounts)


def fees_of(site: Site, at: int, shards: Iterable[StoredShard]) -> SiteFees:
    """Fees that are new or have changed, and allowances likewise, at `at` (ms UTC). The shards must be settled to the end of their logs."""
    found, known = SiteFees(), _Known(shards)
    now = max(at, known.now)
    for fact in item_facts(site, at):
        if known.may_begin(fact, now):
            found.facts.append(fact)
        elif known.is_missing(fact, now):
            found.left_out.append(
                f"account {fact.account}: the fee {fact.item} is not among its fees and begins in the past, so it may have been charged "
                "and ended; to charge it from now on, state a later day as its start"
            )
    found.facts += [fact for fact in allowance_facts(site, at) if not known.has_allowance(fact)]
    return found


class _Known:
    """What the store has of accounts and their fees."""

    def __init__(self, shards: Iterable[StoredShard]) -> None:
        self.now = 0
        self._items: dict[str, object] = {}
        self._allowances: dict[str, tuple[int, int, int]] = {}
        self._touched: set[str] = set()
        for shard in shards:
            self._learn(shard)

    def _learn(self, shard: StoredShard) -> None:
        self.now = max(self.now, shard.header.now)
        self._items |= shard.records["charge_items"]
        for name, record in shard.records["account_records"].items():
            terms = shard.rows["account_terms"][record.row]
            self._allowances[name] = (
                int(terms["allowance_kind"]),
                int(terms["allowance"]),
                int(terms["allowance_from"]),
            )
            if shard.rows["accounts"][record.row]["settled"] or record.settled_posting or record.closed_at:
                self._touched.add(name)

    def may_begin(self, fact: ChargeItemSet, now: int) -> bool:
        """Whether it can be said without anything being charged again."""
        if item := self._items.get(item_key(fact.account, fact.item)):
            return any(getattr(item, name) != getattr(fact, name) for name in _TERMS)
        # An account that no money has ever moved on has never been charged.
        return fact.account not in self._touched or at_midnight(fact.starts, fact.zone) > now

    def is_missing(self, fact: ChargeItemSet, now: int) -> bool:
        """Whether the account does not pay it, although by the file it should go on."""
        ended = fact.period is Period.ONCE or (fact.ends >= 0 and at_midnight(fact.ends + 1, fact.zone) <= now)
        return not ended and item_key(fact.account, fact.item) not in self._items

    def has_allowance(self, fact: AllowanceSet) -> bool:
        """Whether the account has it already: said again, its month would begin anew."""
        return self._allowances.get(fact.account) == (int(fact.kind), fact.amount, fact.from_day)
