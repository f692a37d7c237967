"""Power cuts: what the server had written and not yet synced to disk is gone.

A library of a few lines is loaded into the server. It notes how long each file was when a sync of it began, as soon as the
sync has ended. After SIGKILL the file of writes is cut to that length, and only what a disk would still hold is left.
"""

import os
import shutil
import stat
import subprocess
from pathlib import Path

from connectors.redis.server import binary

NOTES_SYNCS = """\
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
static int noted(int file, const char *name) {
    struct stat before;
    int known = fstat(file, &before) == 0 && S_ISREG(before.st_mode);
    int result = ((int (*)(int))dlsym(RTLD_NEXT, name))(file);
    if (result || !known) return result;
    char path[4096];
    snprintf(path, sizeof path, "%s/%llu", getenv("METERLINE_SYNCED"), (unsigned long long)before.st_ino);
    int note = open(path, O_WRONLY | O_CREAT, 0600);
    long long size = before.st_size;
    if (note < 0 || pwrite(note, &size, sizeof size, 0) != sizeof size || close(note)) abort();
    return 0;
}
int fsync(int file) { return noted(file, "fsync"); }
int fdatasync(int file) { return noted(file, "fdatasync"); }
"""


def compiler() -> str | None:
    """A C compiler, or None: power cuts cannot be made without one."""
    return shutil.which("cc")


def server_program(folder: Path) -> Path:
    """A program that starts the server so that it bears a limit of its files' size, and its syncs are noted if there is a compiler."""
    folder.mkdir(parents=True, exist_ok=True)
    program, noting = folder / "server", ""
    if cc := compiler():
        source, library, synced = folder / "syncs.c", folder / "syncs.so", folder / "synced"
        synced.mkdir(exist_ok=True)
        source.write_text(NOTES_SYNCS)
        subprocess.run([cc, "-shared", "-fPIC", "-O1", "-o", library, source, "-ldl"], check=True)
        noting = f"env LD_PRELOAD='{library}' METERLINE_SYNCED='{synced}' "
    # A write beyond the limit shall fail as on a full disk, and not be a signal.
    program.write_text(f"#!/bin/sh\ntrap '' XFSZ\nexec {noting}'{binary()}' \"$@\"\n")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    return program


def file_of_writes(data: Path) -> Path:
    """The file that the server of a data directory appends to just now."""
    return max((data / "redis" / "appendonlydir").glob("*.incr.aof"), key=lambda path: int(path.name.split(".")[-3]))


def cut(data: Path, folder: Path) -> int:
    """Forget what was not synced, of a server that has been killed. Returns how many bytes that is."""
    file = file_of_writes(data)
    found = file.stat()
    note = folder / "synced" / str(found.st_ino)
    synced = int.from_bytes(note.read_bytes(), "little") if note.exists() else 0
    os.truncate(file, min(synced, found.st_size))
    return max(0, found.st_size - synced)
