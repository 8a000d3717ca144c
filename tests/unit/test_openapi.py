"""The OpenAPI document: whole, true to OpenAPI 3.1, and with examples that are what they stand for."""

from collections.abc import Iterator
from typing import Any

import jsonschema_rs
import pytest
import schemathesis

from api.main import create_app
from common.settings import Settings
from common.turn.overrides import NEVER
from common.turn.policy import Policy

DOCUMENT = create_app(Settings()).openapi()
OPERATIONS = {
    f"{method.upper()} {path}": operation
    for path, methods in DOCUMENT["paths"].items()
    for method, operation in methods.items()
}
TAGS = {tag["name"] for tag in DOCUMENT["tags"]}


def validator(schema: dict[str, Any]) -> Any:
    return jsonschema_rs.Draft202012Validator({**schema, "components": DOCUMENT["components"]})


def bodies(operation: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """The request's and all answers' bodies, each with its media type."""
    for part in (operation.get("requestBody", {}), *operation["responses"].values()):
        yield from part.get("content", {}).items()


def examples(body: dict[str, Any]) -> list[Any]:
    named = [example["value"] for example in body.get("examples", {}).values()]
    return [*named, *([body["example"]] if "example" in body else [])]


def references(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        if isinstance(value.get("$ref"), str):
            yield value["$ref"]
        for each in value.values():
            yield from references(each)
    elif isinstance(value, list):
        for each in value:
            yield from references(each)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_it_is_openapi() -> None:
    assert DOCUMENT["openapi"].startswith("3.1")
    schemathesis.openapi.from_dict(DOCUMENT).validate()


def test_every_reference_leads_somewhere() -> None:
    known = {f"#/components/schemas/{name}" for name in DOCUMENT["components"]["schemas"]}
    used = set(references(DOCUMENT))
    assert used <= known
    assert not [name for name in known if name.rpartition("/")[2].startswith("_")]


def test_every_operation_has_a_name_of_its_own() -> None:
    names = [operation["operationId"] for operation in OPERATIONS.values()]
    assert len(names) == len(set(names))


def test_aliases_and_pages_stay_out() -> None:
    assert not {"/", "/chat/completions", "/v1/rag/chat/completions", "/docs", "/openapi.json"} & set(
        DOCUMENT["paths"]
    )


@pytest.mark.parametrize("name", OPERATIONS)
def test_an_operation_is_worth_reading(name: str) -> None:
    operation = OPERATIONS[name]
    assert set(operation["tags"]) <= TAGS and operation["summary"] and operation["description"]
    assert operation["summary"] != operation["operationId"].replace("_", " ").title()
    for parameter in operation.get("parameters", ()):
        assert parameter["description"], parameter["name"]
        assert {"type", "anyOf", "enum"} & parameter["schema"].keys(), parameter["name"]
    assert [status for status in operation["responses"] if status.startswith("2")]
    for kind, body in bodies(operation):
        assert body["schema"], kind
        assert examples(body) or body["schema"].get("format") == "binary", kind


def texts(value: Any, path: str = "") -> Iterator[tuple[str, str]]:
    """Each description, and where it stands; examples are data, and may have fields of this name."""
    if isinstance(value, dict):
        if isinstance(value.get("description"), str):
            yield path, value["description"]
        for name, each in value.items():
            if name not in ("example", "examples", "default"):
                yield from texts(each, f"{path}/{name}")
    elif isinstance(value, list):
        for number, each in enumerate(value):
            yield from texts(each, f"{path}/{number}")


def test_every_description_is_a_sentence() -> None:
    told = list(texts(DOCUMENT))
    assert len(told) > 300
    assert not [(path, text) for path, text in told if not (text[0].isupper() or text[0].isdigit())]
    assert not [(path, text) for path, text in told if not text.endswith(".")]
    headless = ("What ", "Whether ", "How ", "Who ", "When ", "As for ")
    assert not [(path, text) for path, text in told if text.startswith(headless)]


@pytest.mark.parametrize("name", OPERATIONS)
def test_a_summary_says_what_is_done(name: str) -> None:
    summary = OPERATIONS[name]["summary"]
    assert summary[0].isupper() and not summary.endswith(".") and not summary.startswith("The ")


@pytest.mark.parametrize("name", OPERATIONS)
def test_its_examples_are_what_they_stand_for(name: str) -> None:
    for kind, body in bodies(OPERATIONS[name]):
        for example in examples(body):
            validator(body["schema"]).validate(example)
            if kind == "text/event-stream":
                assert example.endswith("\n\n") and "data: " in example


@pytest.mark.parametrize("name", OPERATIONS)
def test_its_errors_have_their_shape(name: str) -> None:
    operation = OPERATIONS[name]
    assert "422" not in operation["responses"]
    refused = [int(status) for status in operation["responses"] if int(status) >= 400]
    for status in refused:
        content = operation["responses"][str(status)]["content"]["application/json"]
        if name != "GET /readyz":
            assert content["schema"] == {"$ref": "#/components/schemas/Error"}
    if "security" in operation:
        assert {401, 403, 503} <= set(refused)
        tokens = [each for each in operation["security"] if "token" in each]
        assert not tokens or name.startswith("GET")
    if "requestBody" in operation:
        assert {400, 413} <= set(refused)


POLICY = DOCUMENT["components"]["schemas"]["Options"]["properties"]["policy"]


def fields_of(schema: dict[str, Any], path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Each field of an object's shape by its path, those of its parts too."""
    for name, field in schema["properties"].items():
        yield f"{path}{name}", field
        for reference in (field["$ref"],) if "$ref" in field else ():
            part = DOCUMENT["components"]["schemas"][reference.rpartition("/")[2]]
            yield from fields_of(part, f"{path}{name}.")


def test_a_request_is_shown_what_it_may_set_of_a_policy_and_nothing_else() -> None:
    shown = dict(fields_of(POLICY))
    jaicps = {f"filler.{name}" for name in ("fillerPhrase", "fillerPhrasesList", "activationDelayMs")}
    every = {
        f"{name}.{part}" if isinstance(parts, dict) else name
        for name, parts in Policy().model_dump().items()
        for part in (parts if isinstance(parts, dict) else "-")
    }
    assert every >= NEVER
    assert {path for path, field in shown.items() if "$ref" not in field} == (every | jaicps) - NEVER
    assert not [path for path, field in shown.items() if "default" in field], "the profile's, not ours"


@pytest.mark.parametrize("shape", ["ChatRequest", "SpokenChatRequest", "LlmRequest"])
def test_rules_of_the_guard_are_no_requests_to_set(shape: str) -> None:
    check = validator({"$ref": f"#/components/schemas/{shape}"})
    body = {"messages": [{"role": "user", "content": "Hi"}], "fast_reply": {"policy": {"draft": {}}}}
    check.validate(body)
    body["fast_reply"] = {"policy": {"draft": {"guard_rules": ["acme"]}}}
    assert not check.is_valid(body)
    profiles = DOCUMENT["components"]["schemas"]["DraftPolicy"]["properties"]
    assert "guard_rules" in profiles, "a profile sets them"
