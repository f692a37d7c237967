"""The faults, by name: each is done to an installation under traffic, at an instant that a seed has chosen."""

import random
import resource
import signal
from collections.abc import Callable
from dataclasses import dataclass

from installation import Installation, kill
from power_cut import compiler, cut, file_of_writes
from traffic import Traffic

from connectors.clock import EventClock
from domain.facts import RechargeOrdered, Ticked

CLOCK_STEPS_MS = (-7_200_000, -60_000, 60_000, 5_400_000)


def _append_of(kind: str) -> bytes:
    """What a request is told by that appends a fact of a kind: its first field. A commit has XADD among its arguments too."""
    return f"$1\r\nk\r\n${len(kind)}\r\n{kind}\r\n".encode()


MARKERS = (_append_of(RechargeOrdered.KIND), _append_of(Ticked.KIND), b"EVAL", b"XRANGE")
"""Requests whose replies are lost: an order of a caller, a tick, a commit, a read. What the collector appends it may append again."""


@dataclass
class Scene:
    """What a fault is done to, and the chance that chooses."""

    installation: Installation
    traffic: Traffic
    chance: random.Random


def _kill(name: str) -> Callable[[Scene], None]:
    def killed(scene: Scene) -> None:
        kill(scene.installation.children[name])

    return killed


def _kill_server(scene: Scene) -> None:
    scene.installation.server.stop(signal.SIGKILL)


def _cut_power(scene: Scene) -> None:
    """Everything ends at once but the meters, and the disk has only what was synced."""
    installation = scene.installation
    installation.server.process.kill()
    for name in ("settle", "api", "collect"):
        kill(installation.children[name])
    installation.server.stop()
    cut(installation.data, installation.program.parent)


def _fill_disk(scene: Scene) -> None:
    """The file of writes can grow by some bytes only: the server ends itself, in the middle of a write."""
    installation = scene.installation
    process = installation.server.process
    limit = file_of_writes(installation.data).stat().st_size + scene.chance.randrange(1, 2_000)
    resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
    installation.until(lambda: process.poll() is not None, "the server meets the full disk", watching=False)


def _lose_store_reply(scene: Scene) -> None:
    line, lost = scene.installation.line, scene.installation.line.lost
    line.lose(scene.chance.choice(MARKERS))
    scene.installation.until(lambda: line.lost > lost, "a reply of the server lost")


def _lose_meter_reply(scene: Scene) -> None:
    bus, lost = scene.installation.bus, scene.installation.bus.lost
    bus.lose(hang_up=scene.chance.random() < 0.5)
    scene.installation.until(lambda: bus.lost > lost, "a reply of a meter lost")


def _step_clock(scene: Scene) -> None:
    """The clock of the host is put right, or wrong; the collector starts again by it, and traffic goes on by it."""
    installation, clock = scene.installation, scene.installation.clock
    step = scene.chance.choice(CLOCK_STEPS_MS)
    installation.clock = EventClock(clock.epoch_real_ms, clock.epoch_event_ms + step, clock.speed)
    kill(installation.children["collect"])
    installation.start_collector()


def _settle_twice(scene: Scene) -> None:
    """A second settle process on the same shards, until one of the two has noticed and ended."""
    installation = scene.installation
    installation.add_settle("settle again")
    pair = [installation.process(name) for name in ("settle", "settle again")]
    installation.until(lambda: any(each.poll() is not None for each in pair), "one of two settle processes ends", watching=False)  # fmt: skip
    kill(installation.children.pop("settle again"))


KINDS: dict[str, Callable[[Scene], None]] = {
    "settle killed": _kill("settle"),
    "server killed": _kill_server,
    "API killed": _kill("api"),
    "collector killed": _kill("collect"),
    "power cut": _cut_power,
    "disk full": _fill_disk,
    "store reply lost": _lose_store_reply,
    "meter reply lost": _lose_meter_reply,
    "reading doubled": lambda scene: scene.traffic.soon(scene.traffic.pushes_twice),
    "readings reordered": lambda scene: scene.traffic.soon(scene.traffic.pushes_in_disorder),
    "clock stepped": _step_clock,
    "two settles": _settle_twice,
}


def possible() -> list[str]:
    """The kinds that can be done on this machine: a power cut needs a C compiler."""
    return [kind for kind in KINDS if kind != "power cut" or compiler()]
