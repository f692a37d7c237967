"""The directory against the store: whatever is committed, it shows at once, and nothing else."""

import asyncio
import random
from contextlib import asynccontextmanager

import pytest
from histories import flat, history, order_text, readings

from connectors.redis.commit import CHANGED_KEPT, KEYS_NAMED
from connectors.redis.directory import Directory, natural, place_key
from connectors.redis.errors import StoreError
from connectors.redis.keys import LISTED, key
from connectors.redis.live import LiveStore
from connectors.redis.store import Store
from domain.facts import AccountOpened, AccountUpdated, AlarmTerms, MeterInstalled, Place, TariffPublished
from domain.words import Commodity
from flows.settle import Batch, fold_batch, settle_once
from flows.state import ShardState

START = 1_764_979_200_000


@asynccontextmanager
async def directory_of(url: str):
    """A directory of a store, and the live store that it asks."""
    live = await LiveStore.open(url)
    yield Directory(live), live
    await live.close()


def held(listed) -> tuple[object, ...]:
    """All that a directory has of a shard."""
    rows = listed.accounts.rows.tobytes(), listed.meters.rows.tobytes()
    return listed.position, rows, listed.records


def kept(store: Store, shard: int) -> tuple[object, ...]:
    """The same of a store, read from nothing."""
    stored = store.load(shard)
    rows = stored.rows["accounts"].tobytes(), stored.rows["meters"].tobytes()
    position = f"{stored.position[0]}-{stored.position[1]}".encode()
    return position, rows, {name: dict(stored.records[name].items()) for name in LISTED}


def check_indexes(directory: Directory) -> None:
    """The order of places and of numbers are those of what it holds."""
    entries = directory.entries.values()
    assert [entry.key for entry in directory.places] == sorted(place_key(entry.record) for entry in entries)
    listed = [each for each in directory._kept if each]
    numbers = [
        meter.meter for each in listed for meter in each.records["meter_records"].values() if not meter.removed_at
    ]
    assert directory.numbers == sorted(numbers)
    assert all(directory.found(number)[1].removed_at == 0 for number in numbers)


@pytest.mark.parametrize("seed", range(8))
def test_what_was_committed_is_shown_at_once(store, store_url, seed):
    """After each commit of any history the directory has the store's rows and records, to the byte, and its indexes follow."""
    chance = random.Random(seed)
    store.append_many((0, fact) for _, fact in history(seed, 150))
    state = ShardState.of(store.load(0))

    async def follow():
        async with directory_of(store_url) as (directory, _):
            while entries := store.read(0, state.position, chance.randrange(1, 12)):
                store.commit(fold_batch(state, Batch(0, entries)))
                if chance.random() < 0.6:  # Some commits are met together.
                    assert held((await directory.current([0]))[0]) == kept(store, 0)
                    check_indexes(directory)
            assert [held(each) for each in await directory.current()] == [kept(store, shard) for shard in range(4)]

    asyncio.run(follow())


def opened(number: int, site: str = "Garden", **more) -> AccountOpened:
    """The opening of an account."""
    at = START + number
    return AccountOpened(
        at=at, id=order_text(at, number), account=f"A-{number}", currency="CNY", alarms=AlarmTerms(),
        place=Place(site=site, building="1", floor="1", room=str(number)), **more,
    )  # fmt: skip


def test_a_directory_that_is_far_behind_reads_all_anew(store, store_url):
    """When the notes of what has changed no longer reach back to it, or are gone with the whole state, nothing is missed."""

    async def follow():
        async with directory_of(store_url) as (directory, _):
            for number, forget in enumerate(("trim", "delete", "nothing")):
                store.append(0, opened(number))
                settle_once(store)
                if forget == "trim":
                    store._at(0).xtrim(key("changed", 0), maxlen=0)
                elif forget == "delete":
                    names = [name for name in store._at(0).keys("*{00}*") if not name.startswith(b"log:")]
                    store._at(0).delete(*names)
                    settle_once(store)
                assert held((await directory.current([0]))[0]) == kept(store, 0)
            return list(directory.entries)

    assert asyncio.run(follow()) == ["A-0", "A-1", "A-2"]


def test_a_commit_of_many_changes_is_read_as_a_whole(store, store_url):
    """A commit that changes more records than it names says so, and all of the kind are read."""
    count = KEYS_NAMED + 1

    async def follow():
        async with directory_of(store_url) as (directory, _):
            await directory.current()
            store.append_many((0, opened(number)) for number in range(count))
            state = ShardState.of(store.load(0))
            store.commit(fold_batch(state, Batch(0, store.read(0, state.position, count))))
            assert held((await directory.current([0]))[0]) == kept(store, 0)
            return len(directory.places)

    assert asyncio.run(follow()) == count
    assert store._at(0).xlen(key("changed", 0)) <= CHANGED_KEPT


def test_readings_leave_no_note(store):
    """What changes with every reading is in the rows: a commit of readings and ticks alone writes nothing for directories."""
    store.append(0, opened(1))
    settle_once(store)
    before = store._at(0).xlen(key("changed", 0))
    store.append(0, readings((1, START, 5)))
    store.append(0, readings((1, START + 60_000, 6)))
    settle_once(store)

    assert (before, store._at(0).xlen(key("changed", 0))) == (1, 2)


def test_many_who_ask_at_once_share_one_look(store, store_url):
    """A thousand questions at one time cost a few round trips, and each still sees what was committed before it was asked."""
    store.append(0, opened(1))
    settle_once(store)

    async def ask():
        async with directory_of(store_url) as (directory, live):
            looks, look = [], live.positions

            async def counted():
                looks.append(1)
                return await look()

            live.positions = counted
            await asyncio.gather(*(directory.current() for _ in range(1000)))
            return len(looks)

    assert asyncio.run(ask()) <= 3


def test_whoever_comes_during_a_look_is_not_given_its_answer(store, store_url):
    """A look that began before a commit may not know of it: who asks after the commit waits for the next one."""

    async def ask():
        async with directory_of(store_url) as (directory, live):
            await directory.current()
            look, is_read = live.positions, asyncio.Event()

            async def slow():
                found = await look()
                is_read.set()
                await asyncio.sleep(0.05)
                return found

            live.positions = slow
            first = asyncio.create_task(directory.current())
            await is_read.wait()
            store.append(0, opened(7))
            settle_once(store)
            listed = await directory.current([0])
            await first
            return list(listed[0].records["account_records"])

    assert asyncio.run(ask()) == ["A-7"]


def test_a_store_that_is_gone_is_told_to_all_who_wait(store, store_url, server):
    """Nobody waits behind others for a server that is not there, and nobody is shown what may be old."""

    async def ask():
        async with directory_of(store_url) as (directory, _):
            await directory.current()
            server.stop()
            return await asyncio.gather(*(directory.current() for _ in range(50)), return_exceptions=True)

    assert all(isinstance(each, StoreError) for each in asyncio.run(ask()))


def test_places_are_sorted_as_people_do():
    """Floor 2 comes before floor 10, and room 2-10 before 10-2."""
    assert sorted(["10", "2", "B1", "1"], key=natural) == ["1", "2", "10", "B1"]
    assert sorted(["10-2", "2-10", "2-9"], key=natural) == ["2-9", "2-10", "10-2"]


def test_a_room_that_moves_is_where_it_is_now(store, store_url):
    """Another place or name of an account moves it in the order, however many do."""

    async def follow(count):
        async with directory_of(store_url) as (directory, _):
            store.append_many((0, opened(number)) for number in range(count))
            settle_once(store)
            await directory.current()
            for number in range(count):
                moved = AccountUpdated(
                    at=START + 999, id=order_text(START + 999, number), account=f"A-{number}",
                    place=Place(site="Mall", room=str(count - number)),
                )  # fmt: skip
                store.append(0, moved)
            settle_once(store)
            await directory.current()
            check_indexes(directory)
            return [entry.record.account for entry in directory.places]

    assert asyncio.run(follow(60)) == [f"A-{number}" for number in reversed(range(60))]


def test_a_shard_is_of_one_instant_while_it_changes(store, store_url, settling):
    """Whoever asks while accounts and meters are set up finds no account whose meter is not there, nor one whose row is not."""
    document = flat("flat", "Asia/Shanghai", ("2020-01-01", "0.6"))
    store.append(0, TariffPublished(at=START, id=order_text(START, 9_999), tariff="flat", document=document))

    def set_up():
        for number in range(300):
            meter = MeterInstalled(
                at=START + number, id=order_text(START + number, 5_000 + number), meter=1 + number, account=f"A-{number}",
                commodity=Commodity.ELECTRICITY, tariff="flat", modulus=10**9, rated_per_hour=15_000, opening_register=0,
            )  # fmt: skip
            store.append(0, opened(number))
            store.append(0, meter)

    async def watch():
        async with directory_of(store_url) as (directory, _):
            work = asyncio.create_task(asyncio.to_thread(set_up))
            seen = 0
            while not work.done() or len(directory.numbers) < 300:
                (listed,) = await directory.current([0])
                for record in listed.records["account_records"].values():
                    assert record.row < len(listed.accounts.rows)
                    assert all(
                        listed.records["meter_records"][number].row < len(listed.meters.rows)
                        for number in record.meters
                    )
                seen += 1
            return seen

    assert asyncio.run(watch()) > 10
