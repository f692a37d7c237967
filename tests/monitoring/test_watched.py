"""A real Prometheus that scrapes a real demo: what rules, dashboards and the table of metrics name is there; and the demo's own API."""

import json
import re
import subprocess
import time
from datetime import datetime

import httpx
import pytest
from conftest import program
from test_prometheus import alerts, names_in
from ulid import ULID

from dashboards.boards import BOARDS
from dashboards.grafana import SITES
from dashboards.infinity import query_of
from dashboards.observed import Prometheus
from dashboards.promql import filled
from dashboards.shown import at, legend_of
from domain.metrics import METRICS, Kind, Process

SCRAPE, SHOWN, HOUR, PATIENCE = 1, 300, 30, 90
"""Seconds: between scrapes; that are shown; instead of an hour, for which no demo of a test has run; until all has data."""
QUERIES = {
    f"{board.uid}: {panel.title.en}: {query.legend}": query
    for board in BOARDS
    for row in board.rows
    for panel in row.panels
    for query in panel.queries
}
LISTINGS = [panel.listing for board in BOARDS for row in board.rows for panel in row.panels if panel.listing]
UNHEARD = {
    "meterline_commands_open": "a command may not have been under way at any scrape",
    "meterline_collect_errors_total": "every meter may have answered so far",
}
"""What a healthy demo need not have, and why."""
SELDOM = {"alarms: Open commands by stage: {{stage}}": "the demo's meters obey between two looks"}
"""What it may have data for, or not."""

pytestmark = pytest.mark.timeout(600)  # A demo has to begin.


def series_of(watched):
    """Every metric of ours that Prometheus has had of late, with the process that it is from: on a busy machine one scrape may take too long."""
    found = watched.query('count by (__name__, job) (last_over_time({__name__=~"meterline_.*"}[2m]))')
    return {(each["metric"]["__name__"], each["metric"]["job"]) for each in found}


def test_a_real_prometheus_has_data_for_every_metric_that_a_rule_names(watched):
    """A rule about a metric that nobody serves is silent for ever."""
    names = {name for rule in alerts() for name in names_in(rule["expr"])}

    assert names - {name for name, _ in series_of(watched)} <= UNHEARD.keys()
    assert len(names) > 20


def test_every_process_is_scraped_and_has_what_the_table_says(watched):
    """Each metric of the table comes from the process that it is said to come from, in every process that runs here."""
    # Not of one instant: on a busy machine a scrape may take more than the second that it has.
    up = {each["metric"]["job"] for each in watched.query("max_over_time(up[2m]) == 1")}
    assert up == {"up", "settle", "clock", "collect", "count", "serve", "archive", "notify"}

    jobs, series = {Process.STATE: "serve"}, series_of(watched)
    silent = {
        metric.name
        for metric in METRICS
        if (metric.name + "_count" * (metric.kind is Kind.HISTOGRAM), jobs.get(metric.process, metric.process))
        not in series
    }
    assert silent <= UNHEARD.keys()


def test_the_command_says_where_the_alerts_are_shown(watched):
    """Whoever opens the address that they were told sees a page: Debian's Prometheus has it elsewhere than the maker's."""
    found = re.search(r"alerts at (http://\S+)", watched.said.read_text())
    page = watched.client.get(found[1])

    assert page.status_code == 200
    assert "MeterlineQuarantineWaits" in page.text


def test_rules_are_evaluated_without_an_error_and_a_healthy_demo_rouses_nobody(watched):
    """Expressions that Prometheus cannot evaluate are told by itself; what fires at once on a healthy demo would be ignored soon."""
    groups = watched.client.get("/api/v1/rules").json()["data"]["groups"]
    rules = [rule for group in groups for rule in group["rules"]]

    assert {rule["name"] for rule in rules} == {rule["alert"] for rule in alerts()}
    assert [rule["lastError"] for rule in rules if rule.get("lastError")] == []
    firing = {rule["name"] for rule in rules if rule["state"] == "firing" and rule["labels"]["severity"] == "critical"}
    assert firing == set()


def test_what_every_process_serves_follows_the_conventions(watched):
    """Promtool has nothing to say about names, units, types and help."""
    for target in json.loads((watched.data / "metrics.json").read_text()):
        text = watched.client.get(f"http://{target['targets'][0]}/metrics").text
        found = subprocess.run(
            [program("promtool"), "check", "metrics"], input=text, capture_output=True, text=True, check=False
        )
        assert (found.returncode, found.stdout + found.stderr) == (0, ""), target


@pytest.fixture(scope="module")
def api(watched):
    """The demo's API, to one who may do everything."""
    said = (watched.data.parent / "demo.said").read_text("utf-8")
    address, token = re.search(r"^API at (\S+)  token (\S+)$", said, re.MULTILINE).groups()
    with httpx.Client(base_url=address, headers={"Authorization": f"Bearer {token}"}, timeout=30) as api:
        yield api


@pytest.fixture(scope="module")
def prometheus(watched, api):
    """What watches the demo, in which an operator has given, refunded and corrected something."""
    richest = max(api.get("/rooms", params={"limit": 500}).json()["items"], key=lambda room: float(room["balance"]))
    account, until = richest["account"], richest["last_reading_at"]
    now = datetime.fromisoformat(until).timestamp()  # Ids have their time in them, and the street is in March.
    money = {"amount": "0.01", "currency": "CNY", "note": "a test"}
    usage = {"from": until[:14] + "00:00Z", "until": until, "usage": "0.100", "operator": "li", "note": "a test"}
    for route, order in (
        (f"/accounts/{account}/refunds", money),
        (f"/accounts/{account}/adjustments", money),
        (f"/meters/{richest['meters'][0]['meter']}/corrections", usage),
    ):
        answer = api.post(route, json={"id": str(ULID.from_timestamp(now)), **order})
        assert answer.is_success, answer.text
    return Prometheus(str(watched.client.base_url).rstrip("/"), watched.client)


def values_of(prometheus, expression):
    """All values that an expression has had of late, as Grafana would ask for them."""
    now = time.time()
    asked = filled(expression, scrape=SCRAPE, shown=SHOWN, hour=HOUR)
    answer = prometheus.query_range(asked, now - SHOWN, now, SCRAPE)
    return [(one["metric"], float(value)) for one in answer for _, value in one["values"] if value != "NaN"]


def test_every_query_has_data(prometheus):
    """A panel that is empty in a healthy installation asks for something that is not there; the few that may be are known."""
    deadline = time.monotonic() + PATIENCE
    wanting = {name: query for name, query in QUERIES.items() if name not in SELDOM}
    while wanting := {n: q for n, q in wanting.items() if not values_of(prometheus, q.expression)}:
        assert time.monotonic() < deadline, sorted(wanting)
        time.sleep(1)


def test_every_series_has_a_name_of_its_own(prometheus):
    """Two lines of one name cannot be told apart: a legend has every label that series differ by."""
    for name, query in QUERIES.items():
        found = values_of(prometheus, query.expression)
        series = {tuple(sorted(labels.items())) for labels, _ in found}
        assert len({legend_of(query.legend, dict(labels)) for labels in series}) == len(series), name


def test_up_tells_of_its_children_by_their_names(prometheus):
    """A child's own name is not lost for that of the process which tells of it."""
    told = prometheus.query("meterline_up_process_running")

    assert {"settle", "serve", "collect"} <= {one["metric"]["child"] for one in told}


def test_the_site_can_be_chosen(prometheus, api):
    """The variable offers the demo's site, and with it chosen the panels have data, with another none."""
    (site,) = prometheus.choices(SITES)
    (known,) = api.get("/sites").json()
    assert site == known["site"]

    asked = next(query.expression for query in QUERIES.values() if "$site" in query.expression)
    chosen, none = (values_of(prometheus, asked.replace("$site", name)) for name in (site, "another"))
    assert chosen
    assert not none


def test_a_mistyped_query_is_noticed(prometheus):
    """An expression that Prometheus cannot read is an error, not an empty panel."""
    with pytest.raises(ValueError, match="parse error"):
        values_of(prometheus, "sum(meterline_meters")


def pages_of(api, query, page):
    """What the Infinity data source reads by its query, as it documents it: all pages, by the cursor that each names."""
    listed, cursor = [], None
    while True:
        parameters = {each["key"]: each["value"] for each in query["url_options"]["params"]}
        parameters[query["pagination_param_size_field_name"]] = page
        if cursor:
            parameters[query["pagination_param_cursor_field_name"]] = cursor
        answer = api.get(query["url"], params=parameters).raise_for_status().json()
        listed += answer[query["root_selector"]]
        cursor = answer[query["pagination_param_cursor_extraction_path"]]
        if cursor is None:
            return listed


@pytest.mark.parametrize("listing", LISTINGS, ids=lambda listing: f"{listing.route} {len(listing.parameters)}")
def test_every_column_is_in_the_apis_lists(api, listing):
    """The tables read every page, each column leads somewhere in it, and every word that it can say is known."""
    (known,) = api.get("/sites").json()
    query = query_of(listing)
    for each in query["url_options"]["params"]:
        each["value"] = each["value"].replace("$site", known["site"])

    items = pages_of(api, query, page=7)

    assert len({str(item) for item in items}) == len(items) > 0
    for column in listing.columns:
        found = [at(item, column.path) for item in items]  # KeyError: the path leads nowhere.
        if column.words:
            assert {str(value).lower() for value in found} <= {word for word, _, _ in column.words}
    if len(listing.parameters) == 1 and listing.route == "/rooms":
        assert len(items) == known["rooms"]["open"]
