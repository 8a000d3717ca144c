"""Parameters of several doors, as the OpenAPI document tells them. Each is checked by whoever reads it."""

from typing import Annotated

from fastapi import Path

from api.openapi.document import header, query
from api.openapi.examples import ENTRY, SESSION, TURN
from common.knowledge.documents import MAX_ID_CHARS
from common.names import MAX_SESSION_CHARS, NAME, TENANT_ID, TURN_ID

_A_SESSION = {"type": "string", "minLength": 1, "maxLength": MAX_SESSION_CHARS}

SessionPath = Annotated[
    str,
    Path(
        description="The session's name, percent-encoded, with a slash as `%2F`.",
        examples=[SESSION],
        json_schema_extra={"minLength": 1},
    ),
]
TurnPath = Annotated[
    str,
    Path(
        description="The turn's id, as the `X-Turn-ID` header gave it.",
        examples=[TURN],
        json_schema_extra={"pattern": TURN_ID},
    ),
]
CollectionPath = Annotated[
    str,
    Path(
        description="The collection's name: 1 to 64 letters, digits and, but not first, `.`, `_`, `-`.",
        examples=["shop"],
        json_schema_extra={"pattern": NAME},
    ),
]
DocumentPath = Annotated[
    str,
    Path(
        description="The document's id. It may contain slashes.",
        examples=["hours"],
        json_schema_extra={"minLength": 1, "maxLength": MAX_ID_CHARS},
    ),
]

TenantPath = Annotated[
    str,
    Path(
        description="The tenant's id.",
        examples=["acme"],
        json_schema_extra={"pattern": TENANT_ID},
    ),
]
ProfilePath = Annotated[
    str, Path(description="The profile's name.", examples=["support"], json_schema_extra={"pattern": NAME})
]
SecretPath = Annotated[
    str, Path(description="The secret's name.", examples=["MODELS"], json_schema_extra={"pattern": NAME})
]
KeyPath = Annotated[
    str,
    Path(
        description="The key's id, which is the second part of the key.",
        examples=["Jq3VtZ8bXk1d"],
        json_schema_extra={"pattern": "^[A-Za-z0-9]{12}$"},
    ),
]

_CALLER = ("X-User-ID", "X-Room-ID", "X-Room-ID-Type", "X-Sdk-App-ID")
ASKING = (
    header("X-Session-ID", "The session's name: 1 to 128 printable characters.", SESSION, **_A_SESSION),
    header("X-Task-ID", "Another name for `X-Session-ID`, as CloudBase sends it.", None, **_A_SESSION),
    header(
        "Idempotency-Key",
        "1 to 256 printable characters. A request with the same key joins the turn that the first started.",
        "8f14e45f-ceea-467f-9575-2f2ec1a0f6a3",
        type="string",
        minLength=1,
        maxLength=256,
    ),
    header(
        "X-Request-ID",
        "Recognises a retry within a session that the client names, where there is no `Idempotency-Key`.",
        "tencent-1",
    ),
    *(header(name, "Says who asks, as Tencent sends it. It is recorded with the turn.") for name in _CALLER),
)
"""What every door reads that starts turns."""

LANES = header("X-Fast-Reply-Lanes", "Set to `1` to have each chunk say which lane speaks, and when.", "1")
LAST_PLACE = header(
    "Last-Event-ID",
    "The last event received; the stream resumes after it. A browser's `EventSource` sends this by itself.",
    pattern=TURN_ID.replace("$", r"-\d{1,9}-\d{1,9}$"),
    type="string",
)
ENTRY_ID = r"^\d{1,19}-\d{1,19}$"
AFTER_ENTRY = query("after", "Returns only entries after this one.", ENTRY, type="string", pattern=ENTRY_ID)
LAST_ENTRY = header(
    "Last-Event-ID",
    "The last entry received; only later ones are sent. A browser's `EventSource` sends this by itself.",
    type="string",
    pattern=ENTRY_ID,
)
