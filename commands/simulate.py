"""`meterline simulate`: a street of simulated meters at the addresses of a site file, until it is interrupted."""

import asyncio
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from connectors.clock import EventClock
from connectors.files.site import load_site
from connectors.modbus.street.door import fault_setting
from connectors.modbus.street.load import load_file
from connectors.modbus.street.street import Scene, Street, build_street
from connectors.modbus.street.street import simulate as serve
from domain.ids import meter_text
from domain.units import quantity_text
from tariffs.loader import catalogue


def simulate(
    site_file: Annotated[Path, typer.Argument(help="Site file; its buses must be at loopback addresses.")],
    clock: Annotated[str, typer.Option(help="Shared clock REAL_MS:EVENT_MS:SPEED; overrides --speed.")] = "",
    speed: Annotated[int, typer.Option(min=1, help="How many times as fast as life event time runs.")] = 1,
    seed: Annotated[int, typer.Option(help="Draws the households: the same seed gives the same street.")] = 1,
    load: Annotated[Path | None, typer.Option(help="CSV or Parquet of real homes' interval data to replay.")] = None,
    fault: Annotated[list[str] | None, typer.Option(help="METER:FAULT[=NUMBER]; may be said more than once.")] = None,
    control: Annotated[str, typer.Option(help="Control door: a loopback port, or the path of a unix socket.")] = "",
    memory: Annotated[Path | None, typer.Option(help="File that keeps registers and relays over a restart.")] = None,
    valve_seconds: Annotated[float, typer.Option(min=0, help="Real seconds that a valve travels.")] = 3.0,
    turnaround_ms: Annotated[int, typer.Option(min=0, help="Real time that each answer takes on its bus.")] = 0,
    bind: Annotated[str, typer.Option(help="Listen at this address instead of the site file's.")] = "",
) -> None:
    """Serve the meters of a site file as simulated ones. Ends well on Ctrl-C."""
    try:
        _check_memory(memory)
        event_clock = EventClock.from_text(clock) if clock else EventClock.from_now(speed=speed)
        scene = Scene(
            seed=seed,
            homes=load_file(load, seed) if load else None,
            opened_ms=event_clock.epoch_event_ms or None,
            valve_ms=round(valve_seconds * 1_000) * event_clock.speed,
            turnaround_ms=turnaround_ms,
            bind=bind,
            memory_file=memory,
        )
        street = build_street(load_site(site_file, catalogue()), event_clock, scene)
        for text in fault or []:
            street.do(fault_setting(text))
        asyncio.run(serve(street, control, lambda street: _show(street, control)))
    except (ValueError, OSError) as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(2) from None


def _check_memory(memory: Path | None) -> None:
    if memory is not None and not memory.parent.is_dir():
        raise ValueError(f"--memory {memory}: there is no folder {memory.parent}; make it first")


def _show(street: Street, control: str) -> None:
    """What listens where: a table for people, plain lines for programs."""
    if sys.stdout.isatty():
        Console().print(_table(street))
    else:
        for bus in street.buses:
            typer.echo(f"listening {bus.kind} {bus.host}:{bus.port} {len(bus.meters)} meters")
    if control:
        typer.echo(f"control {control}")
    typer.echo(f"ready {len(street.meters)} meters")


def _table(street: Street) -> Table:
    table = Table("listener", "unit", "meter", "profile", "register", "faults")
    for bus in street.buses:
        for unit, meter in sorted(bus.meters.items()):
            table.add_row(
                f"{bus.kind} {bus.host}:{bus.port}",
                str(unit),
                meter_text(meter.number),
                meter.profile.name,
                quantity_text(meter.works.register()),
                " ".join(meter.faults),
            )
    return table
