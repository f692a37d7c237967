"""Commands in this process: as `python -m meterline` runs them, without the seconds that an interpreter and its imports take."""

import io
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from subprocess import CompletedProcess

import pytest
import structlog

from meterline import main

ROOT = Path(__file__).parents[2]


def meterline(*arguments, **environment):
    """What a command says and how it ends."""
    stdout, stderr, code = io.StringIO(), io.StringIO(), 0
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(stdout), redirect_stderr(stderr):
        patch.chdir(ROOT)
        patch.setattr("sys.argv", ["meterline", *map(str, arguments)])
        for name, value in {"COLUMNS": "150", **environment}.items():
            patch.setenv(name, value)
        try:
            main()
        except SystemExit as ended:
            code = ended.code or 0
        finally:
            structlog.reset_defaults()
    return CompletedProcess(arguments, code, stdout.getvalue(), stderr.getvalue())
