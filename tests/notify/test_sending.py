"""The way to people: real servers on loopback, and reasons without secrets."""

import io
import logging

import pytest

from connectors.notifications import sending
from connectors.notifications.sending import NoAnswerError, NotSentError, send
from connectors.notifications.templates import Words
from domain.contacts import Channel, Rate

WORDS = Words("提醒：<b>101", "余额不足 <b>&\n${x} {{y}}")


def channel(url):
    """A channel of this URL."""
    return Channel("any", url, Rate.from_text("1/hour"))


def test_a_mail_arrives_as_it_was_written(mail):
    """Title, text and address, in any script, with nothing interpreted."""
    send(channel(mail.url()), "wang+1@example.com", "7", WORDS)

    assert mail.taken == [("wang+1@example.com", WORDS.title, WORDS.body)]


def test_a_mail_as_html_is_escaped(mail):
    """A room's name is no markup."""
    send(channel(mail.url("&format=html")), "wang@example.com", "7", WORDS)
    ((_, subject, text),) = mail.taken

    assert subject == WORDS.title
    assert "余额不足 &lt;b&gt;&amp;" in text.replace("&nbsp;", " ")


def test_a_hook_gets_words_and_the_id_of_what_it_is_sent(hook):
    """So a program can leave out what comes twice."""
    send(channel(hook.url()), "a/../b c", "alarm-7 any Wang & Söhne", WORDS)
    ((path, body),) = hook.taken

    assert path == "/hook-8e5c1f/a%2F..%2Fb%20c"
    assert (body["title"], body["message"], body["id"]) == (WORDS.title, WORDS.body, "alarm-7 any Wang & Söhne")


@pytest.mark.parametrize("answers", [302, 400, 500])
def test_a_hook_that_does_not_take_it_says_why(hook, answers):
    """The reason has neither the password nor the path nor the address in it; nobody is led elsewhere."""
    hook.answers = answers
    with pytest.raises(NotSentError) as error:
        send(channel(hook.url()), "wang-secret", "7", WORDS)

    assert str(answers) in str(error.value)
    assert not any(secret in str(error.value) for secret in ("hunter", "8e5c1f", "wang"))
    assert not error.value.may_have_come


def test_a_mail_server_that_refuses_is_a_reason_without_the_address(mail):
    """As the reason is kept and listed, and the address is not."""
    mail.refuses = True
    with pytest.raises(NotSentError) as error:
        send(channel(mail.url()), "wang@example.com", "7", WORDS)

    assert "failed" in str(error.value)
    assert "wang" not in str(error.value)


@pytest.mark.parametrize(
    "url", ["json://127.0.0.1:1/{address}", "mailto://127.0.0.1:1/?from=m%40example.com&to={address}"]
)
def test_nobody_there(url):
    """A service that is down is a reason to try again."""
    with pytest.raises(NotSentError, match="onnection error"):
        send(channel(url), "wang@example.com", "7", WORDS)


def test_who_gives_no_answer_is_not_waited_for(hook, monkeypatch):
    """It is given up while the other still thinks; and it is said that the message may have come all the same."""
    monkeypatch.setattr(sending, "TIMEOUT_SECONDS", 0.3)
    hook.hangs = 1.0
    with pytest.raises(NoAnswerError, match="no answer within"):
        send(channel(hook.url(more="?rto=20")), "wang", "7", WORDS)


def test_nothing_that_goes_wrong_is_logged_by_others(hook, mail):
    """The libraries that send log URLs and addresses; none of it gets into our logs."""
    hook.answers, mail.refuses = 500, True
    root, said = logging.getLogger(), io.StringIO()
    handler, level = (
        logging.StreamHandler(said),
        root.level,
    )  # As our processes have one; pytest's own is put on every logger.
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    for url in (hook.url(), mail.url(), "json://127.0.0.1:1/{address}", "nonsense://hunter2222/{address}"):
        with pytest.raises(NotSentError):
            send(channel(url), "secret-wang@example.com", "7", WORDS)
    root.removeHandler(handler)
    root.setLevel(level)

    lines = [
        line for line in said.getvalue().splitlines() if "127.0.0.1'" not in line
    ]  # Without the test's mail server.
    assert not any("hunter" in line or "Failed" in line or "Unparseable" in line for line in lines)
