"""docs/dashboards.md: what it says by itself, and for each dashboard its picture and a table of its panels."""

from collections.abc import Iterator

from dashboards.boards import BOARDS
from dashboards.panels import Board, Panel

_HEAD = """\
# Dashboards

Made by `make dashboards` from the tables in `dashboards/`, as are the files that Grafana reads. Five dashboards:

{contents}

Every panel has a title and a description in Chinese and English, a unit, colours where a value is good or bad, and a link to the page that says what to do. *Fleet*, *Money*
and *Alarms and control* can be narrowed to some sites; what a panel says of all sites says so. What is measured is in [metrics](metrics.md); how to have Prometheus and
alerts is in [monitoring](monitoring.md). Amounts are for looking: the ledger counts exactly ([figures](figures.md)).

## What was checked, and what was not

**No Grafana has loaded these files**: none was at hand. They are made with Grafana's own builders (`grafana-foundation-sdk`, for Grafana 11.6), and `tests/monitoring` holds at every build that

- Grafana's own models read every file and write the same again; files, this page and the tables agree; no panel overlaps another; every metric, label and linked page exists;
- every query has data on a real Prometheus that scrapes a real demo; each series has a name of its own, and the choice of a
  site works;
- every column of the tables of rooms leads somewhere in the answers of a real API, over all pages.

Not seen: how it looks in Grafana, provisioning by its files, and the Infinity data source at work. The Compose file was not run either. The pictures below are no screenshots: they
are drawn from the answers of Prometheus and API to the panels' own queries.

## In a Grafana of your own

Grafana 11.6 or later. *Dashboards → New → Import* takes the files of `dashboards/json` one by one and then asks nothing: choose the data source at the top of the dashboard. Prometheus must give
targets the labels `job` and `child` and honour labels of ours, as `dashboards/prometheus/prometheus.yml` does.

Or by provisioning, with what `dashboards/provisioning` has:

```console
$ cp dashboards/provisioning/datasources/meterline.yaml /etc/grafana/provisioning/datasources/
$ cp dashboards/provisioning/dashboards/meterline.yaml /etc/grafana/provisioning/dashboards/
$ cp -r dashboards/json /var/lib/grafana/dashboards/meterline
$ cp -r docs /usr/share/grafana/public/meterline        # where links lead, unless `docs` at the top of a dashboard says another address
```

The data sources read `METERLINE_PROMETHEUS_URL`, `METERLINE_API_URL` and `METERLINE_GRAFANA_TOKEN` from Grafana's environment. `deploy/monitoring.yaml` does all of this in
[containers](../deploy/README.md#prometheus-and-grafana).

*Rooms* is an example of tables by the [API](api.md) instead of Prometheus, which knows no rooms. It needs the plugin `yesoreyeram-infinity-datasource`, and a token of the role `viewer`, whose
reach may be some sites only; it reads `GET /rooms` and `GET /alarms/standing`, up to 20,000 rows of a site. Numbers become binary64 on the screen.

## Changing them

A panel is an entry in a table: `dashboards/fleet.py` and those beside it. `make dashboards` writes the files and this page anew. `make dashboard-pictures` starts a demo of its own with Debian's
`prometheus`, watches it for some minutes, and draws all pictures; it needs a Chinese font too (`apt install prometheus fonts-wqy-microhei`).
In the pictures an hour of the street is a minute, and what panels sum up over an hour is summed up over a minute.
"""


def document() -> str:
    """The page."""
    contents = "\n".join(
        f"- [{board.title.en}](#{anchor(board)}) ({board.title.zh}): {board.about.en}" for board in BOARDS
    )
    return "\n".join([_HEAD.format(contents=contents), *(line for board in BOARDS for line in _section(board))])


def anchor(board: Board) -> str:
    """Of its heading on the page."""
    return board.title.en.lower().replace(" ", "-")


def _section(board: Board) -> Iterator[str]:
    yield f"## {board.title.en}\n"
    yield f"{board.about.zh} {board.about.en}\n"
    yield f"![Data of every panel of {board.title.en}, from a demo](pictures/dashboards/{board.uid}.png)\n"
    yield "| panel | what it answers | what to do |"
    yield "|---|---|---|"
    yield from (_line(panel) for row in board.rows for panel in row.panels)
    yield ""


def _line(panel: Panel) -> str:
    page = panel.page.removeprefix("runbooks/").removesuffix(".md")
    link = f"[{page}]({panel.page})" if panel.page.startswith("runbooks/") else ""
    return f"| {panel.title.line()} | {panel.about.zh} {panel.about.en} | {link} |"
