"""The notifier as a process: killed at random, and its channels failing."""

import os
import random
import time
from collections import Counter

import pytest
from notifying import Nursery, written

from domain.notices import Result

STEPS, KILLS = 5, 3
SEED = int(os.environ.get("METERLINE_SEED", "20250101"))
CONTACTS = """
[limits]
rate = "1000/minute"
overall = "10000/minute"
[channel.email]
url = "{mail}"
[channel.hook]
url = "{hook}"
[[contact]]
name = "Wang"
accounts = ["A-101", "A-102"]
to = {{ email = "wang@example.com", hook = "wang" }}
[[contact]]
name = "Duty"
language = "en"
sites = ["river"]
to = {{ hook = "duty" }}
"""


def until(holds, nursery, seconds=60):
    """Wait until something is so."""
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, nursery.said.read_text()[-3000:]
        time.sleep(0.005)


@pytest.fixture
def nursery(server, notices, mail, hook, tmp_path):
    """A place where notifiers are started, with contacts."""
    path = written(tmp_path, CONTACTS.format(mail=mail.url(), hook=hook.url()))
    nursery = Nursery(server.access.notifier_url, path, tmp_path / "said.txt")
    yield nursery
    nursery.stop()


def test_kills_lose_nothing_and_double_only_what_was_under_way(street, notices, nursery, mail, hook):
    """A notifier that is killed before and after each of its steps, and at random, tells each person of each alarm; twice only what was being sent when it was killed; and each delivery is recorded once."""
    print(f"METERLINE_SEED={SEED}")  # noqa: T201 - shown when it fails, to run it again
    chance = random.Random(SEED)
    street.account("A-101"), street.account("A-102")
    ids = []
    for dies in [f"{step} {when}" for step in range(1, STEPS + 1) for when in ("before", "after")] + [""] * KILLS:
        ids += [street.raise_alarm(account) for account in ("A-101", "A-102")]
        taken = len(hook.taken)
        nursery.start(dies)
        if dies:
            until(lambda: not nursery.is_alive(), nursery)
        else:
            until(lambda taken=taken: len(hook.taken) > taken, nursery)
            time.sleep(chance.uniform(0, 0.08))
            nursery.kill()
    nursery.start()
    until(lambda: len(notices.deliveries(1000)) >= 3 * len(ids) and not notices.waiting()[0], nursery)

    wanted = {f"{alarm} {line}" for alarm in ids for line in ("email Wang", "hook Wang", "hook Duty")}
    counted = Counter(hook.ids())
    recorded = Counter(each.notice for each in notices.deliveries(1000) if each.result == Result.SENT)
    starts = 2 * STEPS + KILLS
    assert recorded == dict.fromkeys(wanted, 1)
    assert set(counted) == {each for each in wanted if " hook " in each}
    assert 0 <= len(mail.taken) - len(ids) <= starts
    assert sum(counted.values()) - len(counted) <= 2 * starts
    assert notices.waiting()[:2] == (0, 0)
