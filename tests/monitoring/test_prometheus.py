"""Rules and configuration against Debian's Prometheus: what is asked for is there."""

import json
import re
import subprocess

import pytest
import yaml
from conftest import ROOT, program

from domain.metrics import METRICS, Kind, Process

PROMETHEUS = ROOT / "dashboards" / "prometheus"
RULES = sorted((PROMETHEUS / "rules").glob("*.yml"))
_SUFFIXES = ("_bucket", "_sum", "_count")


def alerts():
    """Every alert, with the group of rules that it is in."""
    groups = [group for path in RULES for group in yaml.safe_load(path.read_text("utf-8"))["groups"]]
    return [rule for group in groups for rule in group["rules"]]


def names_in(expression):
    """Our metrics that an expression names, as Prometheus has them."""
    return set(re.findall(r"\bmeterline_\w+", expression))


def metric_of(name):
    """The row of the table that a series belongs to. Raises KeyError."""
    table = {metric.name: metric for metric in METRICS}
    plain = next((name.removesuffix(each) for each in _SUFFIXES if name.endswith(each)), name)
    return table[name] if name in table else {n: m for n, m in table.items() if m.kind is Kind.HISTOGRAM}[plain]


def series_of(watched):
    """Every metric of ours that Prometheus has now, with the process that it is from."""
    found = watched.query('count by (__name__, job) ({__name__=~"meterline_.*"})')
    return {(each["metric"]["__name__"], each["metric"]["job"]) for each in found}


def done(*command):
    """A program that must find nothing wrong. Returns what it says."""
    found = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert found.returncode == 0, found.stdout + found.stderr
    return found.stdout


def test_the_configuration_and_its_rules_are_prometheus_own():
    """What we ship is taken by the program that it is for."""
    said = done(program("promtool"), "check", "config", str(PROMETHEUS / "prometheus.yml"))

    assert f"{len(RULES)} rule files found" in said


def test_alertmanager_takes_its_example():
    """Routes, inhibitions and receivers are whole, and no secret is in them."""
    done(program("amtool"), "check-config", str(PROMETHEUS / "alertmanager.yml"))

    assert not re.search(r"^[^#]*password:", (PROMETHEUS / "alertmanager.yml").read_text("utf-8"), re.MULTILINE)


@pytest.mark.parametrize("rules", RULES, ids=lambda path: path.stem)
def test_every_alert_is_silent_at_first_and_fires_later(rules):
    """An alert that never fires, or always does, is worse than none."""
    cases = PROMETHEUS / "tests" / rules.name
    done(program("promtool"), "test", "rules", str(cases))

    fired = re.findall(r"exp_samples:\n.*?alertname=\"(\w+)\"", cases.read_text("utf-8"))
    (group,) = yaml.safe_load(rules.read_text("utf-8"))["groups"]
    assert fired == [rule["alert"] for rule in group["rules"]]


@pytest.mark.parametrize("rule", alerts(), ids=lambda rule: rule["alert"])
def test_every_alert_says_how_bad_it_is_and_what_to_do(rule):
    """Whoever is woken reads a sentence in their language, and finds a page about this very alert."""
    page = ROOT / rule["annotations"]["runbook_url"]

    assert rule["labels"]["severity"] in {"critical", "warning", "info"}
    assert "for" in rule
    assert {"summary_en", "summary_zh"} <= set(rule["annotations"])
    assert page.read_text("utf-8").startswith(f"# {rule['alert']}\n")
    assert f"| `{rule['alert']}` | {rule['labels']['severity']} |" in (page.parent / "README.md").read_text("utf-8")


def test_no_runbook_is_of_an_alert_that_is_gone():
    """One page for each alert."""
    pages = {path.name for path in (ROOT / "docs" / "runbooks").glob("*.md")} - {"README.md"}

    assert pages == {rule["annotations"]["runbook_url"].rpartition("/")[2] for rule in alerts()}


@pytest.mark.timeout(600)
def test_a_real_prometheus_has_data_for_every_metric_that_a_rule_names(watched):
    """A rule about a metric that nobody serves is silent for ever."""
    names = {name for rule in alerts() for name in names_in(rule["expr"])}

    assert names - {name for name, _ in series_of(watched)} == set()
    assert len(names) > 20


@pytest.mark.timeout(600)
def test_every_process_is_scraped_and_has_what_the_table_says(watched):
    """Each metric of the table comes from the process that it is said to come from, in every process that runs here."""
    up = {each["metric"]["job"] for each in watched.query("up == 1")}
    assert up == {"up", "settle", "clock", "collect", "count", "serve", "archive", "notify"}

    jobs, series = {Process.STATE: "serve"}, series_of(watched)
    silent = {
        metric.name
        for metric in METRICS
        if (metric.name + "_count" * (metric.kind is Kind.HISTOGRAM), jobs.get(metric.process, metric.process))
        not in series
    }
    assert silent <= {"meterline_commands_open"}, "a command may not have been under way at any scrape"


@pytest.mark.timeout(600)
def test_rules_are_evaluated_without_an_error_and_a_healthy_demo_rouses_nobody(watched):
    """Expressions that Prometheus cannot evaluate are told by itself; what fires at once on a healthy demo would be ignored soon."""
    groups = watched.client.get("/api/v1/rules").json()["data"]["groups"]
    rules = [rule for group in groups for rule in group["rules"]]

    assert {rule["name"] for rule in rules} == {rule["alert"] for rule in alerts()}
    assert [rule["lastError"] for rule in rules if rule.get("lastError")] == []
    firing = {rule["name"] for rule in rules if rule["state"] == "firing" and rule["labels"]["severity"] == "critical"}
    assert firing == set()


@pytest.mark.timeout(600)
def test_what_every_process_serves_follows_the_conventions(watched):
    """Promtool has nothing to say about names, units, types and help."""
    for target in json.loads((watched.data / "metrics.json").read_text()):
        text = watched.client.get(f"http://{target['targets'][0]}/metrics").text
        found = subprocess.run(
            [program("promtool"), "check", "metrics"], input=text, capture_output=True, text=True, check=False
        )
        assert (found.returncode, found.stdout + found.stderr) == (0, ""), target
