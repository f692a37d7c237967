"""The AsyncAPI file is what the code says, valid, and what docs/alarms.md says too."""

import copy
import gzip
import json
import re
from pathlib import Path

import pytest
from jsonschema import Draft7Validator
from typer.testing import CliRunner

from api.rooms.models import AlarmRead
from commands.asyncapi import described
from domain.alarm_message import LEVELS, AlarmMessage
from domain.words import LEVEL_ALARM, SEVERITY, AlarmKind
from meterline import app_of

HERE = Path(__file__).parent
DOCS = HERE.parents[1] / "docs"
ALARMS = (DOCS / "alarms.md").read_text(encoding="utf-8")
TYPES = {"string": "text", "integer": "number", "boolean": "true or false"}


def official():
    """The AsyncAPI Initiative's own schema of documents (README.md)."""
    return Draft7Validator(json.loads(gzip.decompress((HERE / "asyncapi-3.0.0.json.gz").read_bytes())))


def mistakes(document):
    """Whether a document is not AsyncAPI 3, or names what it does not have."""
    found = [error.message for error in official().iter_errors(document)]
    found += [each for each in references(document) if not leads_somewhere(document, each)]
    for name, channel in document["channels"].items():
        if set(re.findall(r"\{(\w+)\}", channel.get("address", ""))) != set(channel.get("parameters", {})):
            found.append(f"parameters of {name}")
    return found


def references(part):
    """Every reference in a document."""
    if isinstance(part, dict):
        yield from [part["$ref"]] if "$ref" in part else []
        for each in part.values():
            yield from references(each)
    elif isinstance(part, list):
        for each in part:
            yield from references(each)


def leads_somewhere(document, reference):
    """Whether a reference leads to something in the document."""
    part = document
    for name in reference.removeprefix("#/").split("/"):
        part = part.get(name) if isinstance(part, dict) else None
    return part is not None


def rows(heading):
    """Cells of the table of docs/alarms.md whose first column has this heading, without back-ticks around them."""
    table = ALARMS.split(f"\n| {heading} |", 1)[1].split("\n\n", 1)[0]
    lines = [
        [cell.strip() for cell in line.removeprefix("|").removesuffix("|").split("|")]
        for line in table.splitlines()[2:]
    ]
    return [[name.strip("`"), *cells] for name, *cells in lines]


def test_the_committed_file_is_what_the_code_says():
    """Whoever builds a consumer from the file meets the messages of the file, and the command prints it. After a change: `make asyncapi`."""
    printed = CliRunner().invoke(app_of(["asyncapi", "openapi"]), ["asyncapi"])

    assert printed.exit_code == 0
    assert (DOCS / "asyncapi.json").read_text(encoding="utf-8") == printed.stdout


def test_it_is_asyncapi():
    """Tools of others take it: it is valid by the official schema, and every reference and parameter is there."""
    assert mistakes(described()) == []


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (["operations", "keepAlarms", "action"], "publish"),
        (["operations", "keepAlarms", "channel", "$ref"], "#/channels/none"),
        (["components", "messages", "alarm", "payload", "$ref"], "#/components/schemas/None"),
        (["components", "schemas", "AlarmMessage", "type"], "objet"),
        (["channels", "alarmsOfSite", "parameters"], {}),
        (["channels", "alarms", "adress"], "alarms"),
        (["asyncapi"], "3.9.9"),
    ],
)
def test_a_mistake_in_it_is_found(path, value):
    """The check above can fail."""
    document = copy.deepcopy(described())
    part = document
    for name in path[:-1]:
        part = part[name]
    part[path[-1]] = value

    assert mistakes(document)


def test_the_table_of_fields_is_the_messages():
    """The document for people has the fields of the description, in its order, with its words."""
    fields = described()["components"]["schemas"]["AlarmMessage"]
    said = [[name, each["description"]] for name, each in fields["properties"].items()]

    assert [[name, meaning] for name, _, meaning in rows("field")] == said
    assert [name for name, _ in said] == list(AlarmMessage.__struct_fields__) == fields["required"]
    for name, kind, _ in rows("field"):
        if "type" in fields["properties"][name]:
            assert kind == TYPES[fields["properties"][name]["type"]], name


def test_the_api_has_the_fields_of_the_message():
    """A program that reads the API and the channel learns one message."""
    assert set(AlarmRead.model_fields) == {*AlarmMessage.__struct_fields__, "acknowledgement"}


def test_the_table_of_kinds_is_the_machines():
    """Every kind is described, with how much it matters, and no other."""
    assert [(name, severity) for name, severity, *_ in rows("kind")] == [
        (str(kind), str(SEVERITY[kind])) for kind in AlarmKind
    ]


def test_a_level_has_one_name():
    """The level of a balance alarm is called what accounts call it."""
    assert {kind: level.name.lower() for level, kind in LEVEL_ALARM.items()} == LEVELS
