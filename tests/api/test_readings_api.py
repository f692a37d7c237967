"""Readings that gateways push."""

import io
import random

import polars as pl
import pytest
from api_site import DRY_METER, METER, NOW, wait_until_settled

from connectors.gateways.arrow import REGISTERS, ArrowUnreadable, block_of
from connectors.redis.formats import iso
from domain.ids import meter_text

ARROW = {"content-type": "application/vnd.apache.arrow.stream"}
HOUR = 3_600_000


def reading(hours: int, register: str, meter: int = METER, **more):
    """One reading in the words of the API."""
    return {"meter": str(meter), "at": iso(NOW + hours * HOUR), "register": register, **more}


def stream(compression="uncompressed", **columns) -> bytes:
    """An Arrow stream of columns."""
    written = io.BytesIO()
    pl.DataFrame(columns).write_ipc_stream(written, compression=compression)
    return written.getvalue()


def columns(**more):
    """Two readings of a meter, an hour apart."""
    return {"meter": [METER, METER], "time": [NOW + HOUR, NOW + 2 * HOUR], "register": [2_000, 2_500], **more}


def test_what_a_gateway_pushes_is_charged(ask, site):
    """Readings as JSON are in the log when the answer comes, and change the balance like those that we fetch."""
    body = {"readings": [reading(1, "2.000", power=850, supply="on"), reading(2, "2.500"), reading(1, "1", meter=7)]}

    answer = ask("POST", "/readings", json=body)
    wait_until_settled(site)

    meter = ask("GET", f"/meters/{METER}").json()
    assert (answer.status_code, answer.json()) == (202, {"taken": 2, "unknown": [meter_text(7)]})
    assert (meter["register"], meter["supply"]["seen"]) == ("2.500", "on")
    assert ask("GET", "/accounts/A-101").json()["balance"].startswith("-0.92")  # 1.5 kWh at 0.617


def test_what_is_pushed_again_has_no_effect(ask, site):
    """A gateway that has lost our answer sends its readings once more."""
    for _ in range(2):
        assert ask("POST", "/readings", json={"readings": [reading(1, "2.000")]}).status_code == 202
    wait_until_settled(site)

    assert ask("GET", "/accounts/A-101").json()["balance"] == "-0.617"


@pytest.mark.parametrize("unit", ["ms", "us", None])
def test_an_arrow_stream_is_taken(ask, site, unit):
    """Columns of integers, with times as timestamps or as ms."""
    made = columns()
    if unit:
        made["time"] = pl.Series(made["time"]).cast(pl.Datetime("ms", "UTC")).cast(pl.Datetime(unit, "UTC"))

    answer = ask("POST", "/readings", content=stream(**made), headers=ARROW)
    wait_until_settled(site)

    assert answer.json() == {"taken": 2, "unknown": []}
    assert ask("GET", f"/meters/{METER}").json()["register"] == "2.500"


def test_all_columns_of_a_stream_arrive():
    """Power, status and the registers of bands are taken as they are."""
    bands = {name: [place, place + 5] for place, name in enumerate(REGISTERS)}

    block = block_of(stream(**columns(power=[-5, 7], status=[1, 3], **bands)), 10)

    assert (block.power.tolist(), block.status.tolist()) == ([-5, 7], [1, 3])
    assert block.bands.tolist() == [[0, 1, 2, 3, 4], [5, 6, 7, 8, 9]]


REFUSED = [
    ({**columns(), "x": [1, 2]}, "expected the columns"),
    ({"meter": [1], "time": [2]}, "expected the columns"),
    (columns(peak=[1, 2]), "expected the columns"),
    (columns(power=[None, 1]), "power: expected no nulls"),
    (columns(register=[1.5, 2.0]), "register: expected integers"),
    (columns(time=pl.Series([1, 2]).cast(pl.Datetime("ms"))), "time: expected a timestamp in UTC"),
    (columns(register=pl.Series([2**63, 1], dtype=pl.UInt64)), "register: expected numbers below 2"),
    ({name: values * 6 for name, values in columns().items()}, "expected at most 10 readings"),
]


@pytest.mark.parametrize(("made", "said"), REFUSED, ids=[said for _, said in REFUSED])
def test_a_stream_that_is_not_taken_says_why(made, said):
    """Whoever writes a gateway learns what was expected, and nothing of the stream is in the log."""
    with pytest.raises(ArrowUnreadable, match=said):
        block_of(stream(**made), 10)


@pytest.mark.parametrize("compression", ["lz4", "zstd"])
def test_nothing_is_decompressed_for_a_stranger(compression):
    """A few bytes that ask for all memory there is get none."""
    with pytest.raises(ArrowUnreadable, match="expected no compression"):
        block_of(stream(compression, **{name: values * 1000 for name, values in columns().items()}), 10_000)


@pytest.mark.parametrize("seed", [20_261_126])
def test_no_broken_stream_does_harm(seed):
    """Whatever bytes are changed or missing, the stream is taken or refused; nothing else happens."""
    whole, chance = stream(**columns()), random.Random(seed)
    for _ in range(3_000):
        broken = bytearray(whole)
        for _ in range(chance.randint(1, 6)):
            broken[chance.randrange(len(broken))] = chance.randrange(256)
        try:
            block_of(bytes(broken[: chance.randrange(len(broken)) if chance.random() < 0.3 else None]), 10)
        except ArrowUnreadable:
            continue


@pytest.mark.parametrize(
    ("body", "status", "said"),
    [
        ({"content": b"x", "headers": {"content-type": "text/csv"}}, 415, "Send application/json or"),
        ({"content": b"x", "headers": ARROW}, 422, "expected an Arrow IPC stream"),
        ({"content": b"{", "headers": {"content-type": "application/json"}}, 422, "1 mistake"),
        ({"json": {"readings": []}}, 422, "1 mistake"),
        (
            {"json": {"readings": [reading(1, "-1"), reading(2, "1.0001"), reading(1, "1", meter="x")]}},
            422,
            "3 mistakes",
        ),
        ({"content": b" " * 4_000_001, "headers": ARROW}, 413, "at most 4000000 bytes"),
    ],
)
def test_a_push_with_mistakes_changes_nothing(ask, site, body, status, said):
    """All mistakes are told at once, and no reading of the body is taken."""
    answer = ask("POST", "/readings", **body)

    assert (answer.status_code, said in answer.json()["detail"]) == (status, True)
    assert site.last(0) == site.position(0)


def test_a_device_pushes_readings_of_its_reach_and_learns_nothing(ask, site):
    """A gateway's token is of no use for anything else, nor for the meters of others."""
    made = {"name": "gateway", "role": "device", "accounts": ["A-102"], "days": 1}
    token = ask("POST", "/tokens", json=made).json()["token"]

    pushed = ask("POST", "/readings", token, json={"readings": [reading(1, "2.000"), reading(1, "9", meter=DRY_METER)]})

    assert pushed.json() == {"taken": 0, "unknown": [meter_text(METER), meter_text(DRY_METER)]}
    assert ask("GET", "/accounts/A-102", token).status_code == 403
    assert (
        ask("POST", "/readings", ask("POST", "/tokens", json=made | {"role": "viewer"}).json()["token"]).status_code
        == 403
    )
