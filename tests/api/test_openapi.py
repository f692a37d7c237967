"""The OpenAPI file is true, valid, and its changes are told."""

import copy
import json
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator
from openapi_spec_validator import validate

from api.openapi.changes import changes
from commands.openapi import description, file_text
from commands.openapi_changes import changes_file

DOCS = Path(__file__).parents[2] / "docs"


@pytest.fixture(scope="module")
def described():
    """The description of the app as it is."""
    return description()


def test_the_committed_file_is_what_the_app_says(described):
    """Whoever builds a client from the file meets the API of the file. After a change: `make openapi`."""
    assert (DOCS / "openapi.json").read_text(encoding="utf-8") == file_text(described)


def test_the_changes_are_told(described):
    """Every difference from the description that was kept is in the document. After a change: `make openapi`."""
    assert (DOCS / "openapi-changes.md").read_text(encoding="utf-8") == changes_file(described, DOCS / "openapi")


def test_it_is_openapi(described):
    """Tools of others take it, and every operation has a name of its own."""
    validate(described)

    names = [each["operationId"] for operations in described["paths"].values() for each in operations.values()]
    assert described["openapi"].startswith("3.1.")
    assert len(set(names)) == len(names)


def test_every_body_has_an_example_that_is_right(described):
    """What a reader copies is taken."""
    schemas = described["components"]["schemas"]
    wrong = []
    for path, operations in described["paths"].items():
        for method, operation in operations.items():
            for kind, content in operation.get("requestBody", {}).get("content", {}).items():
                if kind != "application/json":
                    continue
                name = content["schema"]["$ref"].rsplit("/", 1)[-1]
                validator = Draft202012Validator({**schemas[name], "components": {"schemas": schemas}})
                examples = schemas[name].get("examples", [])
                if not examples or not all(validator.is_valid(each) for each in examples):
                    wrong.append(f"{method} {path}: {name}")
    assert wrong == []


def test_every_route_but_the_open_ones_asks_for_a_token(described):
    """A client knows where it must show one."""
    free = {path for path, each in described["paths"].items() for one in each.values() if one["security"] == []}
    assert free == {"/health/live", "/health/ready", "/metrics", "/sessions"}


def _without(described, *path):
    place = described
    for name in path[:-1]:
        place = place[name]
    del place[path[-1]]


CHANGED = [
    (lambda d: _without(d, "paths", "/me"), ["breaks: GET /me: is gone"]),
    (lambda d: d["paths"]["/me"]["get"].update(deprecated=True), ["GET /me: is deprecated"]),
    (lambda d: _without(d, "paths", "/me", "get", "responses", "200"), ["breaks: GET /me: no longer answers 200"]),
    (lambda d: _without(d, "paths", "/me", "get", "responses", "429"), ["GET /me: no longer answers 429"]),
    (
        lambda d: d["paths"]["/me"]["get"].update(parameters=[{"in": "query", "name": "day", "schema": {}}]),
        ["GET /me: has the parameter query day"],
    ),
    (
        lambda d: d["paths"]["/me"]["get"].update(
            parameters=[{"in": "query", "name": "day", "schema": {}, "required": True}]
        ),
        ["breaks: GET /me: has the required parameter query day"],
    ),
    (
        lambda d: d["components"]["schemas"]["MoneyOrder"]["required"].append("note"),
        ["breaks: MoneyOrder.note: is required"],
    ),
    (
        lambda d: _without(d, "components", "schemas", "PlaceRead", "properties", "floor"),
        ["breaks: PlaceRead.floor: is gone"],
    ),
    (
        lambda d: d["components"]["schemas"]["PlaceRead"]["properties"].update(flat={"type": "string"}),
        ["PlaceRead.flat: is new"],
    ),
    (
        lambda d: d["components"]["schemas"]["PlaceRead"]["properties"].update(floor={"type": "integer"}),
        ["breaks: PlaceRead.floor: is integer, was string"],
    ),
    (
        lambda d: d["components"]["schemas"]["ControlOrder"]["properties"]["wanted"]["enum"].remove("off"),
        ["breaks: ControlOrder.wanted: is never `off`"],
    ),
]


@pytest.mark.parametrize(("change", "told"), CHANGED, ids=[told[0] for _, told in CHANGED])
def test_what_breaks_callers_is_told_apart(described, change, told):
    """A caller reads first what it must mend."""
    after = copy.deepcopy(described)
    change(after)

    found = [f"{'breaks: ' if each.breaks else ''}{each.where}: {each.what}" for each in changes(described, after)]

    assert found == told


def test_nothing_has_changed_between_a_file_and_itself(described):
    """No difference is made up."""
    assert changes(described, json.loads(json.dumps(described))) == []


def test_models_are_named_for_what_they_are(described):
    """No name says where in our tree a model is: it would change whenever that does, and generated code with it."""
    names = list(described["components"]["schemas"])

    assert len(names) > 100
    assert [name for name in names if "_" in name] == []
