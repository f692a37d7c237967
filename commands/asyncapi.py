"""`meterline asyncapi`: what foreign programs hear from Meterline, as an AsyncAPI 3 document."""

import json
from typing import Any

import msgspec
import typer

from api.app import API_VERSION
from connectors.redis.commit import MESSAGES_KEPT
from connectors.redis.keys import ALARM_CHANNEL, ALARM_MESSAGES, alarm_channel
from domain.alarm_message import AlarmMessage

_ABOUT = "Alarms of Meterline as JSON: published at once to whoever listens, and kept in streams to catch up from. docs/alarms.md says what is guaranteed."
_ALL = "Every alarm, as it is committed. At most once: whoever is not connected misses it."
_OF_A_SITE = (
    "The alarms of one site, the same messages as on `alarms`; those of which no site is known are on `alarms` alone."
)
_KEPT = (
    f"A stream for each shard, read with XREAD or XRANGE: exactly once, in the order of the log. Its last {MESSAGES_KEPT} entries or more. "
    f"The payload is the field `messages` of an entry: the alarms of one log entry, whose id is the entry's id."
)
_SHARD = "Two digits or more in braces, which are part of the key: `{00}` and on. How many there are is in the hash `meterline`, field `shards`."


def asyncapi() -> None:
    """Print the AsyncAPI 3 description of alarm messages, as docs/asyncapi.json has it: channels, streams and fields, for tools and code generators.

    docs/alarms.md says the same to people, with what is guaranteed and a consumer of twenty lines.
    """
    typer.echo(json.dumps(described(), indent=1, ensure_ascii=False))


def described() -> dict[str, Any]:
    """The AsyncAPI file of this version."""
    _, schemas = msgspec.json.schema_components([AlarmMessage], ref_template="#/components/schemas/{name}")
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Meterline alarms",
            "version": API_VERSION,
            "description": _ABOUT,
            "license": {"name": "Apache-2.0", "url": "https://www.apache.org/licenses/LICENSE-2.0"},
        },
        "defaultContentType": "application/json",
        "servers": {"store": _server()},
        "channels": {
            "alarms": _channel(ALARM_CHANNEL, _ALL, "alarm"),
            "alarmsOfSite": _channel(alarm_channel("{site}"), _OF_A_SITE, "alarm", site="The `site` of the message."),
            "alarmMessages": _channel(f"{ALARM_MESSAGES}:{{shard}}", _KEPT, "alarms", shard=_SHARD),
        },
        "operations": {
            "publishAlarm": _sent("alarms", "alarm", "Publish an alarm to all."),
            "publishAlarmOfSite": _sent("alarmsOfSite", "alarm", "Publish an alarm to who listens to its site."),
            "keepAlarms": _sent("alarmMessages", "alarms", "Keep the alarms of a log entry."),
        },
        "components": {
            "messages": {
                "alarm": _message("Alarm", _reference("schemas", "AlarmMessage")),
                "alarms": _message(
                    "Alarms", {"type": "array", "minItems": 1, "items": _reference("schemas", "AlarmMessage")}
                ),
            },
            "schemas": {name: _without_siblings(schema) for name, schema in schemas.items()},
            "securitySchemes": {
                "password": {"type": "userPassword", "description": "The user `reader` (docs/security.md)."}
            },
        },
    }


def _server() -> dict[str, Any]:
    return {
        "host": "{address}",
        "protocol": "redis",
        "description": "The Redis or Valkey server of the store. The one that `meterline up` starts listens on a unix socket.",
        "variables": {"address": {"default": "localhost:6379", "description": "Where the server listens."}},
        "security": [_reference("securitySchemes", "password")],
    }


def _channel(address: str, description: str, message: str, **parameters: str) -> dict[str, Any]:
    channel = {"address": address, "description": description, "messages": {message: _reference("messages", message)}}
    described = {name: {"description": meaning} for name, meaning in parameters.items()}
    return channel | ({"parameters": described} if described else {})


def _sent(channel: str, message: str, summary: str) -> dict[str, Any]:
    place = f"#/channels/{channel}"
    return {
        "action": "send",
        "channel": {"$ref": place},
        "summary": summary,
        "messages": [{"$ref": f"{place}/messages/{message}"}],
    }


def _message(name: str, payload: dict[str, Any]) -> dict[str, Any]:
    return {"name": name, "title": name, "contentType": "application/json", "payload": payload}


def _reference(kind: str, name: str) -> dict[str, Any]:
    return {"$ref": f"#/components/{kind}/{name}"}


def _without_siblings(schema: dict[str, Any]) -> dict[str, Any]:
    """A schema whose references stand alone: what stands beside one is not read."""
    properties = {
        name: {**each, "allOf": [{"$ref": each.pop("$ref")}]} if "$ref" in each else each
        for name, each in schema.get("properties", {}).items()
    }
    return schema | ({"properties": properties} if properties else {})
