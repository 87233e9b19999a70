"""The emulator's control API, held to its own description by programs that know neither.

The description has to be OpenAPI, and every answer, refusal and event has to be what it says, without a member more.
"""

import json
import os
import urllib.error
import urllib.request

from jsonschema import Draft202012Validator
from openapi_spec_validator import validate

EMULATOR = os.environ["IDENTITY_ENDPOINT"].removesuffix("/msi/token")
TOKEN = os.environ["EMULATOR_TOKEN"]
JSON = "application/json"


def ask(method, path, body=None, token=TOKEN):
    """Status, media type and text of an answer."""
    data = None if body is None else json.dumps(body).encode()
    headers = {"Content-Type": JSON, "Authorization": f"Bearer {token}"}
    request = urllib.request.Request(EMULATOR + path, data=data, method=method, headers=headers)
    try:
        answer = urllib.request.urlopen(request)
    except urllib.error.HTTPError as refusal:
        answer = refusal
    with answer:
        return answer.status, answer.headers.get_content_type(), answer.read().decode()


def check(document, schema, value):
    """Whether a value is what a schema of the document says."""
    Draft202012Validator({**schema, "components": document["components"]}).validate(value)


def closed(document):
    """The document with no member allowed that it does not name."""
    for schema in document["components"]["schemas"].values():
        if "properties" in schema:
            schema.setdefault("additionalProperties", False)
    return document


def call(document, method, path, body=None, described_at=None, succeeds=True):
    """Makes a call that the document describes, and holds what is sent and what comes to it."""
    operation = document["paths"][described_at or path.split("?")[0]][method.lower()]
    if body is not None and succeeds:
        check(document, operation["requestBody"]["content"][JSON]["schema"], body)
    status, media_type, text = ask(method, path, body)
    assert (status == 200) == succeeds, f"{method} {path}: {status} {text}"
    answer = operation["responses"]["200" if succeeds else "default"]["content"][JSON]["schema"]
    assert media_type == JSON, media_type
    check(document, answer, json.loads(text))
    return json.loads(text)


status, media_type, text = ask("GET", "/_emulator/openapi.json", token="of another run")
validate(json.loads(text))
document = closed(json.loads(text))
assert document["components"]["securitySchemes"]["token"]["scheme"] == "bearer"
for path, operations in document["paths"].items():
    for method, operation in operations.items():
        status, _, text = ask(method.upper(), path, token="of another run")
        assert (status == 200) if operation.get("security") == [] else (status == 401), f"{method} {path}: {status}"

rule = call(document, "POST", "/_emulator/faults", {
    "operation": "identity.getToken",
    "calls": {"sometimes": {"perMille": 500, "seed": 7}},
    "effect": {"delay": "1ms"},
})
for effect in ["silence", {"answer": 503}, {"throttle": {"retryAfter": 3}}, {"throttle": {}}, "wrongShape"]:
    call(document, "POST", "/_emulator/faults", {"operation": "dps.verify", "calls": {"first": 1}, "effect": effect})
call(document, "POST", "/_emulator/faults", {"operation": "dps.verfy", "effect": "silence"}, succeeds=False)
call(document, "DELETE", f"/_emulator/faults/{rule['id']}", described_at="/_emulator/faults/{id}")
call(document, "DELETE", "/_emulator/faults/99", described_at="/_emulator/faults/{id}", succeeds=False)
call(document, "PATCH", "/_emulator/clock", {"now": "2021-10-15T18:46:06Z", "frozen": True})
call(document, "PATCH", "/_emulator/clock", {"advance": "36h"})
call(document, "PATCH", "/_emulator/clock", {}, succeeds=False)
call(document, "PUT", "/_emulator/next-code", {"code": "A1B2C3D4E5F6G7H8"})
call(document, "PUT", "/_emulator/next-code", {"code": None})
call(document, "PUT", "/_emulator/vaults/another-vault", {}, described_at="/_emulator/vaults/{name}")
ask("GET", "/msi/token")
ask("GET", "/nobody/answers/this?secret=1")
for path, operations in document["paths"].items():
    answers = operations.get("get", {}).get("responses", {}).get("200", {}).get("content", {})
    if JSON in answers and "{" not in path:
        call(document, "GET", path)

status, media_type, text = ask("GET", "/_emulator/journal/stream?since=0&limit=2")
stream = document["paths"]["/_emulator/journal/stream"]["get"]["responses"]["200"]["content"][media_type]["schema"]
events = [line.removeprefix("data: ") for line in text.splitlines() if line.startswith("data: ")]
assert len(events) == 2, text
for event in events:
    check(document, stream["contentSchema"], json.loads(event))

snapshot = call(document, "GET", "/_emulator/snapshot")
call(document, "PUT", "/_emulator/snapshot", snapshot)
call(document, "PUT", "/_emulator/snapshot", {**snapshot, "format": 0}, succeeds=False)
call(document, "DELETE", "/_emulator/faults")
call(document, "POST", "/_emulator/reset", {"seed": 8})
print("everything is as described")
