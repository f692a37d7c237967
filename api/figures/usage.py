"""Usage: what a meter or an account has used, by hours, days, months or years, and what it cost."""

from collections.abc import Mapping

from fastapi import APIRouter

from api.doors.dependencies import Reader
from api.doors.direct import Direct
from api.doors.reach import account_of, meter_of
from api.figures.asking import Asked, SourcesDoor, span_asked
from api.figures.models import BandUsageRead, ByPeriod, From, Until, UsagePeriodRead, UsageRead, UsageSeriesRead
from api.models import AccountPath, MeterPath
from api.views import commodity_word, unit_word
from connectors.redis.formats import iso
from domain.ids import meter_text
from domain.units import cost_text, quantity_text
from domain.words import Commodity
from reports.days import By
from reports.state import meter_records
from reports.tenures import tenures, zone_of_meter
from reports.usage import Periods, Series, Used, by_local_hour, used

accounts = APIRouter(prefix="/accounts", tags=["usage"], route_class=Direct)
meters = APIRouter(prefix="/meters", tags=["usage"], route_class=Direct)


@meters.get("/{meter}/usage")
async def get_meter_usage(
    meter: MeterPath,
    caller: Reader,
    sources: SourcesDoor,
    by: ByPeriod = By.DAY,
    from_: From = None,
    until: Until = None,
) -> UsageRead:
    """What a meter has used since it was installed where it is now, with what is open. Unless said otherwise the 31 days to now."""
    shard, record = await meter_of(sources.store, caller, meter)
    account = (await sources.store.account_records({record.account}))[record.account]
    documents = {name: each.document for name, each in (await sources.store.tariffs()).items()}
    zone = zone_of_meter(record, documents)
    asked = span_asked(from_, until, zone, sources.now, by)
    owned = list(tenures(account, {record.meter: record}))
    series = await used(sources.joined, shard, owned, documents, [asked.span], by, [(record.meter, record.row)])
    return _read(
        series, [record.commodity], asked, by, zone, account.account, account.currency, meter_text(record.meter)
    )


@accounts.get("/{account}/usage")
async def get_account_usage(
    account: AccountPath,
    caller: Reader,
    sources: SourcesDoor,
    by: ByPeriod = By.DAY,
    from_: From = None,
    until: Until = None,
) -> UsageRead:
    """What an account's meters have used, those that it no longer has included, by commodity. As of a meter otherwise."""
    view = await account_of(sources.store, caller, account)
    documents = {name: each.document for name, each in (await sources.store.tariffs()).items()}
    records = await meter_records(sources.store, view.shard, (*view.record.meters, *view.record.former))
    zone = next((zone_of_meter(each, documents) for each in records.values()), "UTC")
    asked = span_asked(from_, until, zone, sources.now, by)
    owned = list(tenures(view.record, records))
    mine = [(each.record.meter, each.record.row) for each in owned if each.record.account == account]
    series = await used(sources.joined, view.shard, owned, documents, [asked.span], by, mine)
    commodities = sorted({each.record.commodity for each in owned})
    return _read(series, commodities, asked, by, zone, account, view.record.currency, None)


def _read(
    series: Series,
    commodities: list[Commodity],
    asked: Asked,
    by: By,
    zone: str,
    account: str,
    currency: str,
    meter: str | None,
) -> UsageRead:
    said = {"account": account, "meter": meter, "currency": currency, "zone": zone, "by": by}
    found = [_series_read(commodity, series.get((account, commodity), {}), by, zone) for commodity in commodities]
    return UsageRead.model_validate(said | {"from": asked.from_, "until": asked.until, "series": found})


def _series_read(commodity: Commodity, periods: Periods, by: By, zone: str) -> UsageSeriesRead:
    named: Mapping[str, Used] = (
        {iso(begin): each for begin, each in by_local_hour(periods, zone).items()} if by == By.HOUR else periods
    )
    total = sum(named.values(), Used())
    return UsageSeriesRead(
        commodity=commodity_word(commodity),
        unit=unit_word(commodity),
        usage=quantity_text(total.usage),
        cost=cost_text(total.cost_picos),
        estimated=total.is_estimated,
        open=total.is_open,
        periods=[_period_read(period, named[period]) for period in sorted(named)],
    )


def _period_read(period: str, each: Used) -> UsagePeriodRead:
    return UsagePeriodRead(
        period=period,
        usage=quantity_text(each.usage),
        cost=cost_text(each.cost_picos),
        estimated=each.is_estimated,
        open=each.is_open,
        bands=bands_read(each),
    )


def bands_read(each: Used) -> list[BandUsageRead]:
    """Usage and cost by band, in the order of their names."""
    return [
        BandUsageRead(band=band, usage=quantity_text(usage), cost=cost_text(cost))
        for band, (usage, cost) in sorted(each.bands.items())
    ]
