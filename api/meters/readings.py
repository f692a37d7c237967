"""Readings pushed by gateways that dial in, as JSON or as an Arrow stream: into the log as they are, and judged by the machine like all others."""

from collections.abc import Iterator
from http import HTTPStatus
from typing import Any

import numpy as np
from fastapi import APIRouter, Request
from fastapi.exceptions import RequestValidationError
from pydantic import ValidationError
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException

from api.doors.dependencies import Pusher, StoreDoor
from api.doors.gate import READINGS_PATH
from api.doors.reach import meters_of
from api.meters.reading_models import ReadingsTaken, ReadingsWrite, ReadingWrite
from connectors.gateways.arrow import ArrowUnreadable, block_of
from domain.facts import ReadingBlock
from domain.ids import meter_text
from domain.units import quantity_thousandths
from domain.words import Status

router = APIRouter(prefix=READINGS_PATH, tags=["readings"])

BYTES_MAX = 4_000_000
ROWS_MAX = 100_000
ARROW = "application/vnd.apache.arrow.stream"
JSON = "application/json"
_STATUS = {"on": Status.SUPPLY_KNOWN | Status.SUPPLY_ON, "off": Status.SUPPLY_KNOWN}
_BODY = {
    "required": True,
    "content": {
        JSON: {"schema": {"$ref": "#/components/schemas/ReadingsWrite"}},
        ARROW: {"schema": {"type": "string", "format": "binary", "description": "docs/api.md#pushed-readings"}},
    },
}


@router.post(
    "", status_code=HTTPStatus.ACCEPTED, openapi_extra={"requestBody": _BODY},
    responses={415: {"description": f"Neither {JSON} nor {ARROW}."}},
)  # fmt: skip
async def push_readings(request: Request, caller: Pusher, store: StoreDoor) -> ReadingsTaken:
    """Take readings into the log. 202: they are on disk, and will be judged; what cannot be believed waits in quarantine."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind == ARROW:
        blocks = [await _of_arrow(await request.body())]
    elif kind == JSON:
        blocks = list(_of_json(_readings(await request.body())))
    else:
        raise HTTPException(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, f"Send {JSON} or {ARROW}.")
    numbers = {int(number) for block in blocks for number in np.unique(block.meter)}
    homes = {number: shard for number, (shard, _) in (await meters_of(store, caller, numbers)).items()}
    taken = 0
    for block in blocks:
        for shard, part in _by_shard(block, homes):
            await store.append(shard, part)
            taken += len(part)
    return ReadingsTaken(taken=taken, unknown=[meter_text(number) for number in sorted(numbers - homes.keys())])


async def _of_arrow(body: bytes) -> ReadingBlock:
    try:
        block = await run_in_threadpool(block_of, body, ROWS_MAX)
    except ArrowUnreadable as error:
        raise HTTPException(HTTPStatus.UNPROCESSABLE_ENTITY, str(error)) from None
    if len(block) == 0:
        raise HTTPException(HTTPStatus.UNPROCESSABLE_ENTITY, "expected at least one reading")
    return block


def _readings(body: bytes) -> tuple[ReadingWrite, ...]:
    try:
        return ReadingsWrite.model_validate_json(body).readings
    except ValidationError as error:
        errors = [{**each, "loc": ("body", *each["loc"])} for each in error.errors()]
        raise RequestValidationError(errors) from None


def _of_json(readings: tuple[ReadingWrite, ...]) -> Iterator[ReadingBlock]:
    """Blocks of those that say the same things, each in the order of the body."""
    groups: dict[tuple[bool, bool], list[ReadingWrite]] = {}
    for each in readings:
        groups.setdefault((each.power is not None, each.supply is not None), []).append(each)
    for (has_power, has_supply), group in groups.items():
        yield ReadingBlock(
            meter=_column(int(each.meter) for each in group),
            time=_column(each.at for each in group),
            register=_column(quantity_thousandths(each.register_) for each in group),
            power=_column(each.power for each in group) if has_power else None,
            status=_column(int(_STATUS[each.supply or ""]) for each in group) if has_supply else None,
        )


def _column(values: Iterator[Any]) -> Any:
    return np.fromiter(values, np.int64)


def _by_shard(block: ReadingBlock, homes: dict[int, int]) -> Iterator[tuple[int, ReadingBlock]]:
    """What of a block goes to which shard's log, in the block's order."""
    shards = np.array([homes.get(number, -1) for number in block.meter.tolist()], np.int64)
    for shard in np.unique(shards[shards >= 0]).tolist():
        mine = shards == shard
        columns = (block.meter, block.time, block.register, block.power, block.status, block.bands)
        yield shard, ReadingBlock(*(None if column is None else column[mine] for column in columns))  # type: ignore[arg-type]  # the first three are there
