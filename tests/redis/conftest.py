from collections.abc import Iterator
from pathlib import Path

import pytest

from connectors.redis.server import EmbeddedServer, binary

DEBIAN = Path("/usr/bin/redis-server")


@pytest.fixture(params=["bundled", "debian"])
def server(request, tmp_path: Path) -> Iterator[EmbeddedServer]:
    """A fresh embedded server, once with the program that we bring and once with Debian's."""
    if request.param == "debian" and not DEBIAN.exists():
        pytest.skip(f"{DEBIAN} is not installed")
    server = EmbeddedServer.start(tmp_path / "data", DEBIAN if request.param == "debian" else binary())
    yield server
    server.stop()
