"""Folders on disk: a file that was made or renamed is there after a power cut only when its folder is synced too."""

import os
from pathlib import Path


def sync_folder(folder: Path) -> None:
    """Wait until a folder's entries are on disk. Raises OSError."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
