"""How a command ends that cannot do what it was asked; apart from what commands share, for it needs no server's library."""

import typer

from commands.logs import tell


def refused(message: str) -> typer.Exit:
    """Say what is wrong with the input; the exit (code 2) is for the caller to raise."""
    tell(message, "error")
    return typer.Exit(2)


def failed(message: str) -> typer.Exit:
    """Say what went wrong while running; the exit (code 1) is for the caller to raise."""
    tell(message, "error")
    return typer.Exit(1)
