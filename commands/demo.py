"""`meterline demo`: a street of simulated meters on prepaid credit, on a fast clock, to watch or to check."""

import json
import os
import secrets
import shutil
import tempfile
import time
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any
from zoneinfo import ZoneInfo

import msgspec
import typer

from commands.collect import site_of
from commands.demo_check import audited, streamed_count, verified, wanted
from commands.demo_screen import Display, Look, look
from commands.demo_street import Tenants, first_payments, site_text
from commands.endings import failed, refused
from commands.notify import check_contacts
from commands.ports import check_ports, free_ports
from commands.running import Running
from commands.settle import prepare_kernel
from commands.up import stop_on_signals
from connectors.clock import EventClock
from connectors.modbus.street.door import ask
from connectors.processes import HeldError
from connectors.redis.errors import StoreError, StoreUnreachable
from domain.words import Supply

ZONE = "Asia/Shanghai"
SHARDS = 4
GLITCHING, SILENT = "000000001004", "000000001010"
OFFLINE_SECONDS = 15
"""Of life: a meter that is silent for as long is offline, and one that a busy machine was late to read is not."""
QUIET_SECONDS = 20.0


def demo(
    seconds: Annotated[float, typer.Option(min=0, help="End by itself after this long; 0: when interrupted.")] = 0,
    as_json: Annotated[
        bool, typer.Option("--json", help="End with one line of JSON: counts, and mismatches that must be 0.")
    ] = False,
    data: Annotated[
        Path | None, typer.Option(help="Keep everything here, and go on from it; else it is thrown away.")
    ] = None,
    rooms: Annotated[int, typer.Option(min=16, max=400, help="Rooms in the street.")] = 64,
    speed: Annotated[int, typer.Option(min=1, max=600, help="How many times as fast as life.")] = 300,
    port: Annotated[int, typer.Option(min=0, max=65_535, help="Port of the API on loopback; 0: one that is free.")] = 0,
    contacts: Annotated[
        Path | None, typer.Option(help="Contacts file (docs/notify.md): tell people of the demo's alarms.")
    ] = None,
) -> None:
    """Watch a street live on prepaid credit: balances run down, alarms appear, rooms are cut, some pay and come back."""
    stop_on_signals()
    if port:
        check_ports([port])
    check_contacts(contacts)
    if os.environ.pop("REDIS_URL", None):
        typer.echo("REDIS_URL is left alone: the demo has a server of its own")
    folder = data or Path(tempfile.mkdtemp(prefix="meterline-demo-"))
    try:
        report = Demo(folder, rooms, speed, port or free_ports(1)[0], contacts).run(seconds)
    except NotKeptError as error:
        raise refused(str(error)) from None
    except (StoreError, HeldError) as error:
        raise failed(str(error)) from None
    finally:
        if data is None:
            shutil.rmtree(folder, ignore_errors=True)
    if as_json and report:
        typer.echo(json.dumps(report))
    if report and (report["balance_mismatches"] or report["relay_mismatches"]):
        raise typer.Exit(1)


class NotKeptError(Exception):
    """The data directory cannot be used, or what a demo remembers in it cannot be read."""


class Kept(msgspec.Struct):
    """What a demo remembers in its data directory: the end of its event time, and its buses' ports."""

    event_ms: int
    ports: Annotated[list[int], msgspec.Meta(min_length=3, max_length=3)]


@dataclass
class Demo:
    """One run of the demo."""

    folder: Path
    rooms: int
    speed: int
    port: int
    contacts: Path | None

    def run(self, seconds: float) -> dict[str, Any]:
        """Run for some seconds, or until interrupted. Returns what was counted and checked."""
        kept = self._resumed()
        site_file = self.folder / "site.toml"
        offline_minutes = max(60, OFFLINE_SECONDS * self.speed // 60)
        site_file.write_text(site_text(self.rooms, kept.ports, offline_minutes), "utf-8")
        self.door = str(Path(self.folder.resolve()) / "street.sock")
        prepare_kernel()
        clock = EventClock.from_now(kept.event_ms, self.speed)
        with ExitStack() as stack:
            running = stack.enter_context(
                Running(self.folder, site_file, site_of(site_file), clock, SHARDS, typer.echo)
            )
            self._begin(running, site_file, kept.ports)
            tenants = Tenants(self.port, self.token, clock.now_ms, seed=7)
            stack.callback(tenants.stop)
            tenants.start()
            interrupted = self._watch(running, tenants, seconds)
            self._keep(Kept(clock.now_ms(), kept.ports))
            if interrupted and not seconds:
                typer.echo("ending")
                return {}
            tenants.stop()
            return self._report(running)

    def _resumed(self) -> Kept:
        """What was kept, or a new start. Raises NotKeptError."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            kept = self._kept()
            self._keep(kept)
        except (OSError, msgspec.MsgspecError, UnicodeDecodeError) as error:
            raise NotKeptError(f"the demo cannot go on from {self.folder} ({error}): choose another --data") from None
        return kept

    def _kept(self) -> Kept:
        file = self.folder / "demo.json"
        if file.is_file():
            return msgspec.json.decode(file.read_bytes(), type=Kept)
        return Kept(int(datetime(2026, 3, 2, 16, tzinfo=ZoneInfo(ZONE)).timestamp() * 1000), free_ports(3))

    def _keep(self, kept: Kept) -> None:
        """Write it down, whole or not at all."""
        beside = self.folder / "demo.json.new"
        beside.write_bytes(msgspec.json.encode(kept))
        beside.replace(self.folder / "demo.json")

    def _begin(self, running: Running, site_file: Path, ports: list[int]) -> None:
        first = running.store.last(0) == (0, 0)
        typer.echo(
            f"a street of {self.rooms} rooms; buses at 127.0.0.1:{', '.join(map(str, ports))}; data in {self.folder}"
        )
        clock = running.clock.to_text()
        running.start_beside(
            "simulate", "simulate", str(site_file), "--clock", clock, "--control", self.door, "--valve-seconds", "0.3",
            "--memory", str(self.folder / "street.json"), "--seed", "11",
        )  # fmt: skip
        self.token = secrets.token_urlsafe(32)
        running.begin(self.port, self.token, lambda at: first_payments(self.rooms, at) if first else [])
        if self.contacts:
            running.notify(self.contacts)
        typer.echo(f"API at http://127.0.0.1:{self.port}  token {self.token}")

    def _watch(self, running: Running, tenants: Tenants, seconds: float) -> bool:
        """Show the street, let tenants hear, and play two faults. Returns whether it was interrupted."""
        begun = time.monotonic()
        length = seconds or 60.0
        faults = {0.3: (SILENT, "silent", True), 0.35: (GLITCHING, "glitch", True), 0.6: (SILENT, "silent", False)}
        try:
            with Display(ZONE, f"http://127.0.0.1:{self.port}") as display:
                while not seconds or time.monotonic() - begun < seconds:
                    running.watch()
                    for due in [due for due in faults if time.monotonic() - begun >= due * length]:
                        meter, fault, is_on = faults.pop(due)
                        ask(self.door, do="fault", meter=meter, fault=fault, on=is_on)
                    with suppress(StoreUnreachable):  # The server is being started again; look once it is there.
                        now = look(running.url, running.clock.now_ms())
                        tenants.hear(now.cut)
                        display.show(now)
                    time.sleep(0.5)
        except KeyboardInterrupt:
            return True
        return False

    def _report(self, running: Running) -> dict[str, Any]:
        """Stop all consumption, wait until the street is quiet, and hold the machine against log and meters."""
        ask(self.door, do="freeze", on=True)
        mismatched, now = self._quiet(running)
        switched = verified(running.store)
        return {
            "meters": len(running.site.meters),
            "readings": now.readings,
            "postings": now.postings,
            "alarms": streamed_count(running.store, "alarms"),
            "trips_verified": switched[Supply.OFF],
            "restores_verified": switched[Supply.ON],
            "quarantined": now.quarantined,
            "balance_mismatches": len(audited(running.store)),
            "relay_mismatches": len(mismatched),
        }

    def _quiet(self, running: Running) -> tuple[list[str], Look]:
        """Wait until every relay is where the machine wants it, as the meters themselves say; give up after a while."""
        deadline = time.monotonic() + QUIET_SECONDS
        while True:
            running.watch()
            running.wait_until_settled()
            now = look(running.url, running.clock.now_ms())
            relays = ask(self.door, do="relays")["relays"]
            mismatched = [meter for meter, wanted in wanted(running.store).items() if relays[f"{meter:012d}"] != wanted]
            if (not mismatched and not now.open_commands) or time.monotonic() > deadline:
                return [f"{meter:012d}" for meter in mismatched], now
            time.sleep(0.3)
