"""Carries batches out: a task of every API process. Any of them may go on with what another has left, and may be killed at any instant.

An item is begun, its order appended with the id that follows from batch and target, and settled with what the machine decided. Killed in between, the
order is appended again by whoever comes next: with the same id, so it counts once. Whoever asked for the batch is looked up again for each few
items: who may no longer come in, give such orders or reach the target has none carried out.
"""

import asyncio
import secrets
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import msgspec
import structlog

from api.batches.models import OPERATIONS
from api.doors.gate import caller_named
from api.doors.reach import accounts_of, meters_of
from api.models import order_text
from api.settings import ApiSettings
from connectors.redis.access import Access
from connectors.redis.batches import CLAIM_MS, Batches
from connectors.redis.errors import StoreError
from connectors.redis.formats import decode_fact
from connectors.redis.live import LiveStore
from domain.access import Caller
from domain.batches import Batch, Item, ItemState, item_id
from domain.effects import Outcome
from domain.ids import shard_of
from domain.units import HOUR_MS
from domain.words import Refusal

LOOK_SECONDS = 1.0
"""How often a process looks for what is due, in real time."""
AT_ONCE_MAX, ITEMS_AT_ONCE = 8, 16
"""Batches, and items of all of them, that a process carries out at once: so a request waits for little."""
CHUNK = 50
ANSWER_SECONDS, AGAIN_SECONDS = 2.0, 1.0
_UNKNOWN = {"meter": Refusal.UNKNOWN_METER, "account": Refusal.UNKNOWN_ACCOUNT}
_log = structlog.get_logger("batches")


class BatchWorker:
    """Carries out what is due, until it is cancelled. Made for one event loop."""

    def __init__(self, store: LiveStore, access: Access, batches: Batches, settings: ApiSettings) -> None:
        self._store, self._access, self._batches, self._settings = store, access, batches, settings
        self._name = secrets.token_hex(8)
        self._at_work: dict[str, asyncio.Task[None]] = {}
        self._items = asyncio.Semaphore(ITEMS_AT_ONCE)
        self._forgot_at = 0

    async def run(self) -> None:
        """Look for what is due, again and again. Whatever becomes of the server, it goes on."""
        try:
            while True:
                with suppress(StoreError):
                    await self._look()
                await asyncio.sleep(LOOK_SECONDS)
        finally:
            for task in self._at_work.values():
                task.cancel()
            await asyncio.gather(*self._at_work.values(), return_exceptions=True)

    async def _look(self) -> None:
        self._at_work = {batch: task for batch, task in self._at_work.items() if not task.done()}
        now = self._settings.clock()
        for batch in await self._batches.due(now):
            if len(self._at_work) >= AT_ONCE_MAX:
                break
            if batch.id not in self._at_work and await self._batches.claim(batch, self._name):
                self._at_work[batch.id] = asyncio.create_task(self._claimed(batch))
        if now - self._forgot_at >= HOUR_MS:
            await self._batches.forget(now)
            self._forgot_at = now

    async def _claimed(self, batch: Batch) -> None:
        """Carry a batch out while it is ours, and give it back however that ends."""
        keeping, is_given_back = asyncio.create_task(self._keep(batch)), True
        try:
            await self._carry_out(batch, keeping)
        except* Exception as errors:  # noqa: BLE001 - whatever it was: the claim lapses, and somebody tries again
            is_given_back = False
            _log.warning("a batch goes on later", batch=batch.id, error=repr(errors.exceptions))
        finally:
            keeping.cancel()
            with suppress(StoreError):
                if is_given_back:
                    await self._batches.release(batch, self._name)

    async def _keep(self, batch: Batch) -> None:
        """Renew the claim; ends when it is another's."""
        while True:
            await asyncio.sleep(CLAIM_MS / 3000)
            with suppress(StoreError):
                if not await self._batches.renew(batch, self._name):
                    return

    async def _carry_out(self, batch: Batch, keeping: "asyncio.Task[None]") -> None:
        targets = await self._batches.targets(batch)
        known = await self._batches.items(batch)
        for places in _chunks([place for place in range(batch.count) if known.get(place) is None]):
            if keeping.done():
                return
            if not await self._batches.begin(
                batch, places
            ):  # Cancelled: what has begun is finished, nothing else begins.
                begun = await self._batches.items(batch, places)
                places = [place for place in places if place in begun]  # noqa: PLW2901 - fewer of them
            await self._carry_out_items(batch, {place: targets[place] for place in places})
        await self._batches.finish(batch, self._settings.clock())

    async def _carry_out_items(self, batch: Batch, targets: dict[int, str]) -> None:
        caller = await caller_named(self._access, batch.asked_by, self._settings.wall(), by_root=batch.by_root)
        if caller is None or OPERATIONS[batch.operation].SCOPE not in caller.scopes:
            failed = self._item(ItemState.FAILED, detail="whoever asked for the batch may not do this any more")
            for place in targets:
                await self._batches.settle(batch, place, failed)
            return
        shards = await self._shards(batch, caller, list(targets.values()))
        async with asyncio.TaskGroup() as group:
            for place, target in targets.items():
                group.create_task(self._carry_out_item(batch, place, target, shards.get(target)))

    async def _shards(self, batch: Batch, caller: Caller, targets: list[str]) -> dict[str, int]:
        """The shard of each target that is within reach."""
        if batch.of == "account":
            reached = await accounts_of(self._store, caller, set(targets))
            return {account: shard_of(account, self._store.shards) for account in reached}
        located = await meters_of(self._store, caller, map(int, targets))
        return {target: located[int(target)][0] for target in targets if int(target) in located}

    async def _carry_out_item(self, batch: Batch, place: int, target: str, shard: int | None) -> None:
        async with self._items:
            if shard is None:
                item = self._item(ItemState.REFUSED, _UNKNOWN[batch.of])
            else:
                outcome = await self._ordered(batch, target, shard)
                state = ItemState.REFUSED if outcome.refusal else ItemState.DONE
                item = self._item(state, outcome.refusal, outcome.detail)
            await self._batches.settle(batch, place, item)

    async def _ordered(self, batch: Batch, target: str, shard: int) -> Outcome:
        """What the machine decided about an item's order: before, or now. Waits for as long as it takes."""
        order = item_id(batch, target)
        shard = await self._store.claim_order(
            order, shard
        )  # Where it was sent first, should the meter have moved since.
        if kept := await self._store.outcome_in(shard, order):
            return kept
        entry = await self._store.append(shard, _order_of(batch, target, order, self._settings.clock()))
        outcome = await self._store.answer(shard, entry, ANSWER_SECONDS)
        while outcome is None:
            await asyncio.sleep(AGAIN_SECONDS)
            outcome = await self._store.answer(shard, entry, 0) or await self._store.outcome_in(shard, order)
        return outcome

    def _item(self, state: ItemState, refusal: str = "", detail: str = "") -> Item:
        return Item(state=state, at=self._settings.clock(), refusal=str(refusal), detail=detail)


def _order_of(batch: Batch, target: str, order: bytes, at: int) -> Any:
    """The order of an item as a fact."""
    template: Any = decode_fact({b"k": batch.kind.encode(), b"v": batch.version.encode(), b"b": batch.body})
    name: dict[str, Any] = {"account": target} if batch.of == "account" else {"meter": int(target)}
    return msgspec.structs.replace(template, at=at, id=order_text(order), **name)


def _chunks(places: list[int]) -> Iterator[list[int]]:
    for first in range(0, len(places), CHUNK):
        yield places[first : first + CHUNK]
