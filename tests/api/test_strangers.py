"""Requests that nobody in their right mind would make, for every operation of the OpenAPI file, against the real thing."""

import threading
from collections.abc import Iterator

import pytest
import schemathesis
from api_site import LATER, TOKEN, append_site, listening, wait_until_settled
from hypothesis import HealthCheck, Phase, settings, strategies
from schemathesis import checks

from api.app import create_app
from api.settings import ApiSettings
from commands.openapi import description
from connectors.redis.server import EmbeddedServer
from connectors.redis.store import Store
from flows.settle import settle_once

HELD = [
    checks.not_a_server_error,
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_schema_conformance,
    checks.response_headers_conformance,
]
schemathesis.serializer.alias("application/toml", "text/plain")
schemathesis.openapi.media_type("application/vnd.apache.arrow.stream", strategies.binary(max_size=200))
SCHEMA = schemathesis.openapi.from_dict(description()).exclude(path_regex="/events$")  # Streams do not end.


@pytest.fixture(scope="module")
def address(tmp_path_factory) -> Iterator[str]:
    """The API of a small settled site, and a settlement that goes on."""
    server = EmbeddedServer.start(tmp_path_factory.mktemp("strangers") / "data")
    store = Store.open(server.url, 2)
    append_site(store)
    settle_once(store)
    wait_until_settled(store)
    ended, own = threading.Event(), Store.open(server.url, 2)

    def settle() -> None:
        while not ended.wait(0.01):
            settle_once(own)

    settling = threading.Thread(target=settle)
    settling.start()
    limits = dict.fromkeys(("requests", "orders", "denials", "logins"), "1000000/minute")
    app = create_app(ApiSettings(redis_url=server.url, token=TOKEN, clock=lambda: LATER, wait_seconds=0.2, **limits))
    with listening(app) as address:
        yield address
    ended.set()
    settling.join()
    store.close()
    server.stop()


@SCHEMA.parametrize()
@settings(
    max_examples=10, derandomize=True, database=None, deadline=None, phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)  # fmt: skip
def test_whatever_is_sent_the_answer_is_one_that_the_file_names(case, address):
    """No request makes the server fail, and every answer is of a status, type and form that the OpenAPI file declares."""
    response = case.call(base_url=address, headers={"Authorization": f"Bearer {TOKEN}"})

    case.validate_response(response, checks=HELD)
