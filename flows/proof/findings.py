"""What a verification has found: how many differences by check, the first of each in words, and what could not be checked."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from domain.words import Check

SAID_MAX = 20
"""Sentences that are kept of one check: a store whose every row is wrong is not a report of a million lines."""


@dataclass(slots=True)
class Findings:
    """`counts`: differences by check, 0 where it was made and agrees; a check that was not made anywhere is not there."""

    counts: Counter[Check] = field(default_factory=Counter)
    said: dict[Check, list[str]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def made(self, *checks: Check) -> None:
        """These checks were made."""
        for check in checks:
            self.counts[check] += 0

    def differ(self, check: Check, sentences: Iterable[str]) -> None:
        """A check was made, and found these."""
        self.made(check)
        for sentence in sentences:
            self.counts[check] += 1
            said = self.said.setdefault(check, [])
            if len(said) < SAID_MAX:
                said.append(sentence)

    def note(self, sentence: str) -> None:
        """Something that is no difference and must be known."""
        self.notes.append(sentence)

    def add(self, other: "Findings") -> None:
        """Those of another shard."""
        for check, count in other.counts.items():
            self.counts[check] += count
            said = self.said.setdefault(check, [])
            said += other.said.get(check, [])[: SAID_MAX - len(said)]
        self.notes += other.notes

    @property
    def agree(self) -> bool:
        """Whether nothing differs."""
        return not any(self.counts.values())
