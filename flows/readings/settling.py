"""Settling: from usage to money. Exact integers from the register to the wallet.

A wallet is whole micros and the exact rest in picos (1e-12 units). One Wh at a price of p nanos per kWh costs p picos, so
a piece costs usage * p picos exactly. That product may need more than 64 bits, so it is formed in two limbs:
p = high * 10^6 + low gives usage * high micros and usage * low picos. With usage <= 10^9 and |p| < 10^15 (domain/units.py)
both limbs stay below 10^18.
"""

from domain.units import PICOS_PER_MICRO
from flows.readings.compiled import Row, compiled


@compiled
def cost_of(usage: int, price: int) -> tuple[int, int]:
    """Exact cost of `usage` Wh or litres at `price` nanos per kWh or m³: (micros rounded down, picos 0 … 999 999)."""
    picos = usage * (price % PICOS_PER_MICRO)
    return usage * (price // PICOS_PER_MICRO) + picos // PICOS_PER_MICRO, picos % PICOS_PER_MICRO


@compiled
def spread(usage: int, elapsed_ms: int, duration_ms: int) -> int:
    """Usage until `elapsed_ms` of an interval of `duration_ms`: floor(usage * elapsed / duration), exactly.

    Cumulative, so that the pieces of an interval add up to its usage. Long division by a digit of 15 bits keeps each
    product below 2^62 for intervals of up to 4,000 years.
    """
    high, low = usage >> 15, usage & 32767
    whole, rest = high * elapsed_ms // duration_ms, high * elapsed_ms % duration_ms
    return (whole << 15) + ((rest << 15) + low * elapsed_ms) // duration_ms


@compiled
def charge(account: Row, micros: int, picos: int) -> None:
    """Take an exact cost from the wallet; its rest stays between 0 and 999 999 picos."""
    account.balance -= micros
    account.balance_picos -= picos
    if account.balance_picos < 0:
        account.balance_picos += PICOS_PER_MICRO
        account.balance -= 1
