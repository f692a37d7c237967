"""The servers of a store: one, or the nodes of a Redis Cluster, each reached by a plain client.

`redis+cluster://user:password@host:port[,host:port …]` names a cluster by some of its nodes; the others are asked for. Every key of
a shard has the same hash tag, so it lies on one node, and what we do to a shard goes to that node alone.

The client library's own cluster client is not used: it repeats a command after a lost answer, and what is appended twice may
be money. Here a node that has gone, or has given a shard away, is an error like any lost connection: whoever meets
it connects again and asks anew who has what.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar
from urllib.parse import urlsplit, urlunsplit

import redis
from redis.crc import key_slot

CLUSTER = "+cluster"
_SLOTS = 16_384

C = TypeVar("C")


def is_cluster(url: str) -> bool:
    """Whether a store's URL names a cluster."""
    return urlsplit(url).scheme.endswith(CLUSTER)


def seeds_of(url: str) -> list[str]:
    """The plain URL of each server that a store's URL names. Raises ValueError for one that names none."""
    parts = urlsplit(url)
    if not is_cluster(url):
        return [url]
    login, at, hosts = parts.netloc.rpartition("@")
    if parts.path not in {"", "/", "/0"} or not hosts:
        raise ValueError("a cluster has hosts and no database number")
    scheme = parts.scheme.removesuffix(CLUSTER)
    return [urlunsplit((scheme, login + at + host, "", parts.query, "")) for host in hosts.split(",")]


@dataclass(frozen=True, slots=True)
class Range:
    """Slots from `first` to `last`, and the plain URL of the node that has them."""

    first: int
    last: int
    url: str


def ranges_of(seed: str, said: Iterable[Sequence[Any]]) -> list[Range]:
    """What a node's answer to CLUSTER SLOTS says. A node without a name is the one that was asked."""
    parts = urlsplit(seed)
    login, at, own = parts.netloc.rpartition("@")
    found = []
    for first, last, (host, port, *_), *_ in said:
        name = host.decode() if isinstance(host, bytes) else host
        where = f"[{name}]:{port}" if name and ":" in name else f"{name or own.rpartition(':')[0]}:{port}"
        found.append(Range(int(first), int(last), urlunsplit(parts._replace(netloc=login + at + where))))
    if sum(each.last - each.first + 1 for each in found) != _SLOTS:
        raise redis.exceptions.ClusterDownError("some slots of the cluster have no node")
    return found


class Nodes(Generic[C]):
    """A client for each node, found by key."""

    def __init__(self, ranges: Sequence[Range], connect: Callable[[str], C]) -> None:
        self.clients: dict[str, C] = {each.url: connect(each.url) for each in ranges}
        self._ranges = sorted(ranges, key=lambda each: each.first)

    @classmethod
    def one(cls, url: str, connect: Callable[[str], C]) -> "Nodes[C]":
        """A single server, which has every key."""
        return cls([Range(0, _SLOTS - 1, url)], connect)

    def of(self, key: str) -> C:
        """The client of the node that has a key."""
        if len(self.clients) == 1:
            return next(iter(self.clients.values()))
        slot = key_slot(key.encode())
        return next(self.clients[each.url] for each in self._ranges if each.first <= slot <= each.last)

    def together(self, keys: Iterable[str]) -> list[tuple[C, list[int]]]:
        """The places of keys in their list, by the node that has them, each in their order."""
        groups: dict[int, tuple[C, list[int]]] = {}
        for place, key in enumerate(keys):
            client = self.of(key)
            groups.setdefault(id(client), (client, []))[1].append(place)
        return list(groups.values())


def connected(url: str, connect: Callable[[str], Any]) -> Nodes[Any]:
    """The servers of a store. Raises what the client library raises; ValueError for a URL that it cannot read."""
    if not is_cluster(url):
        return Nodes.one(url, connect)
    failed: Exception | None = None
    for seed in seeds_of(url):
        client = connect(seed)
        try:
            return Nodes(ranges_of(seed, client.execute_command("CLUSTER SLOTS")), connect)
        except redis.ConnectionError as error:
            failed = error
        finally:
            client.close()
    assert failed is not None
    raise failed


async def connected_live(url: str, connect: Callable[[str], Any]) -> Nodes[Any]:
    """As `connected`, with asynchronous clients."""
    if not is_cluster(url):
        return Nodes.one(url, connect)
    failed: Exception | None = None
    for seed in seeds_of(url):
        client = connect(seed)
        try:
            return Nodes(ranges_of(seed, await client.execute_command("CLUSTER SLOTS")), connect)
        except redis.ConnectionError as error:
            failed = error
        finally:
            await client.aclose()
    assert failed is not None
    raise failed
