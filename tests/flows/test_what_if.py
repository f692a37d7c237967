"""What if: the machine's own fold with another tariff, beside the one that was."""

import sys
from collections import Counter
from pathlib import Path

import pytest
from histories import history
from streets import Housed

from domain.facts import RECORDS, ReadingBlock, TariffAssigned, TariffPublished
from domain.words import Ledger
from flows.machine import fold
from flows.state import ShardState
from flows.what_if import TOLD, WhatIf
from tariffs.loader import load_tariff

sys.path.append(str(Path(__file__).parents[1] / "journeys"))
from language import live

JOURNEYS_FOLDER = Path(__file__).parents[1] / "journeys"
JOURNEYS = sorted(JOURNEYS_FOLDER.glob("*.txt"))
FOREVER = 0, 47_482
HEAD = """in Asia/Shanghai
2025-12-06
08:00 publishes one-yuan
08:00 opens room-201
08:00 installs meter 1 at 100.000 tariff one-yuan
08:00 tops up 500.00
"""


def document(tariff):
    """A tariff file beside the journeys; or twice the price of `one-yuan`."""
    if tariff == "two-yuan":
        return document("one-yuan").replace("one-yuan", "two-yuan").replace('price = "1"', 'price = "2"')
    return (JOURNEYS_FOLDER / "tariffs" / f"{tariff}.toml").read_text(encoding="utf-8")


def entries_of(text):
    """The log of a journey."""
    return [((number, 0), found.fact) for number, (_, found) in enumerate(live(text), start=1)]


def by(text, entries, days=FOREVER, at_once=7):
    """What accounts paid and would pay by the tariff of a document."""
    what_if = WhatIf(0, load_tariff(text, "what-if.toml"), text, *days)
    state = ShardState(0)
    for start in range(0, len(entries), at_once):
        batch = entries[start : start + at_once]
        state, effects = fold(state, batch)
        what_if.follow(state, batch, effects)
    return what_if


def test_every_kind_of_fact_is_told_or_left_out():
    """A new fact cannot be forgotten: it bears on what usage costs, or it is said that it does not."""
    assert set(TOLD) == {*RECORDS, ReadingBlock}


def tariffs_of(entries):
    """Documents of electricity tariffs by their ids, in a journey that publishes each but once; else nothing."""
    published = [fact for _, fact in entries if isinstance(fact, TariffPublished)]
    found = {fact.tariff: fact.document for fact in published if 'commodity = "electricity"' in fact.document}
    return found if len(published) == len({fact.tariff for fact in published}) else {}


def test_by_their_own_tariff_nobody_pays_anything_else():
    """Tenants who leave in debt, allowances, corrections, bands and tiers: the second fold comes to the first one's amounts."""
    compared = 0
    for journey in JOURNEYS:
        entries = entries_of(journey.read_text(encoding="utf-8"))
        tariffs = tariffs_of(entries)
        if len(tariffs) != 1:
            continue
        what_if = by(*tariffs.values(), entries)
        paid = what_if.paid()
        assert [each.difference for each in paid] == [0] * len(paid), journey.stem
        assert what_if.unlike == [], journey.stem
        compared += sum(each.was != 0 for each in paid)

    assert compared > 30


@pytest.mark.parametrize("seed", range(40))
def test_what_was_paid_is_what_the_ledger_has(seed):
    """Of any history, whatever the batches: the postings of usage less what was free, and what the meters have not posted."""
    entries = history(seed, 60, Housed)
    text = next(fact.document for _, fact in entries if isinstance(fact, TariffPublished))
    state, effects = fold(ShardState(0), entries)
    posted = Counter()
    for caused in effects:
        for row in caused.postings if caused.postings is not None else ():
            if row["meter"]:
                amount = int(row["amount"])
                posted[int(row["account"])] += amount if row["debit"] == Ledger.CUSTOMER else -amount
    for meter, terms in zip(state.meters.rows, state.meter_terms.rows, strict=True):
        if meter["day"] >= 0:
            posted[int(terms["account"])] += int(meter["day_cost"]) - int(meter["day_free"])

    found = [by(text, entries, at_once=each).paid() for each in (1, 5, 1_000)]

    assert found[0] == found[1] == found[2]
    assert found[0]
    assert {each.account: each.was for each in found[0]} == {
        each.account: posted[state.account_records[each.account].row] for each in found[0]
    }


@pytest.mark.parametrize(
    ("lines", "tariff", "expected"),
    [
        ("2025-12-07\n08:00 reads 124.000", "two-yuan", (24_000, 24_000_000, 48_000_000)),
        ("2025-12-07\n08:00 reads 124.000", "day-and-night", (24_000, 24_000_000, 20_000_000)),
        ("2025-12-07\n08:00 reads 124.000", "ladder", (24_000, 24_000_000, 38_000_000)),
        ("08:00 allows 10.000 of electricity a month\n09:00 reads 124.000", "ladder", (24_000, 14_000_000, 28_000_000)),
        ("08:00 allows 30.00 of money a month\n09:00 reads 124.000", "ladder", (24_000, 0, 8_000_000)),
        ("09:00 reads 101.000\n09:30 corrects 08:00 to 09:00 by 2.000 because so it was", "two-yuan", (3_000, 3_000_000, 6_000_000)),
        ("09:00 reads 110.000\n09:30 closes with refund\n09:45 reads 112.000\n10:00 activates for b\n11:00 reads 115.000", "ladder", (13_000, 13_000_000, 16_000_000)),
        ("09:00 refunds 499.00\n10:00 reads 103.000\n11:00 closes with pay_up", "two-yuan", (3_000, 3_000_000, 6_000_000)),
        ("09:00 reads 101.000\n10:00 replaces meter 1 at 102.000 by meter 2 at 5.000\n11:00 reads meter 2 8.000", "two-yuan", (5_000, 5_000_000, 10_000_000)),
    ],
)  # fmt: skip
def test_a_household_would_pay(lines, tariff, expected):
    """Wh used, what was paid at one yuan, and what it would be by another tariff, in one case after the other."""
    (paid,) = by(document(tariff), entries_of(HEAD + lines)).paid()

    assert (paid.usage, paid.was, paid.would) == expected


@pytest.mark.parametrize(
    ("days", "expected"), [((20428, 20428), (16_000, 16_000_000)), ((20429, 20430), (8_000, 8_000_000)), ((20430, 20430), (0, 0))]
)  # fmt: skip
def test_only_usage_of_the_days_counts(days, expected):
    """Of a day's reading at eight, sixteen hours are of the sixth of December, and eight of the seventh, which is not posted yet."""
    (paid,) = by(document("two-yuan"), entries_of(HEAD + "2025-12-07\n08:00 reads 124.000"), days).paid()

    assert (paid.usage, paid.was) == expected
    assert paid.would == 2 * paid.was


def test_tiers_count_what_was_used_before_the_days():
    """The second day's use is in the second tier because of the first day's."""
    lines = "2025-12-06\n23:59 reads 110.000\n2025-12-07\n08:00 reads 114.000"

    (paid,) = by(document("ladder"), entries_of(HEAD + lines), (20429, 20429)).paid()

    assert (paid.was, paid.would) == (3_992_000, 7_984_000)


def test_a_tariff_of_another_commodity_leaves_electricity_alone():
    """A water tariff is for water meters; who has none is not in the comparison."""
    assert by(document("water"), entries_of(HEAD + "09:00 reads 101.000")).paid() == []


def test_an_assignment_is_to_the_tariff_too():
    """A meter that went over to another tariff is priced by the one asked for, before and after."""
    lines = "08:30 publishes ladder\n08:30 assigns ladder from 09:00\n09:00 reads 101.000\n10:00 reads 103.000"
    entries = entries_of(HEAD + lines)
    assert any(isinstance(fact, TariffAssigned) for _, fact in entries)

    (paid,) = by(document("two-yuan"), entries).paid()

    assert (paid.usage, paid.would) == (3_000, 6_000_000)


def test_what_would_be_refused_is_said():
    """What is given back of a tier period that is no longer kept has no price: by a tariff that counts days, the third day is too late."""
    lines = "2025-12-07\n08:00 reads 124.000\n2025-12-10\n08:00 reads 148.000\n09:00 corrects 2025-12-06 08:00 to 2025-12-06 20:00 by -1.000 because nobody was there"
    text = document("ladder").replace('cycle = "month"', 'cycle = "day"')

    (said,) = by(text, entries_of(HEAD + lines)).unlike

    assert said.startswith("reading_corrected ")
    assert said.endswith(" was carried out, and would be refused: correction_too_large")


def test_a_tariff_that_no_wallet_can_be_charged_by_is_refused_in_words():
    """A standing charge is known only when a bill is made."""
    text = (
        document("one-yuan")
        + '\n[[version.charge]]\nname = "rent"\namount = "5"\nevery = "month"\ntitle = { zh = "a", en = "b" }\n'
    )

    with pytest.raises(ValueError, match="a wallet cannot be charged by it: charge rent is known only"):
        by(text, [])
