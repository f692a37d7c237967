"""`meterline monitoring`: Prometheus and Alertmanager, as they are installed, against an installation that runs on this machine."""

import shutil
import tempfile
import time
from pathlib import Path
from typing import Annotated
from urllib.parse import urljoin
from urllib.request import urlopen

import typer

from commands.endings import failed, refused
from commands.metrics_door import TARGETS
from commands.ports import check_ports
from commands.shared import DATA_DEFAULT, DataOption
from commands.up import stop_on_signals
from connectors.processes import Child

CONFIGURATION = Path(__file__).parents[1] / "dashboards" / "prometheus"
INSTALLED_TARGETS = "/var/lib/meterline/metrics.json"
"""Where dashboards/prometheus/prometheus.yml looks for the targets."""
INSTALLED_ALERTMANAGER = "127.0.0.1:9093"
_PROGRAMS = {
    "prometheus": ("prometheus",),
    "alertmanager": ("prometheus-alertmanager", "alertmanager"),
}
_INSTALL = "install it, such as by `apt install prometheus prometheus-alertmanager`"

PortOption = Annotated[int, typer.Option(min=1, max=65_535, help="Port of Prometheus, on loopback.")]
AlertPortOption = Annotated[int, typer.Option(min=1, max=65_535, help="Port of Alertmanager, on loopback.")]
EveryOption = Annotated[int, typer.Option(min=1, help="Seconds between two looks at every process and rule.")]


def monitoring(
    data: DataOption = DATA_DEFAULT,
    port: PortOption = 9090,
    alertmanager_port: AlertPortOption = 9093,
    every: EveryOption = 5,
) -> None:
    """Start Prometheus and Alertmanager with our rules against a running `up` or `demo` (docs/monitoring.md), until Ctrl-C. Nothing is kept."""
    targets = (data / TARGETS).resolve()
    if not targets.is_file():
        raise refused(f"{targets} is not there: start `meterline up` or `meterline demo --data {data}` first")
    if not CONFIGURATION.is_dir():
        raise refused(f"{CONFIGURATION} is not there: run this from a checkout of Meterline")
    programs = {name: _program(name, names) for name, names in _PROGRAMS.items()}
    check_ports([port])
    check_ports([alertmanager_port], "--alertmanager-port")
    stop_on_signals()
    with tempfile.TemporaryDirectory(prefix="meterline-monitoring-") as name:
        folder = Path(name)
        configure(folder, targets, alertmanager_port, every)
        _run(children_of(programs, folder, port, alertmanager_port), port, alertmanager_port)


def _page_of_alerts(port: int) -> str:
    """Address of the alerts beside the page that Prometheus shows first, which Debian's has elsewhere; empty: it does not answer yet."""
    try:
        with urlopen(f"http://127.0.0.1:{port}/", timeout=5) as answer:
            return urljoin(str(answer.url).rstrip("/"), "alerts")
    except OSError:
        return ""


def _program(name: str, names: tuple[str, ...]) -> str:
    found = next((path for each in names if (path := shutil.which(each))), None)
    if found is None:
        raise refused(f"{name} is not on PATH: {_INSTALL}")
    return found


def configure(folder: Path, targets: Path, alertmanager_port: int, every: int) -> None:
    """Write what Prometheus and Alertmanager are to do into a folder, for the targets in this file."""
    shutil.copytree(CONFIGURATION / "rules", folder / "rules")
    shutil.copy(CONFIGURATION / "alertmanager.yml", folder)
    text = (CONFIGURATION / "prometheus.yml").read_text("utf-8")
    ours = {
        INSTALLED_TARGETS: str(targets),
        INSTALLED_ALERTMANAGER: f"127.0.0.1:{alertmanager_port}",
        "_interval: 15s": f"_interval: {every}s",
        "_timeout: 10s": f"_timeout: {min(every, 10)}s",
    }
    for installed, here in ours.items():
        text = text.replace(installed, here)
    (folder / "prometheus.yml").write_text(text, "utf-8")


def children_of(programs: dict[str, str], folder: Path, port: int, alertmanager_port: int) -> list[Child]:
    """Both programs, listening on loopback only, all that they keep in the folder."""
    prometheus = [
        programs["prometheus"], f"--config.file={folder}/prometheus.yml", f"--storage.tsdb.path={folder}/prometheus",
        f"--web.listen-address=127.0.0.1:{port}",
    ]  # fmt: skip
    alertmanager = [
        programs["alertmanager"], f"--config.file={folder}/alertmanager.yml", f"--storage.path={folder}/alertmanager",
        f"--web.listen-address=127.0.0.1:{alertmanager_port}", "--cluster.listen-address=",
    ]  # fmt: skip
    return [
        Child("prometheus", prometheus, folder / "prometheus.log"),
        Child("alertmanager", alertmanager, folder / "alertmanager.log"),
    ]


def _run(children: list[Child], port: int, alertmanager_port: int) -> None:
    """Run them until interrupted. Ends the command with the last words of one that ends by itself."""
    try:
        for child in children:
            child.start()
        alerts = ""
        while True:
            for child in children:
                if child.process is not None and child.process.poll() is not None:
                    raise failed(f"{child.name} ended with code {child.process.returncode}:\n{child.last_words()}")
            if not alerts and (alerts := _page_of_alerts(port)):
                typer.echo(
                    f"Prometheus at http://127.0.0.1:{port}, alerts at {alerts}\n"
                    f"Alertmanager at http://127.0.0.1:{alertmanager_port}, asked with `amtool --alertmanager.url=http://127.0.0.1:{alertmanager_port} alert`\n"
                    "Ctrl-C ends both"
                )
            time.sleep(0.2)
    except KeyboardInterrupt:
        typer.echo("ended")
    finally:
        for child in children:
            child.stop()
