"""`meterline notify` at the command line: checked, tried out, looked at, and refused with what to do."""

import json
import os
import subprocess
import sys
import time

import pytest
from notifying import ROOT, written
from test_contacts import CHANNELS, WANG
from typer.testing import CliRunner

from connectors.redis.notices import Notices
from domain.notices import Result
from meterline import app_of


def meterline(*words):
    """What the command says, and its code."""
    done = CliRunner().invoke(app_of(["notify"]), ["notify", *map(str, words)], env={"REDIS_URL": ""})
    return done.exit_code, done.stdout, done.stderr


def test_a_file_is_checked_and_tried_out_before_it_is_used(tmp_path, mail, hook):
    """Every mistake at once; a test message that arrives; and a reason where it does not."""
    channels = f'[channel.email]\nurl = "{mail.url()}"\n[channel.hook]\nurl = "{hook.url()}"\n'
    path = written(tmp_path, channels + WANG.replace("}", ', hook = "wang" }') + 'language = "en"\n')
    good = meterline(path, "--check")
    hook.answers = 500
    tried = meterline(path, "--test", "Wang")
    wrong = meterline(written(tmp_path, CHANNELS + WANG + 'zone = "Mars"\nphone = "7"', 0o644, "wrong.toml"), "--check")

    assert good == (0, "Wang (en): A-101; by email, hook\n", "")
    assert tried[:2] == (1, "email: sent\n")
    assert tried[2].startswith("hook: Failed to send JSON POST notification")
    assert mail.taken == [("wang@example.com", "Meterline test", "This is a test: alarms will reach you like this.")]
    assert wrong[0] == 2
    assert [line.partition(": ")[2].partition(";")[0] for line in wrong[2].splitlines()] == [
        "permissions: found mode 644 of wrong.toml", "line 11: contact[0].zone: found a value that is not shown", "line 12: contact[0].phone: found a value that is not shown",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "which contacts file? name it, or set METERLINE_CONTACTS"),
        (["{path}", "--test", "Nobody"], "no contact 'Nobody': expected one of Wang"),
        (["{path}", "--data", "nowhere"], "nowhere is no data directory of Meterline"),
        (["none.toml"], "No such file or directory: 'none.toml'"),
    ],
)
def test_what_it_cannot_do_it_says(tmp_path, words, said):
    """Code 2, and what was expected."""
    path = written(tmp_path, CHANNELS + WANG)
    code, _, error = meterline(*(word.format(path=path) for word in words))

    assert code == 2
    assert said in error


def test_it_tells_and_what_became_of_messages_is_shown(server, street, tmp_path, hook):
    """As a process by its own few rights; what nobody took is listed, and sent when somebody says so; asked to end, it first records what is under way."""
    hook.answers = 500
    text = '[limits]\nattempts = 1\n[channel.hook]\nurl = "' + hook.url() + '"\n' + WANG.replace("email", "hook")
    path = written(tmp_path, text.replace('"A-101"', '"A-101", "A-1O1"'))
    street.account("A-101")
    street.raise_alarm("A-101")
    with (tmp_path / "said").open("w+") as said:
        process = subprocess.Popen(
            [sys.executable, "-m", "meterline", "notify", path, "--data", server.data, "--from", "beginning"],
            cwd=ROOT, env={**os.environ, "REDIS_URL": ""}, stdout=said, stderr=said,
        )  # fmt: skip
        notices = Notices.open(server.access.notifier_url)
        _until(lambda: notices.waiting()[1] == 1, process, said)
        hook.answers = 200
        dead = meterline("--dead", "--data", server.data)
        resent = meterline("--resend", json.loads(dead[1])["id"], "--data", server.data)
        _until(lambda: hook.taken, process, said)
        _until(lambda: len(notices.deliveries(9)) == 2, process, said)
        listed = meterline("--deliveries", "9", "--data", server.data)
        hook.hangs = 1.0
        street.raise_alarm("A-101")
        _until(lambda: any(each.attempts for each in notices.notices(notices.due(2**62, 9))), process, said)
        process.terminate()
        code, recorded = process.wait(), notices.deliveries(9)
        notices.close()
        said.seek(0)
        words = said.read()

    assert json.loads(dead[1])["problem"].startswith("Failed to send JSON POST notification")
    assert resent == (0, "1 messages wait again\n", "")
    assert [json.loads(line)["result"] for line in listed[1].splitlines()] == [Result.DEAD, Result.SENT]
    assert (code, recorded[0].alarm, recorded[0].result) == (0, "alarm-2", Result.SENT)
    assert "contacts name what the store does not know yet" in words
    assert "A-1O1" in words
    assert "message dead" in words
    assert "hunter" not in words


def _until(holds, process, said):
    """Wait until something is so while the process lives."""
    deadline = time.monotonic() + 60
    while not holds():
        said.flush()
        assert process.poll() is None, (said.seek(0), said.read())
        assert time.monotonic() < deadline, (said.seek(0), said.read())
        time.sleep(0.05)
