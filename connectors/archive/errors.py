"""What can go wrong with an archive.

ArchiveError
├── PlaceUnusable    the address is none, or what is there cannot be read or written
└── ArchiveGap       files, or files and live log, do not follow each other: entries are missing
"""


class ArchiveError(Exception):
    """Base of every error of this connector."""


class PlaceUnusable(ArchiveError):  # noqa: N818 - named for what is the case
    """The address says no place, or the place cannot be read or written."""


class ArchiveGap(ArchiveError):  # noqa: N818 - as above
    """Entries are missing between two files, or between the last file and the live log."""
