"""Sites, policies and the life of an account, from its opening to the last pico at its end."""

import msgspec

from domain.facts import (
    AccountActivated,
    AccountClosed,
    AccountOpened,
    AccountTransferred,
    AccountUpdated,
    AlarmTerms,
    PolicySet,
    SiteSet,
)
from domain.units import PICOS_PER_MICRO
from domain.words import Refusal, Settlement
from flows.audit.fees import Fees
from flows.audit.months import day_of
from flows.audit.terms import are_terms_valid
from tariffs.zones import zone


class Accounts(Fees):
    """Who pays, and by which terms they are warned."""

    def _site(self, fact: SiteSet) -> Refusal | None:
        if self._sites.get(fact.site, fact.currency) != fact.currency:
            return Refusal.WRONG_CURRENCY
        try:
            zone(fact.zone)
        except ValueError:
            return Refusal.TERMS_INVALID
        letters = fact.currency
        if not (1 <= len(fact.site) <= 100 and len(letters) == 3 and all("A" <= letter <= "Z" for letter in letters)):
            return Refusal.TERMS_INVALID
        self._sites[fact.site] = fact.currency
        return None

    def _policy(self, fact: PolicySet) -> Refusal | None:
        if not 1 <= len(fact.policy) <= 100 or not are_terms_valid(fact.alarms):
            return Refusal.TERMS_INVALID
        self._policies[fact.policy] = fact.alarms
        self._warned |= {account: fact.alarms for account, policy in self._followed.items() if policy == fact.policy}
        return None

    def _follow(self, account: str, policy: str | None, own: AlarmTerms | None) -> Refusal | None:
        """An account has amounts of its own, or those of the policy that it follows from now on."""
        if policy and policy not in self._policies:
            return Refusal.UNKNOWN_POLICY
        if (policy and own) or (own and not are_terms_valid(own)):
            return Refusal.TERMS_INVALID
        if own or policy == "":
            self._followed.pop(account, None)
        if policy:
            self._followed[account] = policy
        self._warned[account] = own or (self._policies[policy] if policy else self._warned[account])
        return None

    def _open(self, fact: AccountOpened) -> Refusal | None:
        before = self._accounts.get(fact.account)
        if before:
            same = msgspec.structs.replace(fact, id=before.id, at=before.at) == before
            return None if same else Refusal.EXISTS_WITH_DIFFERENT_CONTENT
        own = None if fact.policy and fact.alarms == AlarmTerms() else fact.alarms
        if refusal := self._follow(fact.account, fact.policy, own):
            return refusal
        self._accounts[fact.account] = fact
        self.balances[fact.account] = 0
        if fact.prepared:
            self._prepared.add(fact.account)
        return None

    def _activate(self, fact: AccountActivated) -> Refusal | None:
        if fact.account not in self._accounts:
            return Refusal.UNKNOWN_ACCOUNT
        if fact.account not in self._prepared | self._closed:
            return Refusal.ACCOUNT_OPEN
        self._prepared.discard(fact.account)
        self._closed.discard(fact.account)
        self._move_in(fact.account, fact.at)
        return None

    def _move_in(self, account: str, at: int) -> None:
        """From now on somebody else pays, and no fee for any day before."""
        self._pays_since[account] = at
        for name, (item, day) in [*self._items.items()]:
            if item.account == account:
                first = max(day, day_of(at, item.zone))
                self._items[name] = item, first
                if 0 <= item.ends < first:
                    del self._items[name]

    def _update(self, fact: AccountUpdated) -> Refusal | None:
        if fact.account not in self._accounts:
            return Refusal.UNKNOWN_ACCOUNT
        return self._follow(fact.account, fact.policy, fact.alarms)

    def _leave(self, fact: AccountTransferred | AccountClosed) -> Refusal | None:
        """A tenant goes, and leaves nothing behind to the last pico, unless the balance is carried over to the next."""
        if fact.account not in self._accounts:
            return Refusal.UNKNOWN_ACCOUNT
        if fact.account in self._closed:
            return Refusal.ACCOUNT_CLOSED
        goes_on = isinstance(fact, AccountTransferred)
        if not (goes_on and fact.settlement == Settlement.CARRY):
            if any(meter.time is None and meter.installed.account == fact.account for meter in self._meters.values()):
                return Refusal.METERS_NOT_READ
            until = max(self._now, fact.at)
            left = self.balances[fact.account] - self._owed(fact.account, until)
            if fact.settlement == Settlement.WRITE_OFF:
                if not fact.reason.strip():
                    return Refusal.NOTE_MISSING
            elif fact.settlement != (Settlement.PAY_UP if left < 0 else Settlement.REFUND):
                return Refusal.BALANCE_NOT_SETTLED
            self._charge_items(self._fees_of(fact.account), until)
            self._round(fact.account)
            self._move_in(fact.account, fact.at)
            self._recharges = {key: each for key, each in self._recharges.items() if each.account != fact.account}
        if not goes_on:
            self._prepared.discard(fact.account)
            self._closed.add(fact.account)
            self._items = {name: item for name, item in self._items.items() if name[0] != fact.account}
            self._charged_before = {name: day for name, day in self._charged_before.items() if name[0] != fact.account}
        return None

    def _round(self, account: str) -> None:
        """What no posting can say: the part of a micro in the wallet, and those of what was free on each of its meters."""
        unsaid = [hung for hung in self._free if hung[0] == account]
        self.rounded += self.balances[account] % PICOS_PER_MICRO
        self.rounded -= sum(self._free.pop(hung) % PICOS_PER_MICRO for hung in unsaid)
        self.balances[account] = 0
