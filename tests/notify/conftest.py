from collections.abc import Iterator

import pytest
from notifying import Street
from receivers import Hook, Mail

from connectors.redis.notices import Notices


@pytest.fixture
def mail() -> Iterator[Mail]:
    """A mail server."""
    mail = Mail()
    yield mail
    mail.stop()


@pytest.fixture
def hook() -> Iterator[Hook]:
    """A web hook."""
    hook = Hook()
    yield hook
    hook.stop()


@pytest.fixture
def street(server) -> Iterator[Street]:
    """A store of two shards with a site and no accounts."""
    street = Street(server.url)
    yield street
    street.close()


@pytest.fixture
def notices(server, street) -> Iterator[Notices]:
    """What is kept of notices, by the rights of a notifier, begun at the end of all alarms."""
    notices = Notices.open(server.access.notifier_url)
    notices.begin()
    yield notices
    notices.close()
