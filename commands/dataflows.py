"""How a command runs a bytewax dataflow, until it is interrupted."""

from bytewax.dataflow import Dataflow
from bytewax.errors import BytewaxRuntimeError
from bytewax.run import cli_main

from commands.endings import failed


def run(flow: Dataflow, name: str) -> None:
    """Run a dataflow in this process; Ctrl-C ends it quietly. What stops it otherwise ends the command with code 1."""
    try:
        cli_main(flow)  # type: ignore[no-untyped-call]  # bytewax has no types here
    except KeyboardInterrupt:  # It came while our own code ran …
        return
    except BytewaxRuntimeError as error:
        if "signal received" in str(error):  # … or while bytewax's did.
            return
        raise failed(f"{name} stopped: {error.__cause__ or error}") from None
