"""The life of accounts and meters: prepared, opened, passed on and closed; hung up, taken down and replaced."""

from typing import Any

import msgspec

from domain.facts import (
    AccountActivated,
    AccountClosed,
    AccountOpened,
    AccountTransferred,
    AccountUpdated,
    AlarmTerms,
    Fact,
    MeterInstalled,
    MeterRemoved,
    MeterReplaced,
    PolicySet,
    SiteSet,
)
from domain.words import (
    Commodity,
    Settlement,
)
from histories.happenings import YUAN, Happenings


class Life(Happenings):
    """Sites, policies, tenants and meters that come and go, whether or not that can be."""

    def _site(self) -> Fact:
        zone, currency = (
            self.random.choice([self.zone, "Mars/Olympus"]),
            self.random.choice(["CNY", "CNY", "EUR", "yuan"]),
        )
        site = self.random.choice(["estate", "mall", ""])
        return self._kept(
            SiteSet(at=self.now, id=self._id(), site=site, title_zh="苑", title_en="", zone=zone, currency=currency)
        )

    def _policy(self) -> PolicySet:
        """Amounts for all that follow them, now and then impossible."""
        choice = self.random
        terms = AlarmTerms(
            low=choice.choice([0, 9 * YUAN, 60 * YUAN, -YUAN]), pretrip=0, overdraft=choice.choice([0, 0, YUAN, -1]),
            reconnect=choice.choice([0, 30 * YUAN]), max_balance=choice.choice([40, 500]) * YUAN,
        )  # fmt: skip
        policy = choice.choice(["standard", "standard", "standard", "shops", ""])
        return self._kept(PolicySet(at=self.now, id=self._id(), policy=policy, alarms=terms))

    def _gone(self) -> Fact:
        """A meter is taken down, replaced, or hung up again; the closing register is mostly true."""
        number = self.random.choice([*self.meters, 99])
        register = self.registers.get(number, 7) + self.random.choice([0, 0, 0, 3, 1_999, 500_000, -1])
        said: dict[str, Any] = {"at": self.now, "id": self._id(), "meter": number, "closing_register": register}
        match self.random.randrange(4):
            case 0:
                return self._kept(MeterRemoved(**said))
            case 1:
                known = self.meters.get(number, self.meters[1])
                opening = self.random.choice([None, register, 5])
                again = msgspec.structs.replace(known, at=self.now, id=self._id(), opening_register=opening)
                return self._kept(again)
        fresh = len(self.meters) + 1
        successor = self.random.choice([fresh, fresh, fresh, *self.meters])
        opening = self.random.choice([0, 17, 1_999, 20_000])
        replaced = MeterReplaced(
            **said, new_meter=successor, opening_register=opening, modulus=self.random.choice([0, 20_000]),
            rated_per_hour=60_000, ratio=self.random.choice([1, 40]), switchable=self.random.random() < 0.8,
        )  # fmt: skip
        self._succeed(replaced)
        return self._kept(replaced)

    def _succeed(self, fact: MeterReplaced) -> None:
        """Let later readings be of the new meter, whether or not it will be taken."""
        before = self.meters.get(fact.meter, self.meters[1])
        self.meters[fact.new_meter] = msgspec.structs.replace(before, meter=fact.new_meter, modulus=fact.modulus)
        self.registers[fact.new_meter] = fact.opening_register
        self.last.pop(fact.new_meter, None)

    def _tenancy(self) -> Fact:
        """Accounts opened, changed, passed on and closed, whether or not that can be."""
        account = self.random.choice([*self.accounts, *self.accounts, *self.accounts, "nobody"])
        said: dict[str, Any] = {"at": self.now, "id": self._id(), "account": account}
        settled: dict[str, Any] = {
            "settlement": self.random.choice(list(Settlement)),
            "channel": self.random.choice(["", "counter"]),
            "reason": self.random.choice(["", "moved away"]),
        }
        match self.random.randrange(6):
            case 0 | 1:
                return self._kept(AccountActivated(**said, name=self.random.choice([None, "王"])))
            case 2:
                low = self.random.choice([0, 9 * YUAN])
                terms = AlarmTerms(low=low, pretrip=0, overdraft=self.random.choice([0, YUAN]), max_balance=200 * YUAN)
                policy = self.random.choice([None, None, "", "standard", "standard", "none"])
                return self._kept(AccountUpdated(**said, alarms=self.random.choice([None, None, terms]), policy=policy))
            case 3:
                return self._kept(AccountTransferred(**said, **settled, name="李"))
        return self._kept(AccountClosed(**said, **settled, cut=self.random.random() < 0.5))

    def _opened(self, account: str, terms: AlarmTerms) -> AccountOpened:
        choice = self.random
        amounts: Any = choice.choice([{"alarms": terms}, {"alarms": terms}, {"policy": "standard"}])
        return AccountOpened(
            at=self.now, id=self._id(), account=account, currency="CNY", prepared=choice.random() < 0.2, **amounts
        )

    def _installed(self, number: int) -> MeterInstalled:
        tariff = self.random.choice(self.tariffs)
        modulus = self.random.choice([0, 20_000, 1_000_000])
        self.registers[number] = self.random.randrange(modulus or 10**6)
        installed = MeterInstalled(
            at=self.now, id=self._id(), meter=number, account=self.random.choice(self.accounts), tariff=tariff,
            commodity=Commodity.WATER if tariff == "water" else Commodity.ELECTRICITY, modulus=modulus,
            rated_per_hour=60_000, ratio=self.random.choice([1, 1, 40]), switchable=self.random.random() < 0.8,
            opening_register=self.random.choice([None, self.registers[number]]),
            persons=self.random.choice([1, 1, 2, 6]), capacity_w=self.random.choice([0, 0, 12_345]),
        )  # fmt: skip
        self.meters[number] = installed
        return installed
