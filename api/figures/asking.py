"""How figures are asked for: the days or times of a question, the accounts that it is about, and what is answered where it is too much."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from http import HTTPStatus
from typing import Annotated, Any

from fastapi import Depends, FastAPI, Request
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from api.doors.problems import problem
from api.doors.reach import accounts_in
from api.figures.models import edge
from connectors.archive.errors import ArchiveError
from connectors.archive.joined import FiguresError, Joined, TooBusy
from connectors.redis.formats import iso
from connectors.redis.live import LiveStore
from domain.access import Caller
from domain.state import AccountRecord
from domain.units import DAY_MS, MINUTE_MS
from reports.days import DAYS_MAX, By, day_number, day_text
from reports.state import meter_records, site_records
from reports.tenures import zone_of
from reports.usage import Span
from tariffs.hours import local_day

DEFAULT_DAYS = 31


@dataclass(frozen=True, slots=True)
class Sources:
    """What figures are made from: the store, its streams joined with what the archive has of them, and the time, ms UTC."""

    store: LiveStore
    joined: Joined
    now: int


def _sources(request: Request) -> Sources:
    kept = request.app.state
    return Sources(kept.store, kept.joined, kept.settings.clock())


SourcesDoor = Annotated[Sources, Depends(_sources)]


@dataclass(frozen=True, slots=True)
class Asked:
    """The days or times that a question is about, as they are said in the answer."""

    span: Span
    from_: str
    until: str


def days_asked(from_: str | None, until: str | None, zone: str, now_ms: int, by: By) -> tuple[int, int]:
    """The first and the last local day that are asked for; unless said, the 31 days to today. Raises HTTPException."""
    last = day_number(_as_day(until)) if until else local_day(now_ms, zone)
    first = day_number(_as_day(from_)) if from_ else last - DEFAULT_DAYS + 1
    _check_span(first, last, last - first + 1, by)
    return max(first, 0), last


def _as_day(text: str) -> date:
    found = edge(text)
    assert isinstance(found, date), "its model lets nothing else through"
    return found


def _check_span(first: int, last: int, days: int, by: By) -> None:
    if first > last:
        raise HTTPException(HTTPStatus.UNPROCESSABLE_ENTITY, "from is after until: expected an earlier from.")
    if days > DAYS_MAX[by]:
        raise HTTPException(
            HTTPStatus.UNPROCESSABLE_ENTITY,
            f"{days} days by {by}: expected at most {DAYS_MAX[by]}. Ask for less at once.",
        )


def span_asked(from_: str | None, until: str | None, zone: str, now_ms: int, by: By) -> Asked:
    """Local days, or instants where either end is one. Raises HTTPException."""
    ends = [edge(text) for text in (from_, until) if text]
    if all(isinstance(each, date) for each in ends):
        first, last = days_asked(from_, until, zone, now_ms, by)
        return Asked(Span("day", first, last), day_text(first), day_text(last))
    if any(isinstance(each, date) for each in ends):
        raise HTTPException(
            HTTPStatus.UNPROCESSABLE_ENTITY, "from and until: expected two local days, or two times with zone."
        )
    end = edge(until) if until else now_ms
    assert isinstance(end, int), "dates have been dealt with"
    begin = edge(from_) if from_ else end - DEFAULT_DAYS * DAY_MS
    assert isinstance(begin, int), "as above"
    _check_span(begin, end - 1, -((begin - end) // DAY_MS), by)
    return Asked(Span("start", -(-begin // MINUTE_MS), (end - 1) // MINUTE_MS), iso(begin), iso(end))


@dataclass(frozen=True, slots=True)
class Directory:
    """Whom figures are about: accounts by shard, the zone of each one's days, and all tariffs by id."""

    accounts: Mapping[int, list[AccountRecord]]
    zones: Mapping[str, str]
    documents: Mapping[str, str]

    @property
    def currencies(self) -> dict[str, str]:
        """By account."""
        return {record.account: record.currency for records in self.accounts.values() for record in records}

    def zones_in(self, shard: int) -> dict[str, str]:
        """Of the accounts of a shard."""
        return {record.account: self.zones[record.account] for record in self.accounts[shard]}

    def days(self, from_: str | None, until: str | None, now_ms: int, by: By = By.DAY) -> tuple[int, int]:
        """`days_asked`; today is that of the zone where it is latest."""
        zone = max(set(self.zones.values()) or {"UTC"}, key=lambda name: local_day(now_ms, name))
        return days_asked(from_, until, zone, now_ms, by)


async def directory(store: LiveStore, caller: Caller, site: str | None = None, account: str | None = None) -> Directory:
    """Whom a caller may ask about. Raises RefusedError."""
    accounts, sites = await accounts_in(store, caller, site, account), await site_records(store)
    documents = {name: each.document for name, each in (await store.tariffs()).items()}
    zones: dict[str, str] = {}
    for shard, records in accounts.items():
        homeless = [each for each in records if each.place.site not in sites]
        meters = await meter_records(
            store, shard, [meter for each in homeless for meter in (*each.meters, *each.former)]
        )
        zones |= {each.account: zone_of(each, meters, sites, documents) for each in records}
    return Directory(accounts, zones, documents)


NOT_REACHED: Mapping[int | str, dict[str, Any]] = {
    HTTPStatus.NOT_FOUND.value: {
        "description": "The account is not there, or not within the caller's reach.",
        "content": {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}},
    }
}
"""What routes with an account in their query may answer besides what all do."""


def answer_figures(app: FastAPI) -> None:
    """Make what keeps figures from being answered a problem."""
    app.add_exception_handler(FiguresError, _figures)
    app.add_exception_handler(ArchiveError, _archive)


def _figures(_request: Request, error: Exception) -> JSONResponse:
    if isinstance(error, TooBusy):
        return problem(HTTPStatus.SERVICE_UNAVAILABLE, "Too many ask for figures at once: ask again.")
    return problem(HTTPStatus.UNPROCESSABLE_ENTITY, f"That is more than is answered at once: {error}.")


def _archive(_request: Request, error: Exception) -> JSONResponse:
    return problem(HTTPStatus.SERVICE_UNAVAILABLE, f"Figures cannot be read: {error}.")
