import os
import re
import subprocess
import sys
from pathlib import Path

from api_site import METER, NOW, TOKEN, append_readings, together, wait_until_settled
from test_serve import serving

from api.app import create_app
from api.problems import STATUS
from api.settings import ApiSettings
from connectors.redis.formats import alarm_message
from domain.effects import Alarm
from domain.words import AlarmKind, AlarmState

DOCS = Path(__file__).parents[2] / "docs"
API, ALARMS = ((DOCS / name).read_text(encoding="utf-8") for name in ("api.md", "alarms.md"))


def rows(text: str, heading: str) -> list[list[str]]:
    """Cells of the table whose first column has this heading, without back-ticks."""
    table = text.split(f"\n| {heading} |", 1)[1].split("\n\n", 1)[0]
    return [[cell.strip(" `") for cell in line.strip("| ").split("|")] for line in table.splitlines()[2:]]


def test_every_route_is_in_the_document(store, store_url):
    """A route that is added is described, one that is described exists."""
    app = create_app(ApiSettings(redis_url=store_url, token=TOKEN, clock=lambda: 0, docs=True))

    paths = together(app, lambda client: client.get("/openapi.json")).json()["paths"]

    served = {f"{method.upper()} {path}" for path, methods in paths.items() for method in methods}
    assert {row[0] for row in rows(API, "route")} == served


def test_the_table_of_refusals_is_the_codes():
    """What we promise about refusals is what is answered, in the order of their precedence."""
    assert [(row[0], int(row[1])) for row in rows(API, "refusal")] == [
        (str(name), status.value) for name, status in STATUS.items()
    ]


def test_the_table_of_metrics_is_the_codes(app, site):
    """Whoever builds a dashboard from the document finds every metric, and misses none."""
    text = together(app, lambda client: client.get("/metrics")).text

    documented = {row[0].removesuffix("_total") for row in rows(API, "metric")}
    served = {
        line.split()[2].removesuffix("_total") for line in text.splitlines() if line.startswith("# TYPE meterline_")
    }
    assert {name for name in served if not name.endswith("_created")} == documented


def test_every_field_of_an_alarm_is_described():
    """The message has the fields of the document, in its order, and the words that it names."""
    alarm = Alarm(id="00-1-0-0", kind=AlarmKind.BALANCE_LOW, state=AlarmState.RAISED, at=NOW)

    fields = rows(ALARMS, "field")
    meanings = {row[0]: row[2] for row in fields}

    assert [row[0] for row in fields] == list(alarm_message(alarm, None))
    assert re.findall(r"`(\w+)`", "`" + meanings["kind"] + "`") == [str(kind) for kind in AlarmKind]
    assert re.findall(r"`(\w+)`", "`" + meanings["state"] + "`") == [str(state) for state in AlarmState]


def test_the_consumer_of_the_document_hears_what_was_and_what_comes(site, server):
    """The example runs as it is printed: it prints an alarm from before it came, then one that happens while it listens."""
    append_readings(site, (NOW + 1_800_000, 3_000))
    wait_until_settled(site)

    with serving(server.data) as (port, _):
        program = ALARMS.split("```python\n")[1].split("```")[0].replace(":8080", f":{port}")
        environment = {**os.environ, "REDIS_URL": server.access.reader_url, "METERLINE_API_TOKEN": TOKEN}
        with subprocess.Popen(
            [sys.executable, "-c", program], env=environment, stdout=subprocess.PIPE, text=True
        ) as consumer:
            before = [consumer.stdout.readline() for _ in range(3)]
            append_readings(site, (NOW + 3_600_000, 2_000))
            during = consumer.stdout.readline()
            consumer.kill()

    assert "：欠费，" in "".join(before)
    assert f"表号 {METER}" in during
