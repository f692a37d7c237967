"""Tariffs of made-up prices, as documents."""

import uuid


def order_text(at: int, number: int) -> str:
    """A UUIDv7 made at `at` (ms UTC), the same for the same number."""
    value = (at & (2**48 - 1)) << 80 | 7 << 76 | 2 << 62 | (number & (2**62 - 1))
    return str(uuid.UUID(int=value))


def flat(
    tariff: str, zone: str, *versions: tuple[str, str], commodity: str = "electricity", currency: str = "CNY"
) -> str:
    """A tariff of one price, as a document; `versions` are (from, price)."""
    parts = [f'[[version]]\nfrom = {start}\nprice = "{price}"\n' for start, price in versions]
    return _head(tariff, zone, commodity, currency) + "\n".join(parts)


def stepped(
    tariff: str, zone: str, *versions: tuple[str, str, str], commodity: str = "electricity", by_meter: bool = False
) -> str:
    """A tariff of tiers: `versions` are (from, the body of the version, the body of its tiers); `by_meter` as in `time_of_use`."""
    parts = [f"[[version]]\nfrom = {start}\n{body}\n[version.tiers]\n{tiers}\n" for start, body, tiers in versions]
    return _head(tariff, zone, commodity, "CNY", BY_METER if by_meter else "") + "\n".join(parts)


def time_of_use(
    tariff: str,
    zone: str,
    *versions: tuple[str, dict[str, str], dict[str, list[tuple[str, str]]]],
    currency: str = "CNY",
    by_meter: bool = False,
) -> str:
    """A tariff of bands: `versions` are (from, prices, day profiles); the last profile is that of weekends.

    `by_meter`: the meter's own registers say what is used in peak, flat and valley.
    """
    asks = BY_METER if by_meter else ""
    return _head(tariff, zone, "electricity", currency, asks) + "\n".join(_version(*version) for version in versions)


BY_METER = 'usage_by = "meter_bands"\nmeter_bands = { sharp = "peak", deep_valley = "valley" }\n'


def _head(tariff: str, zone: str, commodity: str, currency: str, asks: str = "") -> str:
    return (
        f'tariff = "{tariff}"\ntitle = {{ zh = "测试", en = "Test" }}\ncommodity = "{commodity}"\n'
        f'currency = "{currency}"\nzone = "{zone}"\nsource = "made up"\n{asks}\n'
    )


def _version(start: str, prices: dict[str, str], days: dict[str, list[tuple[str, str]]]) -> str:
    names = list(days)
    slots = {name: ", ".join(f'["{time}", "{band}"]' for time, band in day) for name, day in days.items()}
    return "\n".join(
        [
            f"[[version]]\nfrom = {start}",
            "prices = { " + ", ".join(f'{band} = "{price}"' for band, price in prices.items()) + " }",
            "[version.days]",
            *(f"{name} = [{text}]" for name, text in slots.items()),
            f'[version.week]\n"mon-fri" = "{names[0]}"\n"sat,sun" = "{names[-1]}"\n',
        ]
    )
