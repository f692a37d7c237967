"""`make faults`: live through faults by seed, and say after each seed what was lost and doubled.

    make faults ARGS="--seed 1 --seeds 20 --faults 12 --record"

A run ends on the number of its faults. The seed chooses faults and instants (in acknowledgements of the traffic), not what the processes
make of it: the same seed is the same kind of run, and seldom the same interleaving.
"""

import argparse
import random
import sys
import tempfile
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import typer
from fault_kinds import KINDS, Scene, possible
from installation import ROOT, Installation
from traffic import Traffic
from verifier import Verdict, verified

DOCUMENT = ROOT / "docs" / "reliability.md"
BEGIN, END = "<!-- results: written by `make faults` -->\n", "<!-- end of results -->\n"


@dataclass
class Report:
    """One seed: which faults there were, and what the verifier says."""

    seed: int
    faults: Counter[str]
    verdict: Verdict


def drawn(count: int, chance: random.Random, among: Sequence[str]) -> list[str]:
    """Faults in an order by chance, each kind as often as any other, give or take one."""
    kinds: list[str] = []
    while len(kinds) < count:
        deck = [*among]
        chance.shuffle(deck)
        kinds += deck
    return kinds[:count]


def live(seed: int, count: int, folder: Path, among: Sequence[str] = ()) -> Report:
    """Do `count` faults to a fresh installation, let it recover from each, and verify everything."""
    chance = random.Random(seed)
    faults = drawn(count, chance, among or possible())
    with Installation(folder, seed) as installation:
        installation.until(installation.settled, "the opening settled")
        with Traffic(installation, random.Random(chance.random())) as traffic:
            scene = Scene(installation, traffic, chance)
            go_on(scene, 8)
            for kind in faults:
                KINDS[kind](scene)
                go_on(scene, chance.randrange(4, 25))
        installation.until(installation.settled, "the end of the log")
        kill_writers(installation)
        installation.until(installation.settled, "the end of the log without the collector")
        return Report(seed, Counter(faults), verified(installation.server.url, traffic))


def lived(seed: int, count: int, among: Sequence[str] | None) -> Report:
    """`live` in a folder that is thrown away."""
    with tempfile.TemporaryDirectory(prefix="meterline-faults-") as folder:
        return live(seed, count, Path(folder), among or ())


def go_on(scene: Scene, count: int) -> None:
    """Wait until the traffic has been acknowledged `count` times more: that is recovery, and it chooses the next instant."""
    traffic, target = scene.traffic, scene.traffic.done + count

    def reached() -> bool:
        if traffic.failure:
            raise traffic.failure
        return traffic.done >= target

    scene.installation.until(reached, f"{count} more acknowledgements")


def kill_writers(installation: Installation) -> None:
    """End the collector for good, so that the log has an end."""
    child = installation.children.pop("collect")
    assert child.process is not None
    child.process.kill()
    child.process.wait()


def line_of(report: Report) -> str:
    """A report as a row of the table."""
    verdict = report.verdict
    counts = [report.faults[kind] for kind in KINDS]
    cells = [report.seed, sum(counts), *counts, verdict.orders, verdict.readings, verdict.verified]
    return f"| {' | '.join(map(str, [*cells, len(verdict.lost), len(verdict.doubled), len(verdict.wrong)]))} |"


def table(reports: Sequence[Report]) -> str:
    """All reports, with their sum."""
    heads = ["seed", "faults", *KINDS, "orders", "readings", "commands verified", "lost", "doubled", "wrong"]
    rows = [line_of(report) for report in reports]
    sums = [sum(map(int, column)) for column in zip(*(row.strip("| ").split(" | ") for row in rows), strict=True)]
    total = f"| all | {' | '.join(map(str, sums[1:]))} |"
    return "\n".join([f"| {' | '.join(heads)} |", "|" + "--:|" * len(heads), *rows, total, ""])


def record(reports: Sequence[Report]) -> None:
    """Put the table into the document."""
    before, rest = DOCUMENT.read_text(encoding="utf-8").split(BEGIN)
    DOCUMENT.write_text(f"{before}{BEGIN}\n{table(reports)}\n{END}{rest.split(END)[1]}", encoding="utf-8")


def main() -> None:
    """Live through every seed. Ends with 1 if anything was lost, doubled or wrong."""
    parser = argparse.ArgumentParser(prog="make faults")
    parser.add_argument("--seed", type=int, default=1, help="the first seed")
    parser.add_argument("--seeds", type=int, default=1, help="how many seeds, one after the other")
    parser.add_argument("--faults", type=int, default=24, help="faults of each seed")
    parser.add_argument("--kind", action="append", choices=KINDS, help="faults of this kind only; may be said again")
    parser.add_argument("--at-once", type=int, default=1, help="how many seeds at the same time")
    parser.add_argument("--record", action="store_true", help="write the results into docs/reliability.md")
    chosen = parser.parse_args()
    if missing := [kind for kind in KINDS if kind not in possible()]:
        typer.echo(f"left out, for there is no C compiler `cc`: {', '.join(missing)}")
    reports = []
    seeds = range(chosen.seed, chosen.seed + chosen.seeds)
    with ProcessPoolExecutor(chosen.at_once) as pool:
        for report in pool.map(partial(lived, count=chosen.faults, among=chosen.kind), seeds):
            reports.append(report)
            typer.echo("\n".join([line_of(report), *report.verdict.sentences()]))
            if chosen.record:
                record(reports)
    sys.exit(any(report.verdict.sentences() for report in reports))


if __name__ == "__main__":
    main()
