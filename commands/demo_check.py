"""How the demo is held against its log and its meters: nothing here is taken from the machine's own arithmetic."""

import msgspec
import typer

from connectors.redis.store import Store
from domain.effects import Command
from domain.words import Stage, Supply
from flows.audit import Audit, compare


def audited(store: Store) -> list[str]:
    """Recompute every balance from the log; a sentence for each that differs, which is also said."""
    found = []
    for shard in range(store.shards):
        audit = Audit(shard)
        stored = store.load(shard)
        position = (0, 0)
        while position < stored.position and (entries := store.read(shard, position, 500)):
            for entry, fact in entries:
                if entry <= stored.position:
                    audit.take(entry, fact)
            position = entries[-1][0]
        found += compare(audit, stored)
    for sentence in found:
        typer.echo(sentence, err=True)
    return found


def wanted(store: Store) -> dict[int, str]:
    """What the machine wants of every meter that it has an opinion on: `on` or `off`."""
    words = {Supply.ON: "on", Supply.OFF: "off"}
    wishes = {}
    for shard in range(store.shards):
        stored = store.load(shard)
        for number, record in stored.records["meter_records"].items():
            supply = Supply(int(stored.rows["meters"][record.row]["wanted"]))
            if supply in words and record.switchable:
                wishes[number] = words[supply]
    return wishes


def _streamed(store: Store, name: str) -> list[dict[bytes, bytes]]:
    entries = []
    for shard in range(store.shards):
        after = (0, 0)
        while found := store.stream(name, shard, after):
            entries += [fields for _, fields in found]
            after = found[-1][0]
    return entries


def streamed_count(store: Store, name: str) -> int:
    """How many records an effect stream holds."""
    return sum(len(msgspec.msgpack.decode(fields[b"b"])) for fields in _streamed(store, name))


def verified(store: Store) -> dict[Supply, int]:
    """How many trips and restores were seen to be done."""
    counts = {Supply.ON: 0, Supply.OFF: 0}
    for fields in _streamed(store, "commands"):
        for command in msgspec.msgpack.decode(fields[b"b"], type=list[Command]):
            if command.stage == Stage.VERIFIED:
                counts[command.wanted] += 1
    return counts
