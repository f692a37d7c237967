"""How many histories the machine and its model live through, and from which seed on."""

import secrets

import pytest


def pytest_addoption(parser):
    """`--histories` of each kind of street, and `--seed`, a number or `any`."""
    parser.addoption("--histories", type=int, default=0, help="histories of each kind of street; 0: as many as in CI")
    parser.addoption("--seed", default="0", help="the first seed, or `any` for one by chance")


@pytest.fixture
def simulated(request) -> tuple[int, int]:
    """The first seed, and how many histories; 0: as many as in CI."""
    seed = request.config.getoption("--seed")
    return secrets.randbelow(2**32) if seed == "any" else int(seed), request.config.getoption("--histories")
