"""A contacts file in use: with its templates, held against what channels take, and read again when it has changed."""

import time
from dataclasses import dataclass
from pathlib import Path

import structlog

from connectors.notifications.contacts_file import load_contacts
from connectors.notifications.sending import check_channels
from connectors.notifications.templates import Templates
from domain.contacts import Contacts
from domain.documents import MistakesError

LOOKED_SECONDS = 1.0
"""How often a file is looked at for changes."""

Stamp = tuple[tuple[int, int, int, int], ...]


@dataclass(frozen=True, slots=True)
class Loaded:
    """A contacts file with the templates that it names."""

    contacts: Contacts
    templates: Templates


def load_all(path: Path) -> Loaded:
    """Contacts and templates, which have also been held against what channels take. Raises MistakesError, and OSError if a file cannot be read."""
    contacts = load_contacts(path)
    check_channels(contacts)
    return Loaded(contacts, Templates.of_folder(contacts.templates))


class ContactsFile:
    """Contacts and templates of a file as they are now: read again when anything beside it has changed. What has become wrong is said, and what was right goes on."""

    def __init__(self, path: Path) -> None:
        """Raises MistakesError or OSError, here only."""
        self._path = path
        self._log = structlog.get_logger()
        self._stamp = self._stamped()
        self._loaded = load_all(path)
        self._looked = time.monotonic()

    def now(self) -> Loaded:
        """What the file says, no older than a second."""
        if time.monotonic() - self._looked >= LOOKED_SECONDS:
            self._looked = time.monotonic()
            try:
                if (stamp := self._stamped()) != self._stamp:
                    self._stamp = stamp
                    self._loaded = load_all(self._path)
                    self._log.info("contacts read anew", contacts=len(self._loaded.contacts.people))
            except (MistakesError, OSError) as error:
                self._log.error("contacts not read anew; those before hold", problem=str(error))
        return self._loaded

    def _stamped(self) -> Stamp:
        """What shows that the file, a table beside it or a template has changed."""
        beside = self._path.parent
        files = [self._path, *sorted(beside.glob("*.csv")), *sorted(beside.glob("*/*.txt"))]
        found = [file.stat() for file in files]
        return tuple((each.st_ino, each.st_mtime_ns, each.st_size, each.st_mode) for each in found)
