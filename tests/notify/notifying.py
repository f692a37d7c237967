"""Alarms, contacts, and a notifier to be killed, for the suites of this folder."""

import contextlib
import os
import signal
import subprocess
import sys
from pathlib import Path

import msgspec
import redis

from connectors.notifications.contacts_file import load_contacts
from connectors.redis.formats import alarm_message, pack
from connectors.redis.keys import STORE_FORMAT, key
from connectors.redis.store import connection_options
from domain.effects import Alarm
from domain.facts import AlarmTerms, Place
from domain.ids import shard_of
from domain.state import AccountRecord, SiteRecord
from domain.words import AlarmKind, AlarmState

ROOT = Path(__file__).parents[2]
SHARDS = 2
SITE = SiteRecord(site="river", title_zh="河畔", title_en="River", zone="Asia/Shanghai", currency="CNY")
_NURSERY = """\
import os, signal, sys
from pathlib import Path
import redis
from commands.logs import LogFormat, configure
from connectors.notifications.loaded import ContactsFile
from connectors.redis.notices import Notices
from flows.notify import Terms, build
from bytewax.run import cli_main
configure("notify", LogFormat.JSON, sys.stderr)
url, path = sys.argv[1:]
execute = redis.Redis.execute_command
def dying(count, when):
    def executed(client, *words, **options):
        nonlocal count
        count -= words[0] == "EVAL"
        if not count and when == "before":
            os.kill(os.getpid(), signal.SIGKILL)
        answer = execute(client, *words, **options)
        if not count:
            os.kill(os.getpid(), signal.SIGKILL)
        return answer
    return executed
ContactsFile(Path(path))
for line in sys.stdin:
    child = os.fork()
    if not child:
        if line.strip():
            count, when = line.split()
            redis.Redis.execute_command = dying(int(count), when)
        try:
            cli_main(build(lambda: Notices.open(url), Terms(ContactsFile(Path(path)))))
        except BaseException as error:
            print(f"ended by {error!r}, {error.__cause__!r}", file=sys.stderr, flush=True)
        os._exit(1)
    print(child, flush=True)
    os.waitpid(child, 0)
"""
"""Imports everything once, and has a child run the dataflow for each line that it is given: so a start takes no seconds."""


class Nursery:
    """Starts notifiers quickly, one after another, to be killed."""

    def __init__(self, url, path, said):
        self.said = said
        with said.open("ab") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-c", _NURSERY, url, str(path)],
                cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=output, text=True,
            )  # fmt: skip
        self.child = 0

    def start(self, dies=""):
        """Start a notifier; it may be one that kills itself before or after its so manieth step in the store: `3 before`."""
        self.process.stdin.write(f"{dies}\n")
        self.process.stdin.flush()
        self.child = int(self.process.stdout.readline())

    def is_alive(self):
        """Whether the notifier lives."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.child, 0)
            return True
        return False

    def kill(self):
        """Kill it, at whatever instruction it is."""
        os.kill(self.child, signal.SIGKILL)

    def stop(self):
        """End everything."""
        self.process.kill()
        if self.child:  # Nobody has another's number: 0 would be all of us.
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.child, signal.SIGKILL)
        self.process.communicate()


class Street:
    """Accounts at a site, and a way to raise alarms of them as a commit would."""

    def __init__(self, url):
        self.client = redis.Redis.from_url(url, **connection_options())
        self.client.hset("meterline", mapping={"shards": SHARDS, "format": STORE_FORMAT})
        for shard in range(SHARDS):
            self.client.hset(key("site_records", shard), SITE.site, pack(SITE))
        self.count = 0

    def account(self, name, room=""):
        """Open an account."""
        place = Place(site=SITE.site, building="3号楼", room=room or name)
        record = AccountRecord(
            row=0, account=name, currency="CNY", name="王", place=place, alarms=AlarmTerms(), opened_at=0
        )
        self.client.hset(key("account_records", shard_of(name, SHARDS)), name, pack(record))
        return name

    def raise_alarm(self, account, kind=AlarmKind.BALANCE_LOW, state=AlarmState.RAISED, **more):
        """Say an alarm event. Returns its id."""
        self.count += 1
        now = self.client.time()
        alarm = alarm_of(account, kind, state, id=f"alarm-{self.count}", **{"at": now[0] * 1000, **more})
        self.client.xadd(key("alarms", shard_of(account, SHARDS)), {"v": 1, "b": pack([alarm])})
        return alarm.id

    def close(self):
        """Give the connection back."""
        self.client.close()


def alarm_of(account="A-101", kind=AlarmKind.BALANCE_LOW, state=AlarmState.RAISED, **more):
    """An alarm event."""
    return Alarm(
        **{"id": "alarm-0", "kind": kind, "state": state, "at": 0, "account": account, "balance": 3_200_000, **more}
    )


def said_of(alarm, record=None):
    """An alarm as consumers get it, at our site."""
    return {**msgspec.to_builtins(alarm_message(alarm, record)), "site": SITE.site}


def written(folder, text, mode=0o600, name="contacts.toml"):
    """A contacts file."""
    path = folder / name
    path.write_text(text, "utf-8")
    path.chmod(mode)
    return path


def contacts_of(folder, text):
    """The contacts in a text."""
    return load_contacts(written(folder, text))
