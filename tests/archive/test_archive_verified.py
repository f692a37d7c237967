import contextlib

import polars as pl
import pytest
import redis
from archiving import SHARDS, archive_once, live
from log_samples import options

from commands.explaining import Days, explained, hold_against_ledger, ledger_of
from commands.replaying import replayed
from commands.verifying import Archived, verify_store
from connectors.archive.columns import table_of, written
from connectors.redis.keys import ledger_key
from domain.words import Check
from flows.proof.state import state_wrong


@pytest.fixture
def trimmed(store, archive, streams, server):
    """The store after its log has gone into the archive, all but the last entry."""
    archive_once(lambda: streams, archive)
    assert all(len(live(server.url, "log", shard)) <= 2 for shard in range(SHARDS))
    return store


def test_a_trimmed_store_is_verified_by_its_archive(trimmed, archive, streams):
    """What the server has given away is folded and audited from the archive, and agrees to the last byte."""
    findings = verify_store(trimmed, archived=Archived(archive, streams)).findings

    assert findings.said == {}
    assert findings.counts[Check.STATE] == findings.counts[Check.AUDIT] == findings.counts[Check.LOG] == 0


def test_an_archive_that_lost_a_file_is_a_difference(trimmed, archive, streams, tmp_path):
    """A file that is gone is found by name, and the state that hangs on it is not called right."""
    gone = min((tmp_path / "archive").rglob("stream=log/**/*.parquet"))
    gone.unlink()

    findings = verify_store(trimmed, archived=Archived(archive, streams)).findings

    assert findings.said[Check.LOG]
    assert not findings.agree


def altered(folder, stream, column):
    """One number of the first archived row becomes another."""
    path = min(folder.rglob(f"stream={stream}/**/shard=01/*.parquet"))
    table = table_of(path.read_bytes(), path.name)
    values = table[column].to_list()
    values[0] += 1
    path.write_bytes(written(table.with_columns(pl.Series(column, values, table[column].dtype))))


@pytest.mark.parametrize(
    ("stream", "column", "checks"),
    [
        ("postings", "amount", {Check.CHAIN, Check.LEDGER, Check.EFFECTS}),
        ("usage", "usage", {Check.ENERGY, Check.EFFECTS}),
        ("quarantined", "register", {Check.EFFECTS}),
        ("refused", "line", {Check.EFFECTS}),
    ],
)
def test_what_was_changed_in_the_archive_is_found(trimmed, archive, streams, tmp_path, stream, column, checks):
    """Postings, usage and refused readings that only the archive has are added up, chained and held against the log as the live ones are."""
    altered(tmp_path / "archive", stream, column)

    findings = verify_store(trimmed, archived=Archived(archive, streams)).findings

    assert checks <= {check for check, count in findings.counts.items() if count}


def test_postings_that_the_archive_lost_are_a_difference(trimmed, archive, streams, tmp_path):
    """A file of old postings that is gone is said, and the books are not called right."""
    min((tmp_path / "archive").rglob("stream=postings/**/*.parquet")).unlink()

    findings = verify_store(trimmed, archived=Archived(archive, streams)).findings

    assert not findings.agree


def test_an_account_is_replayed_from_the_archive(trimmed, archive, streams):
    """State built again from archive and live log is that of the store, byte for byte."""
    for shard in range(SHARDS):
        stored = trimmed.load(shard)
        state = replayed(Archived(archive, streams).log, shard, stored.position, None, lambda _: None)

        assert list(state_wrong(state, stored)) == []


def test_charges_are_explained_from_the_archive(trimmed, archive, streams, server):
    """Readings and postings that the server has no longer are in the archive, and so is the ledger that they are held against."""
    explained_days = 0
    for shard in range(SHARDS):
        stored = trimmed.load(shard)
        for record in stored.records["account_records"].values():
            with contextlib.closing(redis.Redis.from_url(server.url, **options())) as client:
                client.delete(ledger_key(shard, record.row))
            ledger, days = ledger_of(trimmed, archive, shard, record.row), Days(0, 30_000)
            found, given, _ = explained(Archived(archive, streams).log, stored, record, days, None, lambda _: None)
            hold_against_ledger(found, given, ledger, days, stored.header.posting_sequence, whole=True)

            assert (found.wrong, ledger) == ([], given)
            explained_days += sum(bool(day.posted) for day in found.days)

    assert explained_days > 0
