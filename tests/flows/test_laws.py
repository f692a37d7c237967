"""The laws of the design, each over random histories of a street; hypothesis prints the seed of one that fails."""

import ast
from collections import Counter
from hashlib import blake2b
from pathlib import Path

import numpy as np
import pytest
from histories import Entries, all_postings, effect_bytes, flat, histories, history, lived, order_text, readings
from hypothesis import given, settings
from hypothesis import strategies as st

from connectors.redis.commit import Commit
from connectors.redis.errors import MovedOn
from connectors.redis.store import Store
from domain.effects import Effects
from domain.facts import (
    AccountOpened,
    MeterInstalled,
    MeterRemoved,
    MeterReplaced,
    QuarantineDecided,
    ReadingBlock,
    RechargeOrdered,
    TariffPublished,
    Ticked,
)
from domain.units import HOUR_MS, MINUTE_MS, PICOS_PER_MICRO
from domain.words import QUARANTINED, Commodity, Ledger, Metering
from flows.audit import Audit, compare
from flows.machine import fold
from flows.settle import Batch, fold_batch, settle_once
from flows.state import ShardState
from tariffs.loader import load_tariff
from tariffs.rating import cost_of
from tariffs.tariff import plan_of
from tariffs.timeline import compile_timeline

ROOT = Path(__file__).parents[2]
START = 1_764_979_200_000

some = settings(max_examples=50)
few = settings(max_examples=25)


def audited(entries: Entries) -> Audit:
    """The audit of a history."""
    audit = Audit(0)
    for entry, fact in entries:
        audit.take(entry, fact)
    return audit


@some
@given(histories())
def test_the_machine_and_the_audit_agree(entries):
    """Laws 1, 6, 9: every balance to the last pico, every class, every total and every answer, worked out twice."""
    audit = audited(entries)

    shelf, effects = lived(entries)

    answers = [(outcome.id, outcome.refusal) for effect in effects for outcome in effect.outcomes]
    assert compare(audit, shelf.load(), all_postings(effects)) == []
    assert answers == audit.answers


@some
@given(histories(), st.sets(st.integers(1, 80), max_size=12))
def test_cutting_the_log_never_shows(entries, cuts):
    """Law 3: any cut of the log into batches gives the same state and the same effects, byte for byte."""
    whole, effects = lived(entries)

    cut, cut_effects = lived(entries, cuts)

    assert cut.bytes() == whole.bytes()
    assert effect_bytes(cut_effects) == effect_bytes(effects)


@some
@given(histories(), st.sets(st.integers(1, 80), max_size=12))
def test_starting_again_from_the_store_never_shows(entries, cuts):
    """Laws 3 and 10: a worker that dies after any commit and loads the state back goes on as if nothing had been."""
    whole, effects = lived(entries)

    resumed, resumed_effects = lived(entries, cuts, reload=True)

    assert resumed.bytes() == whole.bytes()
    assert effect_bytes(resumed_effects) == effect_bytes(effects)


@few
@given(histories())
def test_the_same_log_gives_the_same_bytes(entries):
    """Law 2: two machines that are told the same do the same."""
    first, second = lived(entries), lived(entries)

    assert first[0].bytes() == second[0].bytes()
    assert effect_bytes(first[1]) == effect_bytes(second[1])


@few
@given(histories(longest=40))
def test_a_reading_alone_is_settled_like_one_in_a_block(entries):
    """Law 3, inside a block: readings are handled one by one, so blocks of one give the same money, energy and warnings."""
    alone: Entries = []
    for (high, low), fact in entries:
        if isinstance(fact, ReadingBlock):
            rows = zip(fact.meter.tolist(), fact.time.tolist(), fact.register.tolist(), strict=True)
            bands = [None] * len(fact) if fact.bands is None else [[own] for own in fact.bands.tolist()]
            alone += [((high, low * 100 + n), readings(row, bands=bands[n])) for n, row in enumerate(rows)]
        else:
            alone.append(((high, low * 100), fact))

    together, effects = lived(entries)
    apart, effects_apart = lived(alone)

    assert apart.load().rows["accounts"].tobytes() == together.load().rows["accounts"].tobytes()
    assert _usage(effects_apart) == _usage(effects)
    assert [_said(alarm) for effect in effects_apart for alarm in effect.alarms if alarm.balance] == [
        _said(alarm) for effect in effects for alarm in effect.alarms if alarm.balance
    ]


@some
@given(histories(), st.integers(0, 2 * MINUTE_MS))
def test_a_tick_that_does_not_move_time_changes_nothing(entries, behind):
    """Clocks may run on several hosts: a second tick of the same minute, or one that comes late, has no effect and leaves every row as it is."""
    once: Entries = [((high, low * 10), fact) for (high, low), fact in entries]
    twice: Entries = []
    for (high, low), fact in once:
        late = [((high, low + 1), Ticked(at=fact.at - behind))] if isinstance(fact, Ticked) else []
        twice += [((high, low), fact), *late]

    (one, effects), (two, more_effects) = lived(once), lived(twice)

    known = {entry for entry, _ in once}
    assert {**two.bytes(), "position": None} == {**one.bytes(), "position": None}
    assert effect_bytes(each for each in more_effects if each.entry in known) == effect_bytes(effects)
    late_effects = [each for each in more_effects if each.entry not in known]
    assert effect_bytes(late_effects) == effect_bytes(Effects(each.entry) for each in late_effects)


def _goes(fact, effect) -> bool:
    """Whether a meter goes here, with a last reading."""
    return isinstance(fact, MeterRemoved | MeterReplaced) and effect.classes is not None


def _usage(effects) -> bytes:
    return b"".join(effect.usage.tobytes() for effect in effects if effect.usage is not None)


def _said(alarm) -> tuple:
    return alarm.kind, alarm.state, alarm.at, alarm.account, alarm.meter, alarm.balance, alarm.repeat


@some
@given(histories())
def test_every_order_moves_money_once(entries):
    """Law 5: an id is posted at most once against each ledger account, a fee's once for each period, however often it is repeated or contradicted."""
    _, effects = lived(entries)

    postings = all_postings(effects)
    orders = Counter(
        (int(row.order_high), int(row.order_low), int(row.debit), int(row.credit), int(row.day))
        for row in postings
        if row.order_high
    )
    assert all(count == 1 for count in orders.values())


@some
@given(histories())
def test_the_ledger_is_numbered_chained_and_balanced(entries):
    """Law 9: postings count 1, 2, 3 …, the chain recomputes, every amount is positive, and debits equal credits."""
    shelf, effects = lived(entries)

    postings, chain = all_postings(effects), bytes(32)
    sums: Counter[int] = Counter()
    for effect in effects:
        if effect.postings is not None:
            chain = blake2b(chain + effect.postings.tobytes(), digest_size=32).digest()
            assert effect.chain == chain
    for row in postings:
        sums[int(row.debit)] += int(row.amount)
        sums[int(row.credit)] -= int(row.amount)
    assert shelf.load().header.chain == chain
    assert postings["sequence"].tolist() == list(range(1, len(postings) + 1))
    assert sum(sums.values()) == 0
    assert all(row.amount > 0 and {int(row.debit), int(row.credit)} <= set(Ledger) for row in postings)


def is_no_usage(row):
    """Whether a posting is no usage's price: orders and fees, and what allowances gave back; not rests below a micro."""
    sides = {int(row.debit), int(row.credit)}
    return Ledger.ALLOWANCES in sides or (row.meter == 0 and Ledger.ROUNDING not in sides)


@some
@given(histories())
def test_closed_and_open_windows_hold_all_that_was_charged(entries):
    """Laws 6 and 9: usage rows and open windows add up to the energy priced and, to the pico, to the money charged."""
    audit, (shelf, effects) = audited(entries), lived(entries)

    stored, energy, money = shelf.load(), Counter(), 0
    for row in np.concatenate([effect.usage for effect in effects if effect.usage is not None] or [[]]):
        energy[int(row["meter"])] += int(row["usage"])
        money += int(row["cost_micros"]) * PICOS_PER_MICRO + int(row["cost_picos"])
    for meter, terms in zip(stored.rows["meters"], stored.rows["meter_terms"], strict=True):
        energy[int(terms["number"])] += int(meter["window_usage"])
        money += int(meter["window_cost"]) * PICOS_PER_MICRO + int(meter["window_picos"])
        money -= int(meter["day_free"]) * PICOS_PER_MICRO + int(meter["day_free_picos"])
    orders = [row for row in all_postings(effects) if is_no_usage(row)]
    paid = sum(int(row.amount) * (1 if row.credit == Ledger.CUSTOMER else -1) for row in orders)
    assert dict(energy) == {number: audit.priced[number] for number in energy}
    assert sum(audit.priced.values()) == sum(energy.values())
    assert sum(audit.balances.values()) == paid * PICOS_PER_MICRO - money - audit.rounded


@some
@given(histories())
def test_nothing_is_dropped_in_silence(entries):
    """Law 7: every reading has a class, and every one that is not believed is a row, in a case, with an alarm as long as it is open."""
    shelf, effects = lived(entries)

    told = sum(len(fact) for _, fact in entries if isinstance(fact, ReadingBlock))
    told += sum(len(effect.classes) for (_, fact), effect in zip(entries, effects, strict=True) if _goes(fact, effect))
    stored, held = shelf.load(), [row for effect in effects for row in _rows(effect.quarantined)]
    refused = sum(len(effect.refused) for effect in effects)
    cases = stored.records["cases"]
    assert sum(stored.header.classes) == told
    assert len(held) == sum(stored.header.classes[kind] for kind in QUARANTINED)
    assert sum(case.count for case in cases.values()) == len(held) + refused - decided_on(entries, effects)
    alarms = [alarm for effect in effects for alarm in effect.alarms if alarm.kind == "quarantine"]
    standing = Counter()
    for alarm in alarms:
        standing[f"{alarm.meter:012d}:{alarm.reason}"] += 1 if alarm.state == "raised" else -1
    assert {name: int(not case.released_at) for name, case in cases.items()} == {
        name: standing.pop(name) for name in cases
    }
    assert set(standing.values()) <= {0}


def decided_on(entries: Entries, effects) -> int:
    """How many held readings and refused inputs persons have decided on: those of a case until it was closed."""
    waiting, decided, closed = Counter(), 0, set()
    facts = dict(entries)
    for effect in effects:
        for row in _rows(effect.quarantined):
            waiting[int(row["meter"]), Metering(int(row["metering"])).name.lower()] += 1
        for fact in effect.refused:
            waiting[fact.meter, fact.reason] += 1
        fact = facts[effect.entry]
        if isinstance(fact, QuarantineDecided) and not effect.outcomes[0].refusal and fact.id not in closed:
            decided += waiting.pop((fact.meter, fact.reason))
            closed.add(fact.id)
    return decided


def _rows(rows):
    return [] if rows is None else rows


def street_of_one(document: str, tariff: str = "one", opening: int = 0, ratio: int = 1) -> list:
    """One account with one meter that opens at `opening`, and money enough."""
    ids = (order_text(START, number) for number in range(9))
    return [
        TariffPublished(at=START, id=next(ids), tariff=tariff, document=document),
        AccountOpened(at=START, id=next(ids), account="room", currency="CNY"),
        MeterInstalled(
            at=START, id=next(ids), meter=1, account="room", tariff=tariff, commodity=Commodity.ELECTRICITY, modulus=0,
            rated_per_hour=10**9, opening_register=opening, ratio=ratio,
        ),
        RechargeOrdered(at=START, id=next(ids), account="room", amount_micros=10**12, currency="CNY"),
    ]  # fmt: skip


def balance_picos(facts: list) -> int:
    """The exact balance of the one account after these facts."""
    state, _ = fold(ShardState(0), [((1, number), fact) for number, fact in enumerate(facts)])
    account = state.accounts.rows[0]
    return int(account.balance) * PICOS_PER_MICRO + int(account.balance_picos)


@some
@given(
    st.integers(0, 3_000_000),
    st.integers(1, 40 * HOUR_MS),
    st.sets(st.integers(1, 40 * HOUR_MS), max_size=20),
    st.sampled_from(["0.99500875", "1.234567891", "0.000000001", "-0.1", "999999.999999999"]),
)
def test_reading_more_often_never_changes_the_bill(usage, length, moments, price):
    """Law 6: at one price, any readings in between cost together exactly what one reading at the end costs."""
    opened = street_of_one(flat("one", "Asia/Kolkata", ("2024-01-01", price)))
    at = sorted({moment for moment in moments if moment < length} | {length})

    often = [readings((1, START + moment, usage * moment // length)) for moment in at]
    once = [readings((1, START + length, usage))]

    assert balance_picos([*opened, *often]) == balance_picos([*opened, *once])


@few
@given(histories(longest=0), st.integers(0, 900_000), st.integers(2, 30), st.data())
def test_reading_at_the_edges_of_prices_never_changes_the_bill(entries, usage, hours, data):
    """Law 6: under any tariff, readings wherever a price may change, and at any other times, cost what one at the end costs."""
    documents = [fact for _, fact in entries if isinstance(fact, TariffPublished) and fact.tariff != "water"]
    published = data.draw(st.sampled_from(documents))
    opened, end = street_of_one(published.document, published.tariff), START + hours * HOUR_MS
    edges = compile_timeline([plan_of(load_tariff(published.document))], START, end).segments["start"].tolist()
    inside = {edge for edge in edges if START < edge < end}
    at = sorted(inside | data.draw(st.sets(st.integers(START + 1, end), max_size=9)) | {end})

    often = [readings((1, moment, usage * (moment - START) // (end - START))) for moment in at]
    once = [readings((1, end, usage))]

    assert balance_picos([*opened, *often]) == balance_picos([*opened, *once])


@few
@given(st.lists(st.tuples(st.integers(1, 30), st.integers(0, 5_000)), max_size=30), st.sampled_from([1, 40]))
def test_a_charge_is_exact(steps, ratio):
    """Law 6: what minutes-long readings cost is usage times price of their minute, with nothing rounded anywhere."""
    document = flat("one", "Asia/Shanghai", ("2024-01-01", "0.99500875"), ("2025-12-06T00:20:00Z", "1.000000001"))
    plan, opened = plan_of(load_tariff(document)), street_of_one(document, ratio=ratio)

    at, register, cost, block = START, 0, 0, []
    for minutes, advance in steps:
        for _ in range(minutes):
            cost += advance * ratio * cost_of(plan, at, at + MINUTE_MS, 1).pieces[0].price
            at, register = at + MINUTE_MS, register + advance
            block.append((1, at, register))

    assert balance_picos([*opened, readings(*block)]) == 10**18 - cost


# The real store.


def kept(store: Store) -> dict[bytes, object]:
    """Everything in a store but its logs, as it is kept; but which records each commit has changed, which is of batches and not of the log."""
    found: dict[bytes, object] = {}
    for name in store._at(0).keys("*"):
        kind = store._at(0).type(name)
        if kind == b"string":
            found[name] = store._at(0).get(name)
        elif kind == b"hash":
            found[name] = store._at(0).hgetall(name)
        elif kind == b"list":
            found[name] = store._at(0).lrange(name, 0, -1)
        elif not name.startswith((b"log:", b"changed:")):
            found[name] = store._at(0).xrange(name)
    return found


def forget(store: Store) -> None:
    """Delete all that follows from the log."""
    for name in store._at(0).keys("*"):
        if not name.startswith(b"log:") and name != b"meterline":
            store._at(0).delete(name)


def next_commit(store: Store, state: ShardState, count: int) -> Commit:
    """Fold the next entries of shard 0."""
    commit = fold_batch(state, Batch(0, store.read(0, state.position, count)))
    assert commit is not None
    return commit


@pytest.fixture
def street(store: Store) -> Store:
    """A store whose first shard has a history in its log, not yet settled."""
    store.append_many((0, fact) for _, fact in history(7, 60))
    return store


def test_a_commit_applied_twice_is_refused_the_second_time(street):
    """Law 4: the script compares the position, so a repeated commit changes nothing at all."""
    state = ShardState.of(street.load(0))
    commits = [next_commit(street, state, 30), next_commit(street, state, 200)]
    street.commit(commits[0])
    before = kept(street)

    with pytest.raises(MovedOn):
        street.commit(commits[0])
    assert kept(street) == before

    street.commit(commits[1])
    before = kept(street)
    for commit in commits:
        with pytest.raises(MovedOn):
            street.commit(commit)
    assert kept(street) == before


def test_a_commit_that_changes_only_its_state_is_refused_too(street):
    """Law 4: no stream's own ids are needed to tell a repeat: a write of the state alone is refused like any other."""
    settle_once(street)
    before = kept(street)
    stale = Commit(0, (0, 0), (9, 9))
    stale.write("SET", "header:{00}", b"")

    with pytest.raises(MovedOn):
        street.commit(stale)

    assert kept(street) == before


@pytest.mark.parametrize("counts", [(1, 1), (3, 7), (16, 5)])
def test_two_writers_at_once_apply_every_entry_once(street, counts):
    """Law 4: of two workers on one shard each commit succeeds for one; the other reloads, and the end is the same."""
    settle_once(street)
    whole = kept(street)
    forget(street)

    states = [ShardState.of(street.load(0)), ShardState.of(street.load(0))]
    turns = [0, 1, 1, 0, 0, 0, 1] * 100
    refusals = 0
    while street.position(0) != street.last(0):
        writer = turns.pop()
        if not street.read(0, states[writer].position, 1):
            states[writer] = ShardState.of(street.load(0))
            continue
        try:
            street.commit(next_commit(street, states[writer], counts[writer]))
        except MovedOn:
            refusals += 1
            states[writer] = ShardState.of(street.load(0))

    assert refusals > 0
    assert kept(street) == whole


@pytest.mark.parametrize("size", [1, 2, 13])
def test_a_deleted_state_is_rebuilt_from_the_log_byte_for_byte(street, size):
    """Laws 3 and 10: everything but the log can be deleted, and comes back the same, in batches of any size."""
    settle_once(street)
    whole = kept(street)

    forget(street)
    settle_once(street, size)

    assert kept(street) == whole


def test_a_worker_killed_between_fold_and_commit_loses_nothing(street):
    """Law 4: what was folded but not committed is folded again by the next worker, to the same end."""
    settle_once(street)
    whole = kept(street)
    forget(street)

    while street.position(0) != street.last(0):
        state = ShardState.of(street.load(0))
        street.commit(next_commit(street, state, 9))
        if street.read(0, state.position, 1):
            next_commit(street, state, 9)  # and here the worker dies

    assert kept(street) == whole


def test_the_stored_shard_agrees_with_its_audit(street):
    """Law 1: an audit of the log that is in the store finds nothing to say about the state that is in the store."""
    audit = audited(street.read(0, (0, 0), 1_000))

    settle_once(street)

    assert len(audit.answers) > 10
    assert compare(audit, street.load(0)) == []


# The source itself.

IMPURE = {
    "time",
    "random",
    "secrets",
    "socket",
    "asyncio",
    "threading",
    "subprocess",
    "decimal",
    "logging",
    "structlog",
}
CLOCKS = {"now", "utcnow", "today", "uuid1", "uuid4", "uuid7", "urandom", "time_ns", "monotonic"}
WIRING = {"settle.py", "count.py", "archive.py", "notify.py"}


def pure_sources() -> list[Path]:
    """Files that must not know a clock, chance, I/O or a float."""
    flows = [path for path in (ROOT / "flows").rglob("*.py") if path.name not in WIRING | {"compiled.py"}]
    tariffs = [path for path in (ROOT / "tariffs").glob("*.py") if not path.name.startswith("urdb")]  # It makes files.
    return sorted([*flows, *(ROOT / "domain").glob("*.py"), *tariffs])


def impurities(source: str) -> list[str]:
    """What in a source would make it depend on more than its arguments, or round."""
    found = []
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Import(names=names):
                found += [name.name for name in names if name.name.split(".")[0] in IMPURE]
            case ast.ImportFrom(module=str(module)) if module.split(".")[0] in IMPURE:
                found.append(module)
            case ast.Attribute(attr="now", value=ast.Attribute(attr="header")):
                continue  # The machine's own clock: what ticks have said.
            case ast.Attribute(attr=attr) if attr in CLOCKS:
                found.append(attr)
            case ast.Name(id="float" | "open" | "print" | "input" | "hash" as name):
                found.append(name)
            case ast.Constant(value=float(value)):
                found.append(repr(value))
            case ast.Div():
                found.append("/")
    return found


@pytest.mark.parametrize("path", pure_sources(), ids=lambda path: f"{path.parent.name}/{path.name}")
def test_no_clock_no_chance_no_float(path):
    """Law 2: the machine, its words and its tariffs read no clock, draw no chance, do no I/O and know no fraction of two."""
    # Tariffs divide Fractions, which is exact; an import from elsewhere reads its numbers as Decimals and writes text.
    exact = {"/", "decimal"} if path.parent.name == "tariffs" else set()
    assert set(impurities(path.read_text(encoding="utf-8"))) - exact == set()


@pytest.mark.parametrize(
    "line",
    [
        "import time", "from random import choice", "datetime.now(UTC)", "uuid.uuid4()", "cost = 0.5",
        "kwh / 1000", "total /= 3", "float(cost)",
    ],
)  # fmt: skip
def test_an_impurity_is_found(line):
    """The check above can fail: each of these lines would."""
    assert impurities(line) != []
