import base64
import hashlib
import json
import re
import signal

import pytest
from api_site import NOW, TOKEN, append_readings, append_site, money, together, wait_until_settled

from api.app import create_app
from api.doors.security import WeakSecretError, check_secret
from api.settings import ApiSettings
from connectors.redis.keys import key
from domain.facts import Ticked
from domain.verdict import Verdict
from domain.words import Check

CLOSED = [
    "/accounts",
    "/accounts/A-101",
    "/meters/1",
    "/alarms",
    "/docs",
    "/openapi.json",
    "/nowhere",
    "/metrics/",
    "/health",
]


@pytest.mark.parametrize("token", ["", TOKEN[:-1], TOKEN + "A", "é" * 32])
def test_without_the_token_every_path_is_closed(app, store, token):
    """Whatever is not on the list of open paths answers 401, known or not."""
    headers = {"Authorization": f"Bearer {token}".encode()}

    async def knock(client):
        return [await client.get(path, headers=headers) for path in CLOSED]

    answers = together(app, knock)

    assert [answer.status_code for answer in answers] == [401] * len(CLOSED)
    assert {answer.headers["www-authenticate"] for answer in answers} == {"Bearer"}


def test_an_unknown_caller_changes_nothing(ask, store):
    """The gate is before everything that reads a body."""
    answer = ask("POST", "/accounts/A-101/recharges", token="", content=b"{")

    assert answer.status_code == 401
    assert all(store.last(shard) == (0, 0) for shard in range(store.shards))


@pytest.mark.parametrize(
    ("token", "said"),
    [
        ("", "no API token"),
        (TOKEN[:31], "fewer than 32"),
        ("changeme" * 5, "well-known"),
        ("my-Secret-token-0f4a9c1b7e2d5836xyzw", "well-known"),
        ("a1" * 20, "different characters"),
        ("wörter" * 8, "no header can carry"),
        ("two words " * 4, "no header can carry"),
    ],
)
def test_a_weak_secret_is_refused_with_a_way_out(token, said):
    """Nobody runs this with a secret that can be guessed, and the message never repeats it."""
    with pytest.raises(WeakSecretError, match=said) as refused:
        create_app(ApiSettings(redis_url="redis://127.0.0.1:1", token=token, clock=lambda: 0))

    assert "secrets.token_urlsafe(32)" in str(refused.value)
    assert not token or token not in str(refused.value)


def test_a_made_secret_is_accepted():
    """What the message advises passes."""
    assert check_secret(TOKEN) == TOKEN


def test_settings_do_not_show_their_secrets():
    """A settings object that lands in a log gives nothing away."""
    text = repr(ApiSettings(redis_url="unix://writer:hunter2@/s", token=TOKEN, clock=lambda: 0))

    assert TOKEN not in text
    assert "hunter2" not in text


def test_a_refused_caller_is_logged_without_its_token(ask, store, capsys):
    """Denials can be counted; what was tried as a token cannot be read."""
    ask("GET", "/accounts", token="", headers={"Authorization": "Bearer almost-the-right-one"})

    said = capsys.readouterr().out
    assert "unauthenticated" in said
    assert "almost" not in said


@pytest.mark.parametrize("path", ["/health/live", "/accounts", "/nowhere"])
def test_every_answer_has_secure_headers(ask, store, path):
    """Browsers neither guess nor keep what the API says."""
    headers = ask("GET", path).headers

    assert headers["x-content-type-options"] == "nosniff"
    assert headers["cache-control"] == "no-store"


def test_a_bug_says_nothing_of_itself_to_the_caller(app, ask, store):
    """What went wrong inside is for the log, the caller gets a problem and the same headers as ever."""

    async def divide() -> float:
        return 1 / 0

    app.add_api_route("/bug", divide)

    answer = ask("GET", "/bug")

    assert (answer.status_code, answer.json()["title"]) == (500, "Internal Server Error")
    assert "division" not in answer.text
    assert answer.headers["x-content-type-options"] == "nosniff"


def test_a_body_beyond_the_limit_is_not_read(app, store):
    """A stated size is refused at once, an unstated one as soon as it is too much."""
    big = b" " * 70_000

    async def chunks():
        for start in range(0, len(big), 10_000):
            yield big[start : start + 10_000]

    async def send(client):
        return [await client.post("/accounts/A-101/recharges", content=body) for body in (big, chunks())]

    stated, unstated = together(app, send)

    assert (stated.status_code, unstated.status_code) == (413, 413)
    assert unstated.json()["detail"] == "A body may have at most 65536 bytes."


def test_a_path_or_method_that_is_not_there_is_a_problem(ask, store):
    """Every error has the one shape."""
    assert ask("GET", "/nowhere").json() == {"type": "about:blank", "title": "Not Found", "status": 404, "detail": ""}
    wrong = ask("DELETE", "/accounts/A-101")
    assert (wrong.status_code, wrong.headers["allow"], wrong.json()["title"]) == (405, "GET", "Method Not Allowed")


def test_the_description_is_off_unless_asked_for(ask, store_url, store):
    """The pages that describe the API are a setting."""
    shown = create_app(ApiSettings(redis_url=store_url, token=TOKEN, clock=lambda: 0, docs=True))

    described = together(shown, lambda client: client.get("/openapi.json")).json()

    assert ask("GET", "/openapi.json").status_code == 404
    assert "/accounts/{account}/recharges" in described["paths"]
    assert described["paths"]["/accounts"]["get"]["security"] == [{"token": []}]


def test_the_page_that_describes_the_api_needs_nobody_else(store_url, store):
    """It works without the internet, and no script but what we bring can run where a token is typed in."""
    shown = create_app(ApiSettings(redis_url=store_url, token=TOKEN, clock=lambda: 0, docs=True))

    async def look(client):
        page = await client.get("/docs")
        return page, {path: await client.get(path) for path in re.findall(r'(?:src|href)="([^"]+)"', page.text)}

    page, loaded = together(shown, look)
    allowed = page.headers["content-security-policy"]
    (script,) = re.findall(r"<script>(.*?)</script>", page.text, re.DOTALL)

    assert set(loaded) == {"/docs/swagger-ui-bundle.js", "/docs/swagger-ui.css", "/docs/favicon.png"}
    assert [each.status_code for each in loaded.values()] == [200, 200, 200]
    assert base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() in allowed
    assert "default-src 'none'" in allowed
    assert "http" not in allowed


def test_a_store_that_is_gone_is_a_503_that_says_when_to_come_back(app, server, store):
    """Nobody waits for a server that is not there, and the caller is told to repeat with the same id."""

    async def ask_after_the_end(client):
        server.stop()
        return [await client.get(path) for path in ("/accounts/A-101", "/health/ready", "/metrics", "/health/live")]

    account, ready, metrics, live = together(app, ask_after_the_end)

    assert (account.status_code, ready.status_code, metrics.status_code, live.status_code) == (503, 503, 200, 200)
    assert account.headers["retry-after"] == "2"
    assert "repeat it with the same id" in account.json()["detail"]
    assert "meterline_store_up 0.0" in metrics.text


def test_a_store_that_hangs_is_found_out_in_bounded_time(store_url, server, store):
    """A probe of health or metrics never waits for a server that has stopped without closing its connections."""
    app = create_app(ApiSettings(redis_url=store_url, token=TOKEN, clock=lambda: 0, probe_seconds=0.2))

    async def ask_a_stopped_one(client):
        server.process.send_signal(signal.SIGSTOP)
        try:
            return [await client.get(path) for path in ("/health/ready", "/metrics")]
        finally:
            server.process.send_signal(signal.SIGCONT)

    ready, metrics = together(app, ask_a_stopped_one)

    assert (ready.status_code, ready.json()["detail"]) == (503, "The store did not answer in 0.2 s.")
    assert "meterline_store_up 0.0" in metrics.text


def test_it_is_ready_while_facts_are_settled(ask, site):
    """Ready means that money moves, not only that a process runs."""
    answer = ask("GET", "/health/ready", token="")

    assert answer.status_code == 200
    assert answer.json() == {"status": "ready", "now": "2026-09-21T16:13:20.000Z", "lag_seconds_max": 0}


def test_it_is_not_ready_while_facts_wait(store, store_url, settling):
    """When nobody settles, the answer says which shard waits for how long; when somebody does again, it is ready."""
    settling.set()
    append_site(store)
    settings = ApiSettings(redis_url=store_url, token=TOKEN, clock=lambda: 0, lag_seconds_max=0.001)
    app = create_app(settings)

    async def poll(client):
        while (answer := await client.get("/health/ready")).status_code == 200:
            pass
        return answer

    answer = together(app, poll)

    assert answer.status_code == 503
    assert "retry-after" in answer.headers
    assert set(answer.json()["lag_seconds"]) <= {"00", "01", "02", "03"}
    assert "shard 0" in answer.json()["detail"]


def test_metrics_count_requests_by_template_and_the_business_by_words(app, site):
    """Prometheus sees how the API answers and how accounts are, and no id of anybody."""

    async def use(client):
        for account in ("A-101", "A-102", "A-999"):
            await client.get(f"/accounts/{account}")
        return await client.get("/metrics")

    text = together(app, use).text

    assert 'meterline_http_requests_total{method="GET",route="/accounts/{account}",status="200"} 2.0' in text
    assert 'meterline_http_requests_total{method="GET",route="/accounts/{account}",status="404"} 1.0' in text
    assert 'meterline_accounts{level="none",site="Garden"} 2.0' in text
    assert 'meterline_meters_wanted{reason="in_credit",site="Garden",supply="unknown"} 2.0' in text
    assert 'meterline_log_lag_seconds{shard="03"} 0.0' in text
    assert "meterline_electricity_priced_joules_total 0.0" in text
    assert "A-101" not in text
    wait_until_settled(site)


def test_metrics_say_how_far_the_archive_is(app, site):
    """An archiver that stands still shows before memory runs out; where there is none, there is no lag to worry about."""

    async def look(client):
        site.append(1, Ticked(at=1))
        before = await client.get("/metrics")
        last = site.last(0)
        site._at(0).hset(key("archived", 0), "log", f"{last[0]}-{last[1]}")
        app.state.measures.business._due = 0.0
        return before.text, (await client.get("/metrics")).text

    before, after = together(app, look)

    assert "meterline_archive_lag_seconds{" not in before
    assert 'meterline_archive_lag_seconds{shard="00"} 0.0' in after
    assert re.search(r'meterline_archive_lag_seconds\{shard="01"\} (?!0\.0$)', after, re.MULTILINE)


def test_metrics_say_what_the_last_verification_found(app, site, store_url):
    """A difference is a gauge that is not 0, a check that could not be made is told, and before the first there is neither."""
    before = together(app, lambda client: client.get("/metrics")).text
    site.keep_verdict(Verdict(at=1_790_000_000_000, took_ms=5, differences={Check.CHAIN: 0, Check.STATE: 3}))
    fresh = create_app(ApiSettings(redis_url=store_url, token=TOKEN, clock=lambda: 0))
    text = together(fresh, lambda client: client.get("/metrics")).text

    assert 'meterline_differences{check="' not in before
    assert 'meterline_differences{check="chain"} 0.0' in text
    assert 'meterline_differences{check="state"} 3.0' in text
    assert 'meterline_unchecked{check="audit"} 1.0' in text
    assert 'meterline_unchecked{check="state"} 0.0' in text
    assert "meterline_verified_time_seconds 1.79e+09" in text


def test_problems_have_one_shape(ask, site):
    """What a client parses once, it can parse always."""
    answers = [
        ask("GET", "/accounts/A-999"),
        ask("GET", "/accounts/no such account"),
        ask("GET", "/accounts?limit=0"),
        ask("GET", "/nowhere"),
        ask("GET", "/accounts", token=""),
        ask("POST", "/accounts/A-101/recharges", content=json.dumps({})),
    ]

    for answer in answers:
        assert answer.headers["content-type"] == "application/problem+json"
        assert {"type", "title", "status", "detail"} <= set(answer.json())
        assert answer.json()["status"] == answer.status_code


def test_what_the_caller_has_already_is_not_sent_again(ask, site):
    """An app that asks every second gets a body only when something has changed."""
    first = ask("GET", "/accounts/A-101")
    again = ask("GET", "/accounts/A-101", headers={"If-None-Match": first.headers["etag"]})
    append_readings(site, (NOW + 1_800_000, 3_000))
    wait_until_settled(site)
    changed = ask("GET", "/accounts/A-101", headers={"If-None-Match": f'"other", W/{first.headers["etag"]}'})

    assert (first.status_code, again.status_code, again.content, changed.status_code) == (200, 304, b"", 200)
    assert again.headers["etag"] == first.headers["etag"] != changed.headers["etag"]
    assert again.headers["cache-control"] == "no-store"


def test_large_answers_are_compressed_for_who_takes_them(ask, site):
    """A page of hundreds of rooms is a tenth of its size on a mobile line; small answers are sent as they are."""
    for _ in range(40):
        ask("POST", "/accounts/A-101/recharges", json=money("1.00"))
    page, small = (ask("GET", path, headers={"Accept-Encoding": "gzip"}) for path in ("/alarms?limit=500", "/me"))

    assert (page.headers["content-encoding"], small.headers.get("content-encoding")) == ("gzip", None)
    assert len(page.json()["items"]) >= 40
