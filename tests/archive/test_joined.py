"""Archive and live tail as one table: each row once, wherever the archive ends, and while an archiver works."""

import asyncio
import contextlib
import random
import threading
from itertools import islice

import polars as pl
import pytest
import redis
from archiving import AT_ONCE, SHARDS, archive_once
from log_samples import days, options

from connectors.archive import joined as module
from connectors.archive.columns import file_of, frame_of, schema_of
from connectors.archive.errors import ArchiveGap
from connectors.archive.files import Archive, Range
from connectors.archive.joined import Joined, Question, TooMuch, pages
from connectors.redis.formats import decode_fact
from connectors.redis.keys import key
from connectors.redis.live import LiveStore
from connectors.redis.streams import Streams
from domain.facts import RechargeOrdered, Ticked
from domain.ids import LOG_START, entry_text
from flows.settle import settle_once

EVERYTHING = {"usage": (("start", 0, 2**31 - 1),), "postings": (("at", 0, 2**62),)}


def asked(server, archive, *questions, shard=0):
    """Answers to questions, one after the other."""

    async def ask():
        store = await LiveStore.open(server.url)
        joined = Joined(store, archive)
        try:
            return [(await joined.rows(question, shard))[0] for question in questions]
        finally:
            await store.close()

    return asyncio.run(ask())


def every(stream):
    """All rows of a stream, as they are."""
    return Question(stream, EVERYTHING[stream], lambda rows: rows)


def whole(streams, stream, shard=0):
    """All rows of a stream that is not trimmed, in order."""
    entries = streams.following(stream, shard, LOG_START)
    return frame_of(stream, entries), entries


@pytest.mark.parametrize("stream", ["usage", "postings"])
def test_every_row_is_there_once_wherever_the_archive_ends(server, store, streams, archive, stream):
    """After each entry that goes into the archive, and is trimmed, the whole is the same rows in the same order."""
    expected, entries = whole(streams, stream)
    assert len(entries) > 5
    after = LOG_START

    for number, (entry, _) in enumerate(entries):
        streams.claim(stream, 0, after, entry)
        archive.put(Range(stream, 0, after, entry), file_of(stream, entries[number : number + 1]))
        (claimed_and_written,) = asked(server, archive, every(stream))
        streams.trim(stream, 0, entry, 0)
        (trimmed,) = asked(server, archive, every(stream))
        assert claimed_and_written.equals(expected)
        assert trimmed.equals(expected)
        after = entry


def test_what_is_claimed_and_not_written_is_taken_from_the_server(server, store, streams, archive):
    """An archiver that was killed between its claim and its file has taken nothing away."""
    expected, entries = whole(streams, "usage")
    streams.claim("usage", 0, LOG_START, entries[3][0])

    assert asked(server, archive, every("usage"))[0].equals(expected)


def test_rows_are_there_once_while_an_archiver_works(server, store, archive):
    """Archived, trimmed and merged under the question's feet, nothing is missing and nothing doubled: sums of what was there only grow."""
    stop, wrong = threading.Event(), []

    def work():
        street = days(SHARDS, random.Random(6))
        with contextlib.closing(type(store).open(server.url, SHARDS)) as own:
            while not stop.is_set():
                own.append_many(islice(street, 10))
                settle_once(own)
                archive_once(lambda: Streams.open(server.access.archiver_url), archive, AT_ONCE)

    thread = threading.Thread(target=work)
    thread.start()
    try:
        for _ in range(25):
            (rows,) = asked(server, archive, every("postings"))
            sequences = rows["sequence"].to_list()
            wrong += [] if sequences == list(range(1, len(sequences) + 1)) else [sequences]
    finally:
        stop.set()
        thread.join()

    assert wrong == []


def test_only_files_with_a_wanted_day_are_read(server, store, streams, archive):
    """A month of a year is read out of its own files: one that cannot have it may even be unreadable."""
    rows, _ = whole(streams, "usage")
    archive_once(lambda: Streams.open(server.access.archiver_url), archive)
    latest = int(rows["start"].max())
    wanted = Question("usage", (("start", latest, latest),), lambda found: found)

    async def ask():
        live = await LiveStore.open(server.url)
        joined = Joined(live, archive)
        before = (await joined.rows(wanted, 0))[0]
        for found in archive.ranges("usage", 0):
            if archive.table(found)["start"].max() < latest:
                archive.put(found, b"no Parquet")
        after = (await joined.rows(wanted, 0))[0]
        await live.close()
        return before, after

    before, after = asyncio.run(ask())

    assert before.equals(after)
    assert before.equals(rows.filter(pl.col("start") == latest))


def test_what_was_trimmed_for_another_archive_is_said(server, store, streams, archive, tmp_path):
    """Without its archive, or with another, a trimmed stream gives an error and no figures."""
    archive_once(lambda: Streams.open(server.access.archiver_url), archive)

    for other in (None, Archive.at(tmp_path / "other")):
        with pytest.raises(ArchiveGap, match="serve --archive"):
            asked(server, other, every("postings"))


def test_more_than_is_read_at_once_is_refused(server, store, archive, monkeypatch):
    """A question of too many rows ends with what to ask instead, before it takes the memory."""
    monkeypatch.setattr(module, "ROWS_MAX", 3)

    with pytest.raises(TooMuch, match="shorter time"):
        asked(server, archive, every("postings"))


def test_a_stream_without_entries_has_the_columns_of_one_with(server, store, archive):
    """Nothing at all is a table too."""
    nothing = Question("usage", (("start", -2, -1),), lambda rows: rows)

    (found,) = asked(server, archive, nothing)

    assert found.schema == schema_of("usage")
    assert len(found) == 0


def test_facts_are_found_wherever_the_archive_ends(server, store, streams, archive):
    """Facts of a kind, and facts at a place of the log, are there once and in order after each entry that is archived and trimmed."""
    entries = streams.following("log", 0, LOG_START)
    facts = [(entry, decode_fact(fields)) for entry, fields in entries]
    kinds = frozenset({RechargeOrdered.KIND, Ticked.KIND})
    told = [fact for _, fact in facts if fact.KIND in kinds]
    placed = {entry: fact for entry, fact in facts if isinstance(fact, RechargeOrdered)}

    async def ask():
        live = await LiveStore.open(server.url)
        lasting, after = Joined(live, archive), LOG_START
        for number, (entry, _) in enumerate(entries):
            streams.claim("log", 0, after, entry)
            archive.put(Range("log", 0, after, entry), file_of("log", entries[number : number + 1]))
            streams.trim("log", 0, entry, 0)
            fresh = Joined(live, archive)
            assert await fresh.told(0, kinds) == await lasting.told(0, kinds) == told
            assert await fresh.facts(0, placed.keys()) == placed
            after = entry
        await live.close()

    asyncio.run(ask())

    assert len(placed) > 2


def test_a_fact_that_came_since_is_heard(server, store, archive):
    """What was looked at before is not looked at again, and what is new is not missed."""
    kinds = frozenset({Ticked.KIND})

    async def ask():
        live = await LiveStore.open(server.url)
        joined = Joined(live, archive)
        before = await joined.told(0, kinds)
        store.append(0, Ticked(at=2_000_000_000_000))
        after = await joined.told(0, kinds)
        await live.close()
        return before, after

    before, after = asyncio.run(ask())

    assert after == [*before, Ticked(at=2_000_000_000_000)]


def test_what_is_trimmed_past_is_not_taken_for_whole(server, store, streams, archive, tmp_path):
    """An older copy of the archive has a gap to what the server still has: it is an error, and never a sum without the rows between."""
    _, entries = whole(streams, "postings")
    older = Archive.at(tmp_path / "older")
    middle, last = entries[len(entries) // 2][0], entries[-1][0]
    for place, ends in ((older, [middle]), (archive, [middle, last])):
        for after, end in zip([LOG_START, middle], ends, strict=False):
            part = [each for each in entries if after < each[0] <= end]
            place.put(Range("postings", 0, after, end), file_of("postings", part))
    streams.claim("postings", 0, LOG_START, last)
    with contextlib.closing(redis.Redis.from_url(server.url, **options())) as client:
        client.xtrim(key("postings", 0), minid=entry_text(last), approximate=False)

    assert len(asked(server, archive, every("postings"))[0]) > 0
    with pytest.raises(ArchiveGap):
        asked(server, older, every("postings"))


def test_a_page_after_what_is_gone_says_so(server, store, streams, archive):
    """Who reads on from an entry that was trimmed meanwhile is told, and reads no page with a hole before it."""
    _, entries = whole(streams, "postings")

    async def ask():
        live = await LiveStore.open(server.url)
        archive_once(lambda: Streams.open(server.access.archiver_url), archive)
        found = [page async for page, _ in pages(live, "postings", 0, entries[0][0])]
        await live.close()
        return found

    assert asyncio.run(ask()) == [None]


def test_a_file_that_was_heard_in_part_is_heard_on(server, store, streams, archive):
    """What was looked at in the server and is then archived with what is new, in one file, is not told twice."""
    kinds = frozenset({Ticked.KIND})

    async def ask():
        live = await LiveStore.open(server.url)
        joined = Joined(live, archive)
        before = await joined.told(0, kinds)
        for minute in range(3):
            store.append(0, Ticked(at=2_000_000_000_000 + minute))
        settle_once(store)
        entries = streams.following("log", 0, LOG_START)
        streams.claim("log", 0, LOG_START, entries[-1][0])
        archive.put(Range("log", 0, LOG_START, entries[-1][0]), file_of("log", entries))
        streams.trim("log", 0, entries[-1][0], 0)
        after = await joined.told(0, kinds)
        await live.close()
        return before, after

    before, after = asyncio.run(ask())

    assert after == [*before, *(Ticked(at=2_000_000_000_000 + minute) for minute in range(3))]
