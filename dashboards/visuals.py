"""How each kind of panel is drawn, and what all of them have."""

from collections.abc import Callable
from itertools import count
from typing import Any

from grafana_foundation_sdk.builders import bargauge, common, dashboard, prometheus, stat, table, timeseries
from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.cog.variants import Dataquery
from grafana_foundation_sdk.models import common as words
from grafana_foundation_sdk.models import dashboard as parts

from dashboards import infinity
from dashboards.panels import PLAIN, Column, Form, Kind, Panel

METRICS = parts.DataSourceRef(type_val="prometheus", uid="${metrics}")
DOCS = "${docs}"
"""Where people read `docs/`: a variable of every dashboard."""
LAST = ["lastNotNull"]

AnyPanel = stat.Panel | bargauge.Panel | timeseries.Panel | table.Panel


def visual(panel: Panel) -> AnyPanel:
    """A panel but for its number and place."""
    built = _KINDS[panel.kind](panel)
    built.title(panel.title.line()).description(f"{panel.about.paragraphs()}\n\n`docs/{panel.page}`").unit(panel.unit)
    built.datasource(infinity.API if panel.listing else METRICS)
    built.targets([infinity.Listed(panel.listing)] if panel.listing else _asked(panel))
    steps = [parts.Threshold(value, colour) for value, colour in panel.steps]
    built.thresholds(dashboard.ThresholdsConfig().mode(parts.ThresholdsMode.ABSOLUTE).steps(steps))
    for name, colour in panel.colours:
        built.override_by_name(name, [parts.DynamicConfigValue("color", {"mode": "fixed", "fixedColor": colour})])
    built.links([dashboard.DashboardLink("怎么办 · What to do").url(f"{DOCS}/{panel.page}").target_blank(True)])
    if panel.decimals is not None:
        built.decimals(panel.decimals)
    return built


def _asked(panel: Panel) -> list[Builder[Dataquery]]:
    """Lines ask for the time that is shown, all others for its end."""
    queries: list[Builder[Dataquery]] = []
    for letter, query in zip(map(chr, count(ord("A"))), panel.queries, strict=False):
        asked = prometheus.Dataquery().expr(query.expression).legend_format(query.legend).ref_id(letter)
        asked.datasource(METRICS)
        queries.append(asked.range() if panel.kind is Kind.LINES else asked.instant())
    return queries


def _number(panel: Panel) -> stat.Panel:
    many = len(panel.queries) > 1 or "{{" in panel.queries[0].legend
    return (
        stat.Panel()
        .color_mode(words.BigValueColorMode.VALUE)
        .graph_mode(words.BigValueGraphMode.NONE)
        .text_mode(words.BigValueTextMode.VALUE_AND_NAME if many else words.BigValueTextMode.VALUE)
        .reduce_options(common.ReduceDataOptions().calcs(LAST))
        .color_scheme(dashboard.FieldColor().mode(parts.FieldColorModeId.THRESHOLDS))
    )


def _bars(_: Panel) -> bargauge.Panel:
    return (
        bargauge.Panel()
        .orientation(words.VizOrientation.HORIZONTAL)
        .display_mode(words.BarGaugeDisplayMode.BASIC)
        .name_placement(words.BarGaugeNamePlacement.LEFT)
        .reduce_options(common.ReduceDataOptions().calcs(LAST))
        .min(0)
        .color_scheme(dashboard.FieldColor().mode(parts.FieldColorModeId.THRESHOLDS))
    )


def _lines(panel: Panel) -> timeseries.Panel:
    built = (
        timeseries.Panel()
        .legend(
            common.VizLegendOptions()
            .show_legend(True)
            .display_mode(words.LegendDisplayMode.LIST)
            .placement(words.LegendPlacement.BOTTOM)
        )
        .tooltip(common.VizTooltipOptions().mode(words.TooltipDisplayMode.MULTI))
        .axis_soft_min(0)
        .line_width(1)
        .fill_opacity(60 if panel.stacked else 0)
        .show_points(words.VisibilityMode.NEVER)
        .color_scheme(dashboard.FieldColor().mode(parts.FieldColorModeId.PALETTE_CLASSIC_BY_NAME))
    )
    if panel.stacked:
        built.stacking(common.StackingConfig().mode(words.StackingMode.NORMAL))
    if panel.steps != PLAIN:
        built.thresholds_style(common.GraphThresholdsStyleConfig().mode(words.GraphThresholdsStyleMode.DASHED))
    return built


def _table(panel: Panel) -> table.Panel:
    built = table.Panel().show_header(True).filterable(True).cell_height(words.TableCellHeight.SM)
    for column in panel.listing.columns if panel.listing else ():
        built.override_by_name(column.title.line(), _properties(column))
    return built


def _properties(column: Column) -> list[parts.DynamicConfigValue]:
    """What makes a column different from the others."""
    found: dict[str, Any] = {}
    if column.form is Form.TIME:
        found["unit"] = "dateTimeAsLocal"
    if column.decimals is not None:
        found["decimals"] = column.decimals
    if column.words:
        shown = {
            word: parts.ValueMappingResult(text=text.line(), color=colour, index=place)
            for place, (word, text, colour) in enumerate(column.words)
        }
        found["mappings"] = [parts.ValueMap(options=shown)]
        found["custom.cellOptions"] = words.TableColorTextCellOptions()
    return [parts.DynamicConfigValue(name, value) for name, value in found.items()]


_KINDS: dict[Kind, Callable[[Panel], AnyPanel]] = {
    Kind.NUMBER: _number,
    Kind.BARS: _bars,
    Kind.LINES: _lines,
    Kind.TABLE: _table,
}
