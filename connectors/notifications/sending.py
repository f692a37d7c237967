"""The way to people: one message over one channel by apprise, which knows the services. The only file that knows apprise.

Promise: a message is sent, or there is a reason why not; in bounded time, and without a URL, an address or a secret in the reason or in any log. A service
that gives no answer in time may have taken the message all the same.
"""

import logging
import threading
from collections.abc import Iterator
from urllib.parse import parse_qsl, quote, unquote, urlsplit

from apprise import Apprise, AppriseAsset, NotifyBase, NotifyFormat, PersistentStoreMode
from apprise.result import AppriseResultStatus

from connectors.notifications.templates import Words
from domain.contacts import Channel, Contacts
from domain.documents import Mistake, MistakesError

TIMEOUT_SECONDS = 30.0
SECRET_BYTES_MIN = 4
"""Shorter parts of a URL are no secrets, and would black out half of each reason."""
PROBLEM_MAX = 200
_EXAMPLES = ("+8613800000000", "somebody@example.com", "0123456789abcdef0123456789abcdef", "user")
"""Addresses to try a URL with: a service checks their form."""


class _Heard(logging.Handler):
    """Hears whether apprise says, in this thread, that something about a URL is wrong: it goes on without the address that it dropped."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self._warned = threading.local()

    def emit(self, record: logging.LogRecord) -> None:
        """Note that there was a warning, not its words: they may have a secret in them."""
        del record
        self._warned.count = self.count() + 1

    def count(self) -> int:
        """How many warnings this thread has had."""
        return getattr(self._warned, "count", 0)


_heard = _Heard()
# What these say may have a URL or an address in it. What failed is said by us, without.
for _name in ("apprise", "urllib3", "requests"):
    logging.getLogger(_name).addHandler(_heard)
    logging.getLogger(_name).propagate = False


class NotSentError(Exception):
    """A message was not sent, the text says why; or `may_have_come`: as far as is known."""

    may_have_come = False


class NoAnswerError(NotSentError):
    """The service gave no answer in time."""

    may_have_come = True


def filled(channel: Channel, address: str, message_id: str) -> str:
    """A channel's URL for one message."""
    return channel.url.replace("{address}", quote(address, safe="")).replace("{id}", quote(message_id, safe=""))


def send(channel: Channel, address: str, message_id: str, words: Words) -> None:
    """Send a message. Raises NotSentError. May be called from several threads."""
    url = filled(channel, address, message_id)
    service = _service(url)
    if service is None:
        raise NotSentError("the channel's URL and this address do not fit: meterline notify --check")
    sender = Apprise(asset=_asset())
    sender.add(service)
    title = words.title if service.title_maxlen else ""
    done = sender.notify(body=words.body, title=title, body_format=NotifyFormat.TEXT, interpret_escapes=False)
    if done.status == AppriseResultStatus.TIMEOUT:
        raise NoAnswerError(f"no answer within {TIMEOUT_SECONDS:.0f} s")
    if not done:
        said = "; ".join(entry.message for entry in done.logs())
        raise NotSentError(_redacted(said, url, address) or "the service did not say why")


def check_channels(contacts: Contacts) -> None:
    """Hold every channel's URL, and each contact's address for it, against what its service takes. Raises MistakesError; shows neither."""
    mistakes = []
    for channel in contacts.channels.values():
        if not any(_service(filled(channel, each, "0")) for each in _EXAMPLES):
            expected = "the URL of a service as apprise has it (docs/notify.md)"
            mistakes.append(Mistake(0, f"channel.{channel.name}.url", "a value that is not shown", expected))
            continue
        mistakes += [
            Mistake(0, f"contact {contact.name}", f"an address for {channel.name}", "one that the service takes")
            for contact in contacts.people.values()
            if channel.name in contact.addresses and not _service(filled(channel, contact.addresses[channel.name], "0"))
        ]
    if mistakes:
        raise MistakesError("contacts", mistakes)


def _asset() -> AppriseAsset:
    """How apprise behaves: nothing written to disk, no redirects to elsewhere, no templates of its own, an end to waiting."""
    return AppriseAsset(
        app_id="Meterline", app_desc="Meterline", app_url="", async_mode=False, allow_templates=False, http_redirects=False,
        language="en", pem_autogen=False, pgp_autogen=False, secure_logging=True, service_timeout=TIMEOUT_SECONDS,
        storage_mode=PersistentStoreMode.MEMORY,
    )  # fmt: skip


def _service(url: str) -> NotifyBase | None:
    """The service that a URL names; None where there is none, or it does not take all of it."""
    warned = _heard.count()
    found = Apprise.instantiate(url, asset=_asset(), suppress_exceptions=True)
    return found if isinstance(found, NotifyBase) and _heard.count() == warned else None


def _redacted(said: str, url: str, address: str) -> str:
    """What apprise said, without the parts of the URL and the address."""
    for secret in sorted({address, *_parts(url)}, key=len, reverse=True):
        if len(secret) >= SECRET_BYTES_MIN:
            said = said.replace(secret, "…")
    return said[:PROBLEM_MAX]


def _parts(url: str) -> Iterator[str]:
    """Whatever in a URL may be a secret or an address, as it is written and as it is read."""
    split = urlsplit(url)
    found = [split.netloc, split.path, *split.path.split("/"), split.query, *split.netloc.replace("@", ":").split(":")]
    found += [part for pair in parse_qsl(split.query) for part in pair[1:]]
    for part in found:
        yield part
        yield unquote(part)
