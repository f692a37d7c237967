"""Bands: how a meter's own registers divide what its total has counted, in the compiled loop.

What is charged is the difference of the total. Kept is what has been charged of each band, not its register as last read: registers
are rounded down each by itself, and what one reading gives to the wrong band is taken back by the next.
"""

from domain.state import Rows
from flows.readings.compiled import Ints, Row, compiled
from tariffs.model import REGISTERS

FIVE = len(REGISTERS)
REGISTER_END = 10**15
"""No register is so high, whether or not it wraps."""
SLACK = 60
"""Wh by which registers may disagree without being doubted: six of them, rounded down to 10 Wh."""
MINUTES_OF_HOUR = 60
CHARGED = 1
"""Word of a row from which on it says what has been charged of each register (`domain.state.BAND_REGISTERS`)."""


@compiled
def are_readable(i: int, bands: Ints, modulus: int) -> bool:
    """Whether the i-th reading has band registers, all of which a meter can show."""
    if len(bands) == 0:
        return False
    lowest, highest = bands[i, 0], bands[i, 0]
    for register in range(1, FIVE):
        lowest, highest = min(lowest, bands[i, register]), max(highest, bands[i, register])
    return lowest >= 0 and highest < (modulus if modulus > 0 else REGISTER_END)


@compiled
def due_to(shown: int, charged: int, modulus: int) -> int:
    """What a register shows beyond what has been charged of it; less than nothing where too much was. Past the wrap, the nearer of the two."""
    due = shown - charged
    if modulus > 0:
        due %= modulus
        if 2 * due > modulus:
            due -= modulus
    return due


@compiled
def divide(i: int, bands: Ints, own: int, rows: Rows, words: Ints, term: Row, total: int, shares: Ints) -> bool:
    """Divide `total`, before ratio, by what is due to each register into `shares` (5,). Returns False where they disagree with it.

    `own`: the meter's row of `rows`, whose `words` are the same memory.
    """
    slack = SLACK + term.rated_per_hour // MINUTES_OF_HOUR
    due_in_all, greatest = 0, 0
    for register in range(FIVE):
        shares[register] = due_to(bands[i, register], words[own, CHARGED + register], term.modulus)
        if shares[register] < -slack:
            return False
        due_in_all += shares[register]
        if shares[register] > shares[greatest]:
            greatest = register
    if abs(total - due_in_all) > slack:
        return False
    most = greatest if shares[greatest] > 0 else int(rows[own].most)
    left = total
    for register in range(FIVE):
        shares[register] = min(max(shares[register], 0), left)
        left -= shares[register]
    shares[most] += left
    return True


@compiled
def count_shares(own: int, rows: Rows, words: Ints, modulus: int, shares: Ints) -> None:
    """Keep that `shares` (5,) have been charged."""
    greatest = 0
    for register in range(FIVE):
        charged = words[own, CHARGED + register] + shares[register]
        words[own, CHARGED + register] = charged % modulus if modulus > 0 else charged
        if shares[register] > shares[greatest]:
            greatest = register
    if shares[greatest] > 0:
        rows[own].most = greatest


@compiled
def begin(i: int, bands: Ints, own: int, words: Ints) -> None:
    """Let all that the registers show be charged: from here on they are followed."""
    for register in range(FIVE):
        words[own, CHARGED + register] = bands[i, register]
