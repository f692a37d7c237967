"""docs/notify.md: its examples load, its channels are understood, its defaults are the program's."""

import re
from pathlib import Path

import pytest
from notifying import contacts_of

from connectors.notifications.contacts_document import ContactPart, LimitsPart, TermsPart
from connectors.notifications.sending import check_channels
from connectors.notifications.templates import OF_DIGEST, Templates
from domain.contacts import Channel, Contact, Contacts, Limits, Old, Rate

DOCUMENT = (Path(__file__).parents[2] / "docs" / "notify.md").read_text("utf-8")
CHANNELS = DOCUMENT.split("## Channels\n")[1].split("\n## ")[0]
URLS = re.findall(r"`([a-z]+://[^`]+)`", CHANNELS)
HEXADECIMAL = "0123456789abcdef0123456789abcdef"
UUID = "12345678-1234-1234-1234-123456789012"
VALUES = {
    "SID": f"AC{HEXADECIMAL}", "TOKEN": HEXADECIMAL, "PASSWORD": "secret", "USER": "alarms%40example.com", "KEY": "a1b2c3d4",
    "SECRET": HEXADECIMAL[:16], "HOST": "push.example.com", "AppToken": "AT_appid123",
}  # fmt: skip
PHONE = "+8613800000000"
ADDRESSES = {
    "mailtos": "wang@example.com", "twilio": PHONE, "vonage": PHONE, "clickatell": PHONE, "wecombot": UUID, "feishu": UUID,
    "pover": "u" * 30, "wxpusher": "UID_123", "schan": "SCT123456Tabcdefghijklmnopqrstuv",
}  # fmt: skip


@pytest.mark.parametrize("url", URLS)
def test_every_channel_of_the_document_is_understood(url):
    """A URL that somebody copies, and fills in, is one that its service takes, with an address of its kind."""
    for name, value in VALUES.items():
        url = re.sub(rf"\b{name}\b", value, url)
    address = ADDRESSES.get(url.partition(":")[0], HEXADECIMAL)
    channel = Channel("any", url.replace("{address}", address), Rate.from_text("1/hour"))

    check_channels(Contacts({"any": channel}, {}, Limits(channel.rate, 1, 1, Old.SEND)))


def test_the_first_example_loads(tmp_path):
    """Whoever copies it tells somebody."""
    contacts = contacts_of(tmp_path, re.findall(r"```toml\n(.*?)```", DOCUMENT, re.DOTALL)[0])
    check_channels(contacts)

    assert set(contacts.people) == {"Wang Wei", "Duty"}


def test_the_template_of_the_document_is_one():
    """All names in it are there."""
    (text,) = re.findall(r"```text\n(.*?)```", DOCUMENT, re.DOTALL)
    Templates({"balance_low.zh.txt": text})

    assert f"| `{'`, `'.join(OF_DIGEST)}` | digests |" in DOCUMENT


def test_every_key_is_in_the_table():
    """What a file may say is in the document."""
    keys = {*ContactPart.model_fields, *TermsPart.model_fields, *LimitsPart.model_fields, "tables", "templates", "url"}

    assert {key for key in keys if f"`{key}`" not in DOCUMENT} == set()


def test_the_defaults_are_those_of_the_document(tmp_path):
    """As the table says them."""
    toml = re.findall(r"```toml\n(.*?)```", DOCUMENT, re.DOTALL)[0]
    contacts = contacts_of(tmp_path, toml)
    wang, duty = contacts.people["Wang Wei"], contacts.people["Duty"]

    def said(contact: Contact):
        return (
            contact.language,
            str(contact.severity),
            contact.cleared,
            contact.repeats,
            contact.quiet,
            str(contact.breaks_quiet),
        )

    assert said(wang) == ("zh", "info", False, 3, None, "critical")
    assert said(duty) == ("en", "warning", True, 3, None, "critical")
    assert contacts.limits == Limits(Rate.from_text("600/hour"), 12, 7_200_000, Old.DIGEST)
    assert contacts.channels["email"].rate == Rate.from_text("10/hour")
