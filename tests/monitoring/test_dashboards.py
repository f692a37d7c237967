"""The dashboards' tables and files: what can be known of them without a Prometheus."""

import json
import re
from itertools import combinations
from pathlib import Path

import pytest
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.cog.plugins import register_default_plugins
from grafana_foundation_sdk.models.dashboard import Dashboard

from dashboards.__main__ import FOLDER, PAGE
from dashboards.boards import BOARDS
from dashboards.document import anchor, document
from dashboards.grafana import SITES, json_of
from dashboards.infinity import TYPE
from dashboards.panels import PLAIN, SCREEN, ZERO, Colour, Kind, placed
from dashboards.shown import UNITS
from domain.metrics import METRICS
from domain.metrics import Kind as MetricKind

ROOT = Path(__file__).parents[2]
FILES = {board.uid: FOLDER / f"{board.uid}.json" for board in BOARDS}
PANELS = [(board, panel) for board in BOARDS for row in board.rows for panel in row.panels]
QUERIES = [(board, panel, query) for board, panel in PANELS for query in panel.queries]
LABELS = {metric.name: {*metric.labels} for metric in METRICS} | {
    f"{metric.name}_{part}": {*metric.labels, *more}
    for metric in METRICS
    if metric.kind is MetricKind.HISTOGRAM
    for part, more in {"bucket": ["le"], "sum": [], "count": []}.items()
}
OF_PROCESSES = {"process_resident_memory_bytes": set()}
"""What prometheus-client gives every process."""
ADDED = {"job", "instance"}
"""Labels that Prometheus adds to everything."""
_SERIES = re.compile(r"((?:meterline|process)_\w+)(?:\{([^}]*)\})?")
_GROUPED = re.compile(r"\bby \(([^)]*)\)")
_CHINESE = re.compile(r"[\u4e00-\u9fff]")


def named(board, item):
    """What a test of a panel is called."""
    return f"{board.uid} {item.title.en}"


def series_of(expression):
    """(metric, labels that its selector names, the selector) of everything that an expression reads."""
    return [
        (name, set(re.findall(r"(\w+)\s*(?:=~|!=|!~|=)", where)), where)
        for name, where in _SERIES.findall(expression)
    ]  # fmt: skip


def objects(uid):
    """A dashboard's file, read."""
    return json.loads(FILES[uid].read_text("utf-8"))


def anchors(document):
    """The anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", document.read_text("utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_the_files_are_what_the_code_makes():
    """What Grafana provisions is what is read in the tables: after a change, `make dashboards`."""
    assert sorted(path.name for path in FOLDER.iterdir()) == sorted(path.name for path in FILES.values())
    for board in BOARDS:
        assert FILES[board.uid].read_text("utf-8") == json_of(board)
    assert PAGE.read_text("utf-8") == document()


def test_the_page_has_a_picture_of_every_dashboard():
    """Somebody who has no Grafana sees what there is: a picture that is not much older than its dashboard is a promise that people keep, not a test."""
    page = PAGE.read_text("utf-8")

    for board in BOARDS:
        picture = f"pictures/dashboards/{board.uid}.png"
        assert f"]({picture})" in page
        assert (PAGE.parent / picture).read_bytes().startswith(b"\x89PNG")
        assert anchor(board) in anchors(PAGE)


@pytest.mark.parametrize("board", BOARDS, ids=lambda board: board.uid)
def test_grafanas_own_models_read_the_files(board):
    """Every field of a file is one that Grafana's schema has under this name: read into its models and written again, nothing is lost."""
    register_default_plugins()
    file = objects(board.uid)

    again = json.loads(json.dumps(Dashboard.from_json(file), cls=JSONEncoder))

    assert again == file


@pytest.mark.parametrize("board", BOARDS, ids=lambda board: board.uid)
def test_no_panel_overlaps_another(board):
    """Each cell of the grid belongs to one panel at most, and none is off the screen."""
    places = [panel["gridPos"] for panel in objects(board.uid)["panels"]]

    cells = [{(x, y) for x in range(p["x"], p["x"] + p["w"]) for y in range(p["y"], p["y"] + p["h"])} for p in places]
    assert not any(one & other for one, other in combinations(cells, 2))
    assert max(x for cell in cells for x, _ in cell) < SCREEN
    assert places == [{"x": c.x, "y": c.y, "w": c.w, "h": c.h} for _, c in placed(board)]


def test_ids_are_unique():
    """Links and alerts name a dashboard by its uid and a panel by its number."""
    uids = [objects(board.uid)["uid"] for board in BOARDS]
    assert len({*uids}) == len(BOARDS)
    assert all(len(uid) <= 40 for uid in uids)

    for board in BOARDS:
        numbers = [panel["id"] for panel in objects(board.uid)["panels"]]
        assert len({*numbers}) == len(numbers)


@pytest.mark.parametrize(("board", "panel"), PANELS, ids=[named(*each) for each in PANELS])
def test_a_panel_says_what_it_is(board, panel):
    """Title and description in Chinese and English, a unit, a page with what to do that exists."""
    page, _, anchor = panel.page.partition("#")
    document = ROOT / "docs" / page

    for text in (panel.title, panel.about):
        assert _CHINESE.search(text.zh)
        assert text.en.isascii() or "≤" in text.en or "m³" in text.en
    assert panel.about.en.endswith(".")
    assert panel.about.zh.endswith("。")
    assert panel.unit in UNITS
    assert document.is_file()
    assert not anchor or anchor in anchors(document)
    (link,) = next(each["links"] for each in objects(board.uid)["panels"] if each["title"] == panel.title.line())
    assert link["url"] == f"${{docs}}/{panel.page}"


def test_every_row_and_dashboard_has_both_languages():
    """As the panels have."""
    for board in BOARDS:
        texts = [board.title, board.about, *(row.title for row in board.rows if row.title.en != "Redis")]
        assert all(_CHINESE.search(text.zh) and text.en.isascii() for text in texts)


@pytest.mark.parametrize(("board", "panel"), PANELS, ids=[named(*each) for each in PANELS])
def test_good_and_bad_have_their_colours(board, panel):
    """Thresholds rise from below all values, and what must be 0 is red from 1 on."""
    values = [value for value, _ in panel.steps]

    assert values[0] is None
    assert values[1:] == sorted({*values[1:]})
    assert ("Must be 0" in panel.about.en or "must be 0" in panel.about.en) == (panel.steps == ZERO)
    assert panel.steps == PLAIN or len({colour for _, colour in panel.steps}) > 1


@pytest.mark.parametrize(
    ("alert", "panels"),
    [
        ("SettlementBehind", ["Log lag", "Log lag in seconds"]),
        ("ArchiveBehind", ["Archive lag", "Archive lag by shard"]),
        ("Unverified", ["Last verified"]),
        ("ClocksDisagree", ["Clock ahead"]),
        ("TripsSlow", ["Time to cut", "Time to cut, 95 %"]),
        ("BusErrors", ["Polls without a reading"]),
        ("ApiErrors", ["API errors"]),
        ("ApiSlow", ["API latency"]),
        ("NotifyBehind", ["Oldest alarm"]),
    ],
)
def test_a_panel_is_red_where_its_alert_fires(alert, panels):
    """Whoever is woken by an alert finds the red line at the same amount."""
    rules = "".join(path.read_text("utf-8") for path in (FOLDER.parent / "prometheus" / "rules").glob("*.yml"))
    (amount,) = re.findall(rf"- alert: Meterline{alert}\n\s*expr: .* > ([\d.]+)\n", rules)

    red = {
        panel.title.en: {colour: value for value, colour in panel.steps}[Colour.BAD]
        for _, panel in PANELS
        if panel.title.en in panels
    }
    assert red == dict.fromkeys(panels, float(amount))


def test_every_panel_asks_the_chosen_data_source():
    """Nothing is bound to one Grafana's data source: the files can be imported anywhere."""
    for board in BOARDS:
        file = objects(board.uid)
        variables = {each["name"]: each for each in file["templating"]["list"]}
        for panel in file["panels"]:
            sources = [panel["datasource"], *(t["datasource"] for t in panel["targets"])] if "targets" in panel else []
            for source in sources:
                variable = variables[source["uid"].strip("${}")]
                assert (variable["type"], variable["query"]) == ("datasource", source["type"])
                assert source["type"] in {"prometheus", TYPE}


@pytest.mark.parametrize(("board", "panel", "query"), QUERIES, ids=[f"{named(b, p)} {q.legend}" for b, p, q in QUERIES])
def test_every_metric_and_label_exists(board, panel, query):
    """A metric that is renamed is renamed on the dashboards; no panel sums up by a label that is not there."""
    read = series_of(query.expression)
    known = {name: (LABELS | OF_PROCESSES).get(name) for name, _, _ in read}
    assert read
    assert None not in known.values(), known

    grouped = {label.strip() for labels in _GROUPED.findall(query.expression) for label in labels.split(",")}
    shown = set(re.findall(r"\{\{(\w+)\}\}", query.legend))
    for name, selected, _ in read:
        assert selected <= known[name] | ADDED
        assert grouped <= known[name] | ADDED
    assert shown <= grouped


@pytest.mark.parametrize(("board", "panel", "query"), QUERIES, ids=[f"{named(b, p)} {q.legend}" for b, p, q in QUERIES])
def test_what_is_of_a_site_follows_the_variable(board, panel, query):
    """Whoever chooses a site sees that site everywhere where a metric knows of sites."""
    for name, _, where in series_of(query.expression):
        assert ('site=~"$site"' in where) == ("site" in (LABELS | OF_PROCESSES)[name])


def test_what_is_of_all_sites_says_so():
    """Whoever has chosen a site is not shown others' figures unawares."""
    for board in BOARDS:
        for row in board.rows if "$site" in repr(board) else ():
            for panel in row.panels:
                said_zh, said_en = (
                    f"{text[0]} {text[1]}" for text in ((row.title.zh, panel.about.zh), (row.title.en, panel.about.en))
                )
                of_all = "$site" not in repr((panel.queries, panel.listing))
                assert (("所有项目" in said_zh), ("of all sites" in said_en.lower())) == (of_all, of_all), named(
                    board, panel
                )


def test_the_site_is_asked_for_where_it_is_used():
    """A variable that nothing uses would promise a filter; one that is missing leaves `$site` standing in an expression."""
    for board in BOARDS:
        used = "$site" in json.dumps(objects(board.uid)["panels"])
        assert ("site" in [each["name"] for each in objects(board.uid)["templating"]["list"]]) == used
    assert SITES == "label_values(meterline_meters, site)"
    assert "site" in LABELS["meterline_meters"]


UNSHOWN = {
    "archive_files_total": "their entries and bytes are",
    "clock_ticks_total": "that it stands still is, and how far shards are apart",
    "clock_time_seconds": "as above",
    "collect_commands_total": "command events are, of what the log took of these",
    "collect_rounds_total": "how long a round takes is",
    "count_rounds_total": "how long they take is",
    "redis_aof_enabled": "for an alert rule: it does not change while a server runs",
    "settle_batches_total": "what is in a batch is",
    "state_read_seconds": "how dear it is to be scraped is no operator's question",
    "up_clock_time_seconds": "event time is in the shards",
}


def test_every_metric_is_on_a_dashboard():
    """What is measured is shown, or it is said why not."""
    shown = {name for _, _, query in QUERIES for name, _, _ in series_of(query.expression)}

    parts = {f"{metric.name}_{part}": metric.name for metric in METRICS for part in ("bucket", "sum", "count")}
    missing = {metric.name.removeprefix("meterline_") for metric in METRICS} - {
        parts.get(name, name).removeprefix("meterline_") for name in shown
    }
    assert missing == {*UNSHOWN}


def test_tables_ask_the_api_and_all_others_prometheus():
    """Prometheus knows no rooms, and the API no history."""
    assert all((panel.kind is Kind.TABLE) == (panel.listing is not None) != bool(panel.queries) for _, panel in PANELS)
