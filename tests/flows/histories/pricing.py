"""Tariffs as they come: prices, versions, bands and tiers by chance, and which meter is priced by which."""

import json

import numpy as np

from domain.facts import (
    TariffAssigned,
)
from domain.units import DAY_MS, HOUR_MS, MINUTE_MS
from histories.documents import flat, stepped, time_of_use
from histories.happenings import Happenings


class Pricing(Happenings):
    """Tariffs, and meters that are assigned to them."""

    def _instant(self) -> str:
        """A date of these days, or a minute of these hours with its offset."""
        at = np.datetime64(
            self.start + self.random.randrange(-3, 12) * HOUR_MS + self.random.randrange(60) * MINUTE_MS, "ms"
        )
        return self.random.choice([f"{at.astype('datetime64[D]')}", f"{at.astype('datetime64[s]')}Z"])

    def _price(self) -> str:
        choice = self.random
        return choice.choice(
            ["0.5", "0.99500875", "1.234567891", "-0.1", f"{choice.randrange(40)}.{choice.randrange(10**9):09d}"]
        )

    def _document(self, tariff: str) -> str:
        count = self.random.randint(1, 3)
        starts = ["2024-01-01", *sorted({self._instant() for _ in range(count - 1)})]
        commodity = "water" if tariff == "water" else "electricity"
        by_meter = tariff == "two" and self.random.random() < 0.6
        if self.random.random() < 0.6:
            steps = [(start, *self._steps(by_bands=by_meter)) for start in starts]
            return stepped(tariff, self.zone, *steps, commodity=commodity, by_meter=by_meter)
        if tariff == "water":
            return flat(tariff, self.zone, *((start, self._price()) for start in starts), commodity="water")
        if tariff == "one":
            return flat(tariff, self.zone, *((start, self._price()) for start in starts))
        versions = [(start, self._prices(), self._days()) for start in starts]
        return time_of_use(tariff, self.zone, *versions, by_meter=by_meter)

    def _steps(self, *, by_bands: bool) -> tuple[str, str]:
        """A version of tiers, plain or by time of use, and how its usage is counted."""
        choice = self.random
        count = choice.randint(1, 3)
        limits = sorted(choice.sample([1, 40, 500, 1_333, 2_000, 20_000, 90_000], count))
        if not by_bands and choice.random() < 0.5:
            prices = [self._price() for _ in range(count + 1)]
            body = f"price = {json.dumps(prices)}"
        else:
            bands = {band: [self._price() for _ in range(count + 1)] for band in ("peak", "flat", "valley")}
            tables = ", ".join(f"{band} = {json.dumps(prices)}" for band, prices in bands.items())
            days = {name: json.dumps(self._day()) for name in ("workday", "weekend")}
            body = f"prices = {{ {tables} }}\ndays = {{ workday = {days['workday']}, weekend = {days['weekend']} }}\n"
            body += 'week = { "mon-fri" = "workday", "sat,sun" = "weekend" }'
        texts = json.dumps([f"{limit // 1000}.{limit % 1000:03d}" for limit in limits])
        cycle = choice.choice(["day", "day", "month", "year", "two_months"])
        day = choice.choice(["06", "09"])
        begins = {"year": f'begin = "12-{day}"', "two_months": f'begin = "02-{day}"', "month": f'begin = "{day}"'}
        tiers = [
            f'cycle = "{cycle}"',
            begins.get(cycle, ""),
            f"limits = {texts}",
            f'mode = "{choice.choice(["graduated", "graduated", "volume"])}"',
            f'counter = "{choice.choice(["carry", "carry", "restart"])}"',
            f'per = "{choice.choice(["account", "account", "person", "kW"])}"',
        ]
        if choice.random() < 0.2:
            tiers.append("days = { per = 30 }")
        return body, "\n".join(tiers)

    def _assigned(self) -> TariffAssigned:
        number, tariff = self.random.choice([*self.meters, 99]), self.random.choice([*self.tariffs, "none"])
        starts_at = self.now + self.random.choice([-DAY_MS, -90_500, 0, HOUR_MS // 2 + 1, 20 * HOUR_MS])
        return self._kept(
            TariffAssigned(
                at=self.now,
                id=self._id(),
                meter=number,
                tariff=tariff,
                starts_at=starts_at,
                persons=self.random.choice([0, 1, 1, 3]),
                capacity_w=self.random.choice([0, 4_500]),
                restart=self.random.random() < 0.3,
            )
        )

    def _prices(self) -> dict[str, str]:
        return {band: self._price() for band in ("peak", "flat", "valley")}

    def _days(self) -> dict[str, list[tuple[str, str]]]:
        return {name: self._day() for name in ("workday", "weekend")}

    def _day(self) -> list[tuple[str, str]]:
        minutes = sorted(self.random.sample(range(1, 1440), 4) + self.random.sample(range(60, 1440, 60), 4))
        bands = [self.random.choice(["peak", "flat", "valley"]) for _ in range(9)]
        return [
            (f"{at // 60:02d}:{at % 60:02d}", band)
            for at, band in zip(dict.fromkeys([0, *minutes]), bands, strict=False)
        ]
