"""Grafana's JSON of a dashboard, made with Grafana's own builders."""

import json

from grafana_foundation_sdk.builders import dashboard
from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models import dashboard as parts

from dashboards import infinity
from dashboards.panels import Board, Cell, Row, placed
from dashboards.visuals import METRICS, visual

TAG = "meterline"
DOCS = "/public/meterline"
"""Where Grafana itself serves `docs/`, if they are put there (deploy/monitoring.yaml)."""
SITES = "label_values(meterline_meters, site)"
"""What the variable `site` can be, where Prometheus is asked."""


def json_of(board: Board) -> str:
    """The file of a dashboard: what Grafana imports and provisions. The same table gives the same bytes."""
    builder = (
        dashboard.Dashboard(board.title.line())
        .uid(f"{TAG}-{board.uid}")
        .description(board.about.paragraphs())
        .tags([TAG])
        .timezone("browser")
        .time("now-24h", "now")
        .refresh("1m")
        .link(_others())
        .variables(_variables(board))
    )
    for number, (item, cell) in enumerate(placed(board), start=1):
        if isinstance(item, Row):
            builder.with_row(dashboard.Row(item.title.line()).id(number).grid_pos(_grid(cell)))
        else:
            builder.with_panel(visual(item).id(number).grid_pos(_grid(cell)))
    return json.dumps(builder.build(), cls=JSONEncoder, indent=1, ensure_ascii=False) + "\n"


def _grid(cell: Cell) -> parts.GridPos:
    return parts.GridPos(h=cell.h, w=cell.w, x=cell.x, y=cell.y)


def _others() -> Builder[parts.DashboardLink]:
    """From each dashboard to the others, with the same time and site."""
    link = dashboard.DashboardLink("Meterline").type(parts.DashboardLinkType.DASHBOARDS).tags([TAG])
    return link.as_dropdown(True).include_vars(True).keep_time(True)


def _variables(board: Board) -> list[Builder[parts.VariableModel]]:
    """The data source that panels name, the site where any of them asks for it, and where the docs are that they link to."""
    if any(panel.listing for row in board.rows for panel in row.panels):
        source = dashboard.DatasourceVariable("api").type(infinity.TYPE)
        site = _site(infinity.API).query(infinity.choices("/sites", "site"))
    else:
        source = dashboard.DatasourceVariable("metrics").type("prometheus")
        every = parts.VariableOption(text="All", value="$__all")
        site = _site(METRICS).query(SITES).multi(True).include_all(True).all_value(".*").current(every)
    source.label("数据源 · Data source")
    docs = dashboard.TextBoxVariable("docs").label("手册 · Docs at").default_value(DOCS)
    docs.current(parts.VariableOption(text=DOCS, value=DOCS))
    return [source, site, docs] if "$site" in repr(board) else [source, docs]


def _site(source: parts.DataSourceRef) -> dashboard.QueryVariable:
    site = dashboard.QueryVariable("site").label("项目 · Site").datasource(source)
    return site.refresh(parts.VariableRefresh.ON_DASHBOARD_LOAD).sort(parts.VariableSort.ALPHABETICAL_ASC)
