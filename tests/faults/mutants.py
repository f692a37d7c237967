"""`make mutants`: break a copy of the tree in one way, run the fault suite on it, and require that it notices.

    make mutants ARGS="retries"        # one by name

Ends with 1 if a mutant lives.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import typer

ROOT = Path(__file__).parents[2]
FOLDERS = ("api", "bench", "commands", "connectors", "domain", "flows", "tariffs", "tests/faults")
SECONDS = 600
NOTICED = (
    "is in the log",
    "is posted",
    "must hold",
    "holds",
    "expected",
    "is given",
    "chain",
    "ledger",
    "stands at",
    "never:",
)
"""Words of the verifier, or of a wait for a recovery that does not come: any other end is no proof."""


@dataclass(frozen=True)
class Mutant:
    """Texts that are replaced, each of which must be there once, and the faults that must show it."""

    edits: tuple[tuple[str, str, str], ...]
    kinds: tuple[str, ...]
    faults: int


MUTANTS = {
    "order-dedupe": Mutant(
        (("flows/orders/answers.py", "    if kept is not None:\n", "    if kept is not None and not key:\n"),),
        ("store reply lost", "API killed"),
        16,
    ),
    "commit-dedupe": Mutant(
        (
            ("connectors/redis/commit.lua", "if position ~= ARGV[1] then", "if false then"),
            # The streams refuse an entry that they have had: a second guard, without which the first is missed.
            ("connectors/redis/commit.py", "    entry = entry_text(effects.entry)\n", '    entry = "*"\n'),
        ),
        ("two settles", "settle killed"),
        8,
    ),
    "retries": Mutant(
        (
            (
                "connectors/redis/store.py",
                '        "retry": Retry(NoBackoff(), 0),\n',
                '        "retry": Retry(NoBackoff(), 3),\n',
            ),
        ),
        ("store reply lost",),
        16,
    ),
    "position": Mutant(
        (
            ("connectors/redis/commit.lua", "redis.call('SET', KEYS[1], ARGV[2])\n", ""),
            (
                "connectors/redis/store.py",
                "                line.read_response()\n",
                "                line.read_response()\n                self._at(self._moves[0]).set(*self._moves[1:])\n",
            ),
            (
                "connectors/redis/store.py",
                "        self._under_way = line\n",
                "        self._under_way, self._moves = line, (commit.shard, commit.keys[0], commit.arguments[1])\n",
            ),
        ),
        ("settle killed",),
        6,
    ),
    "fsync": Mutant(
        (("connectors/redis/server.py", "appendfsync always", "appendfsync everysec"),),
        ("power cut",),
        4,
    ),
}


def copied(folder: Path) -> None:
    """The tree with its compiled kernel, whose times must stay as they are."""
    for name in FOLDERS:
        shutil.copytree(ROOT / name, folder / name)
    shutil.copy2(ROOT / "meterline.py", folder)


def mutate(folder: Path, mutant: Mutant) -> None:
    """Make the edits. A text that has moved is an error, not a mutant that lives."""
    for name, before, after in mutant.edits:
        text = (folder / name).read_text(encoding="utf-8")
        assert text.count(before) == 1, f"{name}: {before!r} is there {text.count(before)} times"
        (folder / name).write_text(text.replace(before, after), encoding="utf-8")


def notice(name: str) -> str:
    """What the suite says of a mutant; empty if it lives."""
    mutant = MUTANTS[name]
    with tempfile.TemporaryDirectory(prefix="meterline-mutant-") as scratch:
        folder = Path(scratch)
        copied(folder)
        mutate(folder, mutant)
        kinds = [word for kind in mutant.kinds for word in ("--kind", kind)]
        ended = subprocess.run(
            [sys.executable, "tests/faults/fault_run.py", "--seed", "1", "--faults", str(mutant.faults), *kinds],
            cwd=folder,
            env={**os.environ, "PYTHONPATH": str(folder)},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=SECONDS,
            check=False,
        )
    said = [line for line in ended.stdout.splitlines() if any(words in line for words in NOTICED)]
    assert ended.returncode == 0 or said, f"{name} ended otherwise:\n{ended.stdout[-3_000:]}"
    return said[0] if ended.returncode else ""


def main() -> None:
    """Every mutant that is named, or all."""
    lives = []
    for name in sys.argv[1:] or MUTANTS:
        said = notice(name)
        typer.echo(f"{name}: {said or 'LIVES'}")
        lives += [] if said else [name]
    sys.exit(bool(lives))


if __name__ == "__main__":
    main()
