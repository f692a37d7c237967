"""Rules and configuration against Debian's Prometheus: what is asked for is there."""

import re
import subprocess

import pytest
import yaml
from conftest import ROOT, program

PROMETHEUS = ROOT / "dashboards" / "prometheus"
RULES = sorted((PROMETHEUS / "rules").glob("*.yml"))


def alerts():
    """Every alert, with the group of rules that it is in."""
    groups = [group for path in RULES for group in yaml.safe_load(path.read_text("utf-8"))["groups"]]
    return [rule for group in groups for rule in group["rules"]]


def names_in(expression):
    """Our metrics that an expression names, as Prometheus has them."""
    return set(re.findall(r"\bmeterline_\w+", expression))


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
