"""`meterline notify`: alarms to people, until it is interrupted; and what has become of messages."""

import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import msgspec
import structlog
import typer

from commands.dataflows import run
from commands.endings import failed, refused
from commands.metrics_door import MetricsOption, measured
from commands.shared import DATA_DEFAULT, ClockOption, DataOption, clock_of
from connectors.metrics import registry_of
from connectors.notifications.contacts_file import load_contacts
from connectors.notifications.measured import families
from connectors.redis.errors import StoreError, StoreMismatch
from connectors.redis.notices import Notices
from connectors.redis.server import access_of
from domain.documents import MistakesError

CONTACTS_VARIABLE = "METERLINE_CONTACTS"
BEGINNING, EVERY = "beginning", "all"
ContactsArgument = Annotated[
    Path | None, typer.Argument(help="Contacts file (docs/notify.md).", envvar=CONTACTS_VARIABLE)
]
ContactsOption = Annotated[
    Path | None,
    typer.Option(help="Contacts file (docs/notify.md): tell people of alarms.", envvar=CONTACTS_VARIABLE),
]
FromOption = Annotated[
    str,
    typer.Option(
        "--from",
        help='At the first start: tell also what entered the log since then, "2025-01-31 23:30" UTC, or "beginning".',
    ),
]


def notify(
    contacts: ContactsArgument = None,
    data: DataOption = DATA_DEFAULT,
    clock: ClockOption = "",
    since: FromOption = "",
    check: Annotated[bool, typer.Option("--check", help="Check the contacts file and its templates, and end.")] = False,
    test: Annotated[
        str, typer.Option(help="Send a test message to this contact, over each of its channels, and end.")
    ] = "",
    dead: Annotated[bool, typer.Option("--dead", help="List messages that were given up, and end.")] = False,
    resend: Annotated[str, typer.Option(help='Let a message that was given up be sent again, by its id; "all".')] = "",
    deliveries: Annotated[int, typer.Option(min=0, help="List so many of the newest deliveries, and end.")] = 0,
    metrics: MetricsOption = "",
) -> None:
    """Tell people of alarms by e-mail, SMS, push, voice, WeChat and webhooks (docs/notify.md). May be killed at any instant."""
    if dead or resend or deliveries:
        with _kept(data) as notices:
            _look(notices, dead=dead, resend=resend, deliveries=deliveries)
        return
    if contacts is None:
        raise refused(f"which contacts file? name it, or set {CONTACTS_VARIABLE} (docs/notify.md)")
    from commands.notifying import loaded, send_test, show  # noqa: PLC0415 - apprise takes a second to load

    file = loaded(contacts)
    if check:
        show(file.now())
    elif test:
        send_test(file.now(), test)
    else:
        from flows.notify import Terms, build  # noqa: PLC0415 - as above

        event_time = clock_of(clock)
        with _kept(data) as notices:
            notices.begin(_since(since))
            if strangers := notices.strangers(file.now().contacts):
                structlog.get_logger().warning("contacts name what the store does not know yet", names=strangers[:20])
        url = notifier_url(data)
        terms = Terms(file, event_time)
        for each in (signal.SIGTERM, signal.SIGINT):  # A message that is under way would come twice.
            signal.signal(each, lambda *_: terms.ending.set())
        with measured(registry_of(lambda: families(terms.counted)), metrics):
            run(build(lambda: Notices.open(url), terms), "notify")


def _since(text: str) -> int | None:
    """From when on, ms UTC, alarms are told at the first start; None: from now on. Ends the command if the text says no time."""
    if not text:
        return None
    if text == BEGINNING:
        return 0
    try:
        return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1000)
    except ValueError:
        raise refused(f'--from {text!r}: expected a time in UTC such as "2025-01-31 23:30", or "{BEGINNING}"') from None


def _look(notices: Notices, *, dead: bool, resend: str, deliveries: int) -> None:
    """Show or change what has become of messages; a line of JSON each."""
    if resend:
        chosen = [each for each in notices.dead() if resend in {each.id, EVERY}]
        typer.echo(f"{notices.resend(chosen, time.time_ns() // 1_000_000)} messages wait again")
    for each in notices.dead() if dead else ():
        shown = {"id": each.id, "contact": each.contact, "channel": each.channel, "attempts": each.attempts}
        typer.echo(msgspec.json.encode({**shown, "problem": each.problem, "alarm": each.alarm}).decode())
    for delivery in reversed(notices.deliveries(deliveries)) if deliveries else ():
        typer.echo(msgspec.json.encode(delivery).decode())


@contextmanager
def _kept(data: Path) -> Iterator[Notices]:
    """What is kept of notices. Ends the command if the store cannot be used."""
    url = notifier_url(data)
    try:
        notices = Notices.open(url)
        try:
            yield notices
        finally:
            notices.close()
    except StoreMismatch as error:
        raise refused(str(error)) from None
    except StoreError as error:
        raise failed(str(error)) from None


def notifier_url(data: Path) -> str:
    """Where the store is, for a notifier: `REDIS_URL`, else the embedded server. Ends the command if there is none."""
    try:
        return os.environ.get("REDIS_URL") or access_of(data).notifier_url
    except StoreError as error:
        raise refused(str(error)) from None


def check_contacts(contacts: Path | None) -> None:
    """End the command with every mistake in a contacts file, if there is one. What services take is checked by the notifier itself."""
    try:
        if contacts is not None:
            load_contacts(contacts)
    except (MistakesError, OSError) as error:
        raise refused(str(error)) from None
