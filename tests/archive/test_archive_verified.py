import pytest
from archiving import SHARDS, archive_once, live

from commands.replaying import replayed
from commands.verifying import archived_log, verify_store
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
    findings = verify_store(trimmed, archived=archived_log(archive, streams)).findings

    assert findings.said == {}
    assert findings.counts[Check.STATE] == findings.counts[Check.AUDIT] == findings.counts[Check.LOG] == 0


def test_an_archive_that_lost_a_file_is_a_difference(trimmed, archive, streams, tmp_path):
    """A file that is gone is found by name, and the state that hangs on it is not called right."""
    gone = min((tmp_path / "archive").rglob("stream=log/**/*.parquet"))
    gone.unlink()

    findings = verify_store(trimmed, archived=archived_log(archive, streams)).findings

    assert findings.said[Check.LOG]
    assert not findings.agree


def test_an_account_is_replayed_from_the_archive(trimmed, archive, streams):
    """State built again from archive and live log is that of the store, byte for byte."""
    for shard in range(SHARDS):
        stored = trimmed.load(shard)
        state = replayed(archived_log(archive, streams), shard, stored.position, None, lambda _: None)

        assert list(state_wrong(state, stored)) == []
