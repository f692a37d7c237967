"""What files hold: columns by name and type, and the log byte for byte."""

import numpy as np
import polars as pl
import pytest
from archiving import archive_once, everything_live
from hypothesis import given
from hypothesis import strategies as st

from connectors.archive.columns import entries_of, file_of, schema_of, table_of
from connectors.redis.formats import FormatError, encode_fact
from connectors.redis.streams import ARCHIVED, Streams
from domain.facts import ReadingBlock, Ticked

ID = {"entry_ms": pl.Int64, "entry_sequence": pl.Int64}
I64, I32, U8, TEXT = pl.Int64, pl.Int32, pl.UInt8, pl.String
BLOCK = ["meter", "time", "register", "power", "status", "sharp", "peak", "flat", "valley", "deep_valley"]

# Archives in the field hold these: a change needs a new format, and the old one read as well.
SCHEMAS = {
    "log": {"fact": TEXT, "version": TEXT, "body": pl.Binary, **dict.fromkeys(BLOCK, pl.List(I64))},
    "postings": {
        "sequence": I64, "at": I64, "account": pl.UInt32, "debit": pl.UInt16, "credit": pl.UInt16, "amount": I64, "meter": I64,
        "day": I32, "order_high": pl.UInt64, "order_low": pl.UInt64, "corrects": I64, "chain": pl.Binary,
    },
    "usage": {
        "meter": I64, "start": I32, "day": I32, "usage": I64, "cost_micros": I64, "cost_picos": I32, "band": U8, "estimated": U8,
    },
    "quarantined": {"meter": I64, "time": I64, "register": I64, "baseline": I64, "metering": U8},
    "refused": {"at": I64, "source": TEXT, "line": I64, "text": TEXT, "reason": TEXT, "meter": I64, "usage": I64},
    "alarms": {
        "id": TEXT, "kind": TEXT, "state": TEXT, "at": I64, "account": TEXT, "meter": I64, "balance": I64, "threshold": I64,
        "repeat": I64, "reason": TEXT, "amount": I64,
    },
    "commands": {
        "meter": I64, "epoch": I64, "wanted": I64, "reason": I64, "stage": TEXT, "at": I64, "expires_at": I64, "attempt": I64,
        "button": pl.Boolean,
    },
}  # fmt: skip


def kept(stream, entries):
    """A table as it comes back from its file."""
    return table_of(file_of(stream, entries), "a file")


def encoded(fact):
    """A fact's fields as a stream gives them."""
    return {
        name.encode(): value.encode() if isinstance(value, str) else value for name, value in encode_fact(fact).items()
    }


@pytest.mark.parametrize("stream", ARCHIVED)
def test_columns_have_their_names_and_types(stream):
    """Reports and other programs read these columns: none is renamed, retyped or moved by accident."""
    assert list(schema_of(stream).items()) == list({**ID, **SCHEMAS[stream]}.items())


def test_every_stream_is_kept_as_its_columns_say(server, store):
    """A street's streams come back byte for byte, and their columns are as stated."""
    for (stream, shard), entries in everything_live(server.url).items():
        table = kept(stream, entries)
        assert table.schema == schema_of(stream), (stream, shard)
        assert list(entries_of(stream, table)) == entries, (stream, shard)


def test_postings_keep_their_chain(server, store):
    """Whoever verifies the ledger out of the archive has the digest after each entry."""
    entries = everything_live(server.url)["postings", 0]

    table = kept("postings", entries)

    last = table.group_by("entry_ms", "entry_sequence", maintain_order=True).agg(pl.col("chain").unique())
    assert last["chain"].to_list() == [[fields[b"c"]] for _, fields in entries]


COLUMN = st.integers(-(2**63), 2**63 - 1)


@st.composite
def blocks(draw):
    """Reading blocks of any length with any of the optional columns."""
    n = draw(st.integers(0, 4))
    columns = [np.array(draw(st.lists(COLUMN, min_size=n, max_size=n)), np.int64) for _ in range(5)]
    power, status = (column if draw(st.booleans()) else None for column in columns[3:])
    bands = np.array(draw(st.lists(COLUMN, min_size=5 * n, max_size=5 * n)), np.int64).reshape(n, 5)
    return ReadingBlock(*columns[:3], power, status, bands if draw(st.booleans()) else None)


@given(st.lists(blocks() | st.builds(Ticked, at=COLUMN), max_size=6))
def test_any_log_comes_back_byte_for_byte(facts):
    """Replaying from the archive folds the very bytes that were folded live."""
    entries = [((7, number), encoded(fact)) for number, fact in enumerate(facts)]

    assert list(entries_of("log", kept("log", entries))) == entries


def test_readings_are_columns_and_nothing_twice():
    """A block is readable by anything that reads Parquet, and its body is not kept beside."""
    block = ReadingBlock(*(np.array(each, np.int64) for each in ([1, 2], [10, 20], [100, 200])))

    table = kept("log", [((7, 0), encoded(block)), ((7, 1), encoded(Ticked(at=5)))])

    assert table["body"].to_list() == [None, encoded(Ticked(at=5))[b"b"]]
    assert table.select("meter", "time", "register", "power").row(0) == ([1, 2], [10, 20], [100, 200], None)


@pytest.mark.parametrize(
    "fields", [{b"k": b"readings", b"v": b"2", b"b": b"torn"}, {b"k": b"new", b"v": b"9", b"b": b""}]
)
def test_what_cannot_be_read_is_kept_as_it_is(fields):
    """A damaged block and a fact of a later release stop who folds them, not who keeps them."""
    assert list(entries_of("log", kept("log", [((7, 0), fields)]))) == [((7, 0), fields)]


def test_a_block_of_another_version_is_not_made_up(monkeypatch):
    """The bytes of an archived block are those of its version: a release that would make others refuses instead."""
    block = ReadingBlock(*(np.array(each, np.int64) for each in ([1], [10], [100])))
    table = kept("log", [((7, 0), encoded(block))])
    monkeypatch.setattr(ReadingBlock, "VERSION", ReadingBlock.VERSION + 1)

    with pytest.raises(FormatError, match="block at 7-0 is of version"):
        list(entries_of("log", table))


def test_an_entry_of_somebody_else_is_refused():
    """A field that no column holds would be lost: the entry is named instead."""
    with pytest.raises(FormatError, match=r"usage at 7-1: not an entry of ours, its fields are \[b'note'\]"):
        file_of("usage", [((7, 1), {b"note": b"hello"})])


def test_a_file_of_another_format_is_refused(tmp_path):
    """A later release's file, or a foreign one, is not guessed at."""
    pl.DataFrame({"x": [1]}).write_parquet(tmp_path / "foreign.parquet")

    with pytest.raises(FormatError, match="foreign has format none, this release reads 1"):
        table_of((tmp_path / "foreign.parquet").read_bytes(), "foreign")
    with pytest.raises(FormatError, match="torn is damaged"):
        table_of(b"PAR1", "torn")


def test_the_same_entries_give_the_same_bytes(server, store):
    """A file that is written again after a kill is the file that was, or would have been, there."""
    for (stream, _), entries in everything_live(server.url).items():
        assert file_of(stream, entries) == file_of(stream, list(entries))


def test_polars_reads_the_whole_archive(server, store, archive):
    """Folders are partitions: stream, date and shard are columns, and readings unfold into rows."""
    archive_once(lambda: Streams.open(server.url), archive)

    readings = (
        archive.scan("log", 1).filter(pl.col("fact") == "readings").explode("meter", "time", "register").collect()
    )

    assert readings["shard"].unique().to_list() == [1]
    assert readings["date"].n_unique() >= 1
    assert set(readings["meter"]) == {3, 4, 999}
