"""`@compiled`: the same function as Python or as machine code (numba), so that the kernel stays a loop people can read.

numba's own cache looks only at the file of the function that was called, not at those it calls. The cache therefore lives
in a folder named by a digest of every file that the kernel is made of: a changed file cannot meet old code.
"""

import hashlib
import os
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any, TypeVar, cast

import numba
from numpy.typing import NDArray

F = TypeVar("F", bound=Callable[..., Any])

Row = Any
"""One row of a structured array: `row.field` reads and writes the array, compiled or not."""
Ints = NDArray[Any]
"""A column of integers or marks."""

_ROOT = Path(__file__).parents[2]
_SOURCES = ("flows/readings", "domain")


def _cache_folder() -> Path:
    digest = hashlib.blake2b(version("numba").encode(), digest_size=8)
    for folder in _SOURCES:
        for source in sorted((_ROOT / folder).glob("*.py")):
            digest.update(source.read_bytes())
    base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(base) / "meterline" / f"kernel-{digest.hexdigest()}"


def is_ready() -> bool:
    """Whether an earlier run has left compiled code; without it the first readings wait some seconds."""
    return any(_cache_folder().rglob("*.nbi"))


numba.config.CACHE_DIR = str(_cache_folder())  # type: ignore[attr-defined]  # set at import from the environment


def compiled(function: F) -> F:
    """Compile on first call; with `NUMBA_DISABLE_JIT=1` leave it as it is, for debugging and coverage.

    Such code makes no arrays, so it need not count who holds them, and is compiled into whoever calls it, so that twenty arrays
    are not handed from function to function: together that made a reading cost a fifth.
    """
    return cast("F", numba.njit(cache=True, error_model="numpy", forceinline=True, _nrt=False)(function))  # type: ignore[call-overload]  # `_nrt` is of numba's extension API


def allocating(function: F) -> F:
    """`compiled`, for what makes arrays."""
    return cast("F", numba.njit(cache=True, error_model="numpy")(function))
