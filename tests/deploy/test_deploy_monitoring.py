"""Prometheus, Alertmanager and Grafana as `deploy/monitoring.yaml` and `dashboards/provisioning` have them, without any of them at hand."""

import json
import re
import subprocess
import sys
from pathlib import Path

import yaml

from meterline import COMMANDS

ROOT = Path(__file__).parents[2]
DEPLOY, PROVISIONING = ROOT / "deploy", ROOT / "dashboards" / "provisioning"
COMPOSE, MONITORING = (
    yaml.safe_load((DEPLOY / name).read_text("utf-8")) for name in ("compose.yaml", "monitoring.yaml")
)
SERVICES = MONITORING["services"]
SOURCES = (PROVISIONING / "datasources" / "meterline.yaml").read_text("utf-8")


def mounts(name):
    """Where in a service's container which folder or volume of ours is."""
    return {place: source for source, place, *_ in (each.split(":") for each in SERVICES[name]["volumes"])}


def test_monitoring_is_as_composes_specification_says():
    """A misspelt key would be ignored by some versions and refused by others."""
    done = subprocess.run(
        [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec", DEPLOY / "monitoring.yaml"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip

    assert done.returncode == 0, done.stdout


def test_what_is_mounted_is_there():
    """A file that is not there would be made a folder by Docker."""
    for name in SERVICES:
        for source in mounts(name).values():
            assert source in MONITORING["volumes"] or (DEPLOY / source).exists(), source


def test_prometheus_finds_every_process_where_compose_has_it():
    """A process that is added, or served at another port, is scraped."""
    targets = json.loads((DEPLOY / "metrics.json").read_text("utf-8"))
    found = {each["labels"]["child"]: (each["labels"]["job"], *each["targets"]) for each in targets}
    lines = {name: each["command"] for name, each in COMPOSE["services"].items() if each["command"][0] in COMMANDS}
    doors = {name: words[words.index("--metrics") + 1] for name, words in lines.items() if "--metrics" in words}

    doors["serve"] = "0.0.0.0:8080"
    assert found == {name: (lines[name][0], f"{name}:{door.split(':')[1]}") for name, door in doors.items()}
    settings = yaml.safe_load((ROOT / "dashboards" / "prometheus" / "prometheus.yml").read_text("utf-8"))
    (job,) = settings["scrape_configs"]
    assert job["file_sd_configs"][0]["files"] == ["/var/lib/meterline/metrics.json"]
    assert mounts("prometheus")["/var/lib/meterline/metrics.json"] == "./metrics.json"


def test_grafana_is_given_what_its_provisioning_asks_for():
    """Every variable of the data sources is set or is one of the secrets that the README tells to write; dashboards are where the provider looks."""
    wanted = set(re.findall(r"\$(\w+)", SOURCES))
    told = set(re.findall(r"([A-Z_]+)=%s", (DEPLOY / "README.md").read_text("utf-8")))
    (provider,) = yaml.safe_load((PROVISIONING / "dashboards" / "meterline.yaml").read_text("utf-8"))["providers"]

    assert wanted <= {*SERVICES["grafana"]["environment"]} | told
    assert mounts("grafana")[provider["options"]["path"]] == "../dashboards/json"
    assert mounts("grafana")["/etc/grafana/provisioning"] == "../dashboards/provisioning"


def test_data_sources_are_those_that_the_dashboards_can_choose():
    """One of each type that a dashboard's variable asks for, and the plugin for it is fetched."""
    types = {each["type"] for each in yaml.safe_load(SOURCES)["datasources"]}
    asked = {
        variable["query"]
        for path in (ROOT / "dashboards" / "json").glob("*.json")
        for variable in json.loads(path.read_text("utf-8"))["templating"]["list"]
        if variable["type"] == "datasource"
    }

    assert asked == types
    assert SERVICES["grafana"]["environment"]["GF_INSTALL_PLUGINS"] in types


def test_no_secret_is_written_down_and_no_door_is_open():
    """Passwords are in a file that git never sees, and all three are reached from this host only."""
    assert SERVICES["grafana"]["env_file"] == ["secrets/grafana.env"]
    assert all(port.startswith("127.0.0.1:") for each in SERVICES.values() for port in each.get("ports", []))
    for each in SERVICES.values():
        assert each["read_only"]
        assert each["cap_drop"] == ["ALL"]
        assert each["user"].split(":")[0] != "0"
    assert "bearerToken: $METERLINE_GRAFANA_TOKEN" in SOURCES
