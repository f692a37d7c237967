"""Where an archive may lie: folders and buckets behave the same, and addresses are understood or refused."""

import os
from pathlib import Path

import pytest
from obstore.store import MemoryStore

from connectors.archive.errors import PlaceUnusable
from connectors.archive.places import Bucket, Folder, place_of


@pytest.fixture(params=["folder", "bucket"])
def place(request, tmp_path):
    """A folder, and a bucket of an object store in memory."""
    return Folder(tmp_path / "a" / "b") if request.param == "folder" else Bucket(MemoryStore(), "memory://")


def test_a_file_is_put_listed_read_and_dropped(place):
    """All that an archive asks of a place, alike everywhere."""
    place.put("one/x=1/a.parquet", b"first")
    place.put("one/x=2/b.parquet", b"other")
    place.put("two/c.parquet", b"")
    place.put("one/x=1/a.parquet", b"again")

    assert sorted((each.name, each.size) for each in place.files("one/")) == [
        ("one/x=1/a.parquet", 5),
        ("one/x=2/b.parquet", 5),
    ]
    assert place.read("one/x=1/a.parquet") == b"again"
    place.drop("one/x=1/a.parquet")
    place.drop("one/x=1/a.parquet")
    assert [each.name for each in place.files("one/")] == ["one/x=2/b.parquet"]
    with pytest.raises(FileNotFoundError):
        place.read("one/x=1/a.parquet")


def test_an_empty_place_has_no_files(place):
    """A new archive needs no making."""
    assert place.files("stream=log/") == []


def test_a_torn_file_is_no_file(tmp_path):
    """What a killed writer left beside is neither listed nor in the way."""
    place = Folder(tmp_path)
    (tmp_path / "x").mkdir()
    (tmp_path / "x" / "a.parquet.new").write_bytes(b"PA")

    assert place.files("x") == []
    place.put("x/a.parquet", b"PAR1")
    assert [each.name for each in place.files("x")] == ["x/a.parquet"]


def test_a_file_and_its_folders_are_synced(tmp_path, monkeypatch):
    """After a power cut a file that was put is there: its bytes, its name and the names of the folders above it."""
    synced = []
    monkeypatch.setattr(
        os, "fsync", lambda descriptor: synced.append(str(Path(f"/proc/self/fd/{descriptor}").readlink()))
    )

    Folder(tmp_path).put("x/y/a.parquet", b"1")

    assert synced[0] == str(tmp_path / "x" / "y" / "a.parquet.new")
    assert set(synced[1:]) == {str(tmp_path), str(tmp_path / "x"), str(tmp_path / "x" / "y")}


def test_paths_and_file_urls_are_folders(tmp_path):
    """A path, with spaces or not, and its file URL are the same place."""
    folder = tmp_path / "an archive"

    assert place_of(folder).address == place_of(str(folder)).address == place_of(folder.as_uri()).address == str(folder)


@pytest.mark.parametrize("address", ["s3://bucket/folder", "gs://bucket", "az://container/folder/"])
def test_buckets_are_known_by_their_scheme(address, monkeypatch):
    """The object stores that polars writes."""
    monkeypatch.setenv("AZURE_STORAGE_ACCOUNT_NAME", "account")

    assert place_of(address).address == address.rstrip("/")


@pytest.mark.parametrize(
    "address", ["s3://key:hush@bucket", "s3://hush@bucket/x", "az://container?sig=hush", "ftp://host/hush"]
)
def test_other_addresses_are_refused(address):
    """A password in an address is refused without being shown; so is a scheme that nobody can write."""
    with pytest.raises(PlaceUnusable) as refused:
        place_of(address)

    assert "AWS_ACCESS_KEY_ID" in str(refused.value) or "expected a folder, or a URL" in str(refused.value)
    assert "key:hush" not in str(refused.value)
    assert "sig=hush" not in str(refused.value)


def test_a_place_that_cannot_be_used_says_why(tmp_path, monkeypatch):
    """A file where the folder should be, and an object store that nobody answers for, are told with the address and nothing secret."""
    (tmp_path / "file").touch()
    with pytest.raises(PlaceUnusable, match=r"archive at .*file cannot be used"):
        Folder(tmp_path / "file").put("a.parquet", b"1")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "known")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "hush")
    monkeypatch.setenv("AWS_ENDPOINT", "http://127.0.0.1:1")
    monkeypatch.setenv("AWS_ALLOW_HTTP", "true")
    bucket = place_of("s3://bucket/folder")
    bucket._store = type(bucket._store)(
        "bucket", prefix="folder", config={"endpoint": "http://127.0.0.1:1"}, retry_config={"max_retries": 0}
    )

    with pytest.raises(PlaceUnusable, match="archive at s3://bucket/folder cannot be used") as refused:
        bucket.put("a.parquet", b"1")
    assert "hush" not in str(refused.value)
    assert refused.value.__cause__ is None
