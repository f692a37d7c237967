"""The doors of figures: whatever is asked, the answer is figures or what is wrong with the question."""

import asyncio

import pytest
from api_site import client_of
from figures_site import LIGHT, ROOM

ODD = [
    "",
    "\0",
    "9" * 5_000,
    "-1",
    "NaN",
    "😀",
    "١",
    "9999-12-31",
    "0001-01-01",
    "9899-12-31",
    "2026-02-30T25:00:00Z",
    "2026-01-01T00:00:00+99:99",
    "a-b",
    "=1",
]


def routes(app):
    """Methods and paths of figures, with the names of what may be asked."""
    return [
        (method, path, [each["name"] for each in asked["parameters"] if each["in"] == "query"])
        for path, methods in app.openapi()["paths"].items()
        if any(part in path for part in ("/usage", "/finance/", "/reports/"))
        for method, asked in methods.items()
    ]


@pytest.mark.parametrize("household", ["part"], indirect=True)
def test_no_question_makes_the_api_fail(household):
    """Nothing that a query can carry is answered 500, one odd word at a time."""

    async def knock():
        answers = {}
        async with client_of(household.app) as client:
            for method, path, names in routes(household.app):
                for name in names:
                    for odd in ODD:
                        asked = {"month": "2026-01", "account": ROOM} | {name: odd}
                        where = path.format(account=ROOM, meter=LIGHT)
                        body = {"json": {"orders": []}} if method == "POST" else {}
                        answer = await client.request(method, where, params=asked, **body)
                        answers[method, path, name, odd[:20]] = answer.status_code
        return answers

    answers = asyncio.run(knock())

    assert len(answers) > 500
    assert {where: status for where, status in answers.items() if status not in {200, 404, 422}} == {}


@pytest.mark.parametrize("path", ["/finance/orders", "/finance/income", "/reports/energy", f"/meters/{LIGHT}/usage"])
def test_figures_without_their_archive_are_not_given(household, path, tmp_path):
    """A store whose rows are in an archive that is not named answers 503 and says what to do; one that has all of them answers."""
    if household.place is None:
        return
    lost = type(household)(household.store, household.url, tmp_path / "elsewhere")

    answer = lost.answer(path)

    assert answer.status_code == 503
    assert "serve --archive" in answer.json()["detail"]
