"""Queries of Grafana's Infinity data source: lists of our API as tables (https://github.com/grafana/grafana-infinity-datasource, `src/types/query.types.ts`)."""

from dataclasses import dataclass

from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.cog.variants import Dataquery
from grafana_foundation_sdk.models.dashboard import DataSourceRef

from dashboards.panels import Column, Listing, Text

TYPE = "yesoreyeram-infinity-datasource"
API = DataSourceRef(type_val=TYPE, uid="${api}")
PAGE = 500
MAX_PAGES = 40
"""20,000 rooms of one site."""

Query = dict[str, object]


def query_of(listing: Listing) -> Query:
    """Asks for all pages of a list. A page says by `next` where the one after it begins; null ends it."""
    return _query(listing) | {
        "root_selector": "items",
        "pagination_mode": "cursor",
        "pagination_max_pages": MAX_PAGES,
        "pagination_param_size_field_name": "limit",
        "pagination_param_size_field_type": "query",
        "pagination_param_size_value": PAGE,
        "pagination_param_cursor_field_name": "cursor",
        "pagination_param_cursor_field_type": "query",
        "pagination_param_cursor_extraction_path": "next",
    }


def choices(route: str, path: str) -> Query:
    """Asks for the values that a variable can have: one path of each item of a plain list."""
    columns = tuple(Column(path, Text(name, name)) for name in ("__text", "__value"))
    return {"queryType": "infinity", "query": "", "infinityQuery": _query(Listing(route, (), columns))}


def _query(listing: Listing) -> Query:
    return {
        "refId": "A",
        "datasource": API,
        "type": "json",
        "parser": "backend",
        "source": "url",
        "format": "table",
        "url": listing.route,
        "url_options": {
            "method": "GET",
            "params": [{"key": key, "value": value} for key, value in listing.parameters],
        },
        "root_selector": "",
        "columns": [
            {"selector": column.path, "text": column.title.line(), "type": column.form} for column in listing.columns
        ],
        "filters": [],
    }


@dataclass
class Listed(Dataquery, Builder[Dataquery]):
    """A listing's query where Grafana's builders want one of theirs: they have none for Infinity."""

    listing: Listing

    def build(self) -> Dataquery:
        """Itself."""
        return self

    def to_json(self) -> Query:
        """As Grafana keeps it."""
        return query_of(self.listing)
