from pathlib import Path

from api_site import TOKEN, together

from api.app import create_app
from api.doors.problems import STATUS
from api.settings import ApiSettings

DOCS = Path(__file__).parents[2] / "docs"
API = (DOCS / "api.md").read_text(encoding="utf-8")


def rows(text: str, heading: str) -> list[list[str]]:
    """Cells of the table whose first column has this heading, without back-ticks."""
    table = text.split(f"\n| {heading} |", 1)[1].split("\n\n", 1)[0]
    return [[cell.strip(" `") for cell in line.strip("| ").split("|")] for line in table.splitlines()[2:]]


def test_every_route_is_in_the_document(store, store_url):
    """A route that is added is described, one that is described exists."""
    app = create_app(ApiSettings(redis_url=store_url, token=TOKEN, clock=lambda: 0, docs=True))

    paths = together(app, lambda client: client.get("/openapi.json")).json()["paths"]

    served = {f"{method.upper()} {path}" for path, methods in paths.items() for method in methods}
    assert {row[0] for row in rows(API, "route")} == served


def test_the_table_of_refusals_is_the_codes():
    """What we promise about refusals is what is answered, in the order of their precedence."""
    assert [(row[0], int(row[1])) for row in rows(API, "refusal")] == [
        (str(name), status.value) for name, status in STATUS.items()
    ]
