"""What schemathesis can't know of our doors, and why. It loads this by `SCHEMATHESIS_HOOKS`."""

import itertools
import json
import re
from typing import Any

import schemathesis
from schemathesis.core.failures import AcceptedNegativeData, Failure
from schemathesis.openapi.checks import RejectedPositiveData

BEYOND_A_SCHEMA = re.compile(
    "cursor"  # the server's own, opaque to clients
    "|session|session_id|taskId|turn_id|Idempotency-Key|X-Request-Id"  # printable, as Unicode has it
    r"|(documents\.\d+\.|line \d+: )?id"  # a document's: printable, and the path's where both name one
    "|provider|url|headers|model|tokenSecret"  # go together, and lead to a secret that is there
    "|after|Last-Event-ID"  # a place in this very turn
    "|from|to"  # one not later than the other, and not by more than 400 days
    "|heard_chars"  # no more than were said
    r"|(profiles\..*\.)?policy\.draft\.guard_rules.*"  # regular expressions, and safe ones
    "|expires_at|expires_in_s"  # to come, and only one
    r"|(.*\.)?(token_)?overrides\.policy.*|profile|unbound|origins"  # a policy's fields; what the tenant has
    r"|default_profile|(request_secrets|secret_origins)\..*|.*\.secret|.*\.(base_)?url"  # there, and allowed
)
"""Parameters that are refused for what they mean: by these names valid data may be refused."""


_numbers = itertools.count()


@schemathesis.hook
def before_call(context: Any, case: Any, kwargs: Any) -> None:
    """Each request asks for a turn of its own, not for that of the document's example."""
    if case.meta and case.meta.generation.mode.is_negative:
        return  # changed, it would no longer count as wrong
    for name in ("Idempotency-Key", "X-Request-ID"):
        if len((case.headers or {}).get(name, "")) > 5:
            case.headers[name] = f"{case.headers[name][:200]}{next(_numbers)}"


@schemathesis.serializer("application/jsonl")
def as_lines(ctx: Any, value: Any) -> bytes:
    return value if isinstance(value, bytes) else str(value).encode()


@schemathesis.hook
def filter_failure(context: Any, failure: Failure, case: Any, response: Any) -> bool:
    """Whether it is one."""
    if isinstance(failure, RejectedPositiveData):
        return not (case.media_type == "application/jsonl" or is_beyond_a_schema(response))
    if isinstance(failure, AcceptedNegativeData):
        return not (response.status_code == 413 or is_any_text(case) or has_empty_parameter(case))
    return True


def is_beyond_a_schema(response: Any) -> bool:
    error = json.loads(response.content)["error"]
    # A whole number with a fraction, `1.0`, is an integer to JSON Schema alone.
    # Tools' results that answer no call are left out, and the models are asked nothing without a message.
    known = ("valid integer", "messages: there are none, and no session ")
    return any(words in error["message"] for words in known) or bool(
        BEYOND_A_SCHEMA.fullmatch(error["param"] or "")
    )


def is_any_text(case: Any) -> bool:
    """Whatever is sent as text is one."""
    return case.media_type in ("text/markdown", "application/jsonl")


def has_empty_parameter(case: Any) -> bool:
    """An empty parameter counts as none, as forms and shells send it."""
    return "" in [*(case.query or {}).values(), *(case.headers or {}).values()]
