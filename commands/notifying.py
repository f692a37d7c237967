"""What `meterline notify` does with a contacts file besides telling of alarms; apart, as it loads apprise."""

from pathlib import Path

import typer
from ulid import ULID

from commands.endings import failed, refused
from connectors.notifications.loaded import ContactsFile, Loaded
from connectors.notifications.sending import NotSentError, send
from connectors.notifications.templates import Words
from domain.documents import MistakesError

_TEST = {
    "zh": Words("Meterline 测试消息", "这是一条测试消息：您会这样收到告警。"),
    "en": Words("Meterline test", "This is a test: alarms will reach you like this."),
}


def loaded(path: Path) -> ContactsFile:
    """A contacts file that can be told by. Ends the command with every mistake in it."""
    try:
        return ContactsFile(path)
    except (MistakesError, OSError) as error:
        raise refused(str(error)) from None


def show(found: Loaded) -> None:
    """Say what is told to whom: names and channels, no addresses."""
    for contact in found.contacts.people.values():
        about = ", ".join(sorted(contact.accounts | contact.sites))
        typer.echo(f"{contact.name} ({contact.language}): {about}; by {', '.join(contact.addresses)}")


def send_test(found: Loaded, name: str) -> None:
    """Send a contact a message over each of its channels, and say what became of it. Ends the command with code 1 if one was not sent."""
    contact = found.contacts.people.get(name)
    if contact is None:
        raise refused(f"no contact {name!r}: expected one of {', '.join(sorted(found.contacts.people)[:20])}")
    problems = []
    for channel, address in contact.addresses.items():
        try:
            send(found.contacts.channels[channel], address, str(ULID()), _TEST[contact.language])
            typer.echo(f"{channel}: sent")
        except NotSentError as error:
            problems.append(f"{channel}: {error}")
    if problems:
        raise failed("\n".join(problems))
