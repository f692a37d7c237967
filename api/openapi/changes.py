"""What has changed between two OpenAPI files, for people: docs/openapi-changes.md is made by it, and a test holds it to the files.

A change **breaks** callers when a call that was right is refused, or an answer lacks something that it had: an operation, status or field that is gone, a
new required field or parameter, a word or type that is no longer taken.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

Json = dict[str, Any]


@dataclass(frozen=True, slots=True, order=True)
class Change:
    """Something that differs: where, what, and whether callers break by it."""

    where: str
    what: str
    breaks: bool = False

    def __str__(self) -> str:
        """A line of Markdown."""
        return f"- {'**breaks:** ' if self.breaks else ''}`{self.where}`: {self.what}"


def changes(before: Json, after: Json) -> list[Change]:
    """All differences of operations and of the schemas that they use, in the order of their places."""
    found = [
        *_in_operations(_operations(before), _operations(after)),
        *_in_schemas(before["components"]["schemas"], after["components"]["schemas"]),
    ]
    return sorted(found)


def _operations(described: Json) -> dict[str, Json]:
    return {
        f"{method.upper()} {path}": operation
        for path, operations in described["paths"].items()
        for method, operation in operations.items()
    }


def _in_operations(before: dict[str, Json], after: dict[str, Json]) -> Iterator[Change]:
    yield from (Change(name, "is new") for name in after.keys() - before.keys())
    yield from (Change(name, "is gone", breaks=True) for name in before.keys() - after.keys())
    for name in before.keys() & after.keys():
        was, now = before[name], after[name]
        if now.get("deprecated") and not was.get("deprecated"):
            yield Change(name, "is deprecated")
        yield from _in_parameters(name, _parameters(was), _parameters(now))
        yield from (
            Change(name, f"may answer {status}") for status in now["responses"].keys() - was["responses"].keys()
        )
        for status in was["responses"].keys() - now["responses"].keys():
            yield Change(name, f"no longer answers {status}", breaks=status < "3")
        yield from _in_content(name, was, now)


def _parameters(operation: Json) -> dict[str, Json]:
    return {f"{each['in']} {each['name']}": each for each in operation.get("parameters", [])}


def _in_parameters(name: str, before: dict[str, Json], after: dict[str, Json]) -> Iterator[Change]:
    for each in after.keys() - before.keys():
        required = bool(after[each].get("required"))
        yield Change(name, f"has the {'required ' if required else ''}parameter {each}", breaks=required)
    yield from (Change(name, f"has no parameter {each} any more", breaks=True) for each in before.keys() - after.keys())
    for each in before.keys() & after.keys():
        if before[each]["schema"] != after[each]["schema"]:
            yield Change(name, f"takes the parameter {each} otherwise", breaks=True)


def _in_content(name: str, before: Json, after: Json) -> Iterator[Change]:
    """Which models a body and the answers have. What is in a model is told of it, once."""
    if _models(before.get("requestBody")) != _models(after.get("requestBody")):
        yield Change(name, f"takes {_models(after.get('requestBody')) or 'no body'}", breaks="requestBody" in after)
    for status in before["responses"].keys() & after["responses"].keys():
        was, now = (_models(each["responses"][status]) for each in (before, after))
        if was != now:
            yield Change(name, f"answers {status} with {now or 'no body'}", breaks=status < "3")


def _models(body: Json | None) -> str:
    content = (body or {}).get("content", {})
    return ", ".join(f"{_kind(each.get('schema', {}))} as {kind}" for kind, each in sorted(content.items()))


def _in_schemas(before: Json, after: Json) -> Iterator[Change]:
    yield from (Change(name, "is a new model") for name in after.keys() - before.keys())
    yield from (Change(name, "is a model no more") for name in before.keys() - after.keys())
    for name in before.keys() & after.keys():
        yield from _in_model(name, before[name], after[name])


def _in_model(name: str, before: Json, after: Json) -> Iterator[Change]:
    was, now = before.get("properties", {}), after.get("properties", {})
    required_before, required = set(before.get("required", ())), set(after.get("required", ()))
    for field in now.keys() - was.keys():
        yield Change(f"{name}.{field}", "is new")
    yield from (Change(f"{name}.{field}", "is gone", breaks=True) for field in was.keys() - now.keys())
    for field in was.keys() & now.keys():
        if _kind(was[field]) != _kind(now[field]):
            yield Change(f"{name}.{field}", f"is {_kind(now[field])}, was {_kind(was[field])}", breaks=True)
        yield from _in_words(f"{name}.{field}", was[field], now[field])
    if (
        "properties" in after and "additionalProperties" in after
    ):  # A model that callers write: unknown fields are refused.
        for field in required - required_before:
            yield Change(f"{name}.{field}", "is required", breaks=True)


def _in_words(where: str, before: Json, after: Json) -> Iterator[Change]:
    was, now = set(before.get("enum", ())), set(after.get("enum", ()))
    yield from (Change(where, f"may be `{word}`") for word in now - was if was)
    yield from (Change(where, f"is never `{word}`", breaks=True) for word in was - now if now)


def _kind(schema: Json) -> str:
    """A schema's type in a few words."""
    if "$ref" in schema:
        return str(schema["$ref"]).rsplit("/", 1)[-1]
    if "anyOf" in schema:
        return " or ".join(_kind(each) for each in schema["anyOf"])
    if schema.get("type") == "array":
        return f"list of {_kind(schema.get('items', {}))}"
    return str(schema.get("type", "anything"))
