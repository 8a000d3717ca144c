"""Examples of the administration for the OpenAPI document."""

from typing import Any

ENTRY = "1790000000000-0"

_MODEL = {"base_url": "https://models.example/v1", "model": "large", "secret": "MODELS"}
PROFILE: dict[str, Any] = {
    "full": _MODEL,
    "draft": {**_MODEL, "model": "small", "prompt": "One short sentence.", "max_tokens": 60},
    "policy": {"filler": {"phrases": {"en": ["One moment."]}, "delay_ms": 1500}},
    "record": "redacted",
    "cors_origins": ["https://shop.example"],
}
PROFILE_VIEW: dict[str, Any] = {"id": "support", "object": "profile", **PROFILE}
PROFILES: dict[str, Any] = {"object": "list", "data": [PROFILE_VIEW]}
LIMITS: dict[str, Any] = {"turns_per_minute": 600, "live_turns": 50, "tokens_per_day": 5_000_000}
TENANT_BODY: dict[str, Any] = {"name": "Acme Call Center", "limits": LIMITS}
NEW_TENANT: dict[str, Any] = {"id": "acme", **TENANT_BODY}
TENANT: dict[str, Any] = {
    **NEW_TENANT,
    "object": "tenant",
    "disabled": False,
    "default_profile": "support",
    "profiles": {"support": PROFILE},
    "request_secrets": {},
    "secret_origins": {},
}
_TENANT_HEAD = {
    "id": "acme",
    "object": "tenant",
    "name": "Acme Call Center",
    "disabled": False,
    "profiles": ["support"],
}
TENANTS: dict[str, Any] = {"object": "list", "data": [_TENANT_HEAD]}
DELETED_TENANT: dict[str, Any] = {"id": "acme", "object": "tenant.deleted", "deleted": True}
DELETED_PROFILE: dict[str, Any] = {"id": "support", "object": "profile.deleted", "deleted": True}

KEY_WISH: dict[str, Any] = {"name": "dialler", "scopes": ["chat", "read"], "expires_in_s": 7_776_000}
KEY: dict[str, Any] = {
    "id": "Jq3VtZ8bXk1d",
    "object": "api_key",
    "tenant": "acme",
    "scopes": ["chat", "read"],
    "name": "dialler",
    "created_at": "2026-11-21T09:00:00Z",
    "expires_at": None,
    "revoked_at": None,
}
NEW_KEY: dict[str, Any] = {**KEY, "key": "frk_Jq3VtZ8bXk1d_…"}
KEYS: dict[str, Any] = {"object": "list", "data": [KEY]}

SECRET_WISH: dict[str, Any] = {
    "value": "the key of the models' server",
    "origins": ["https://api.models.example"],
}
SECRET: dict[str, Any] = {
    "id": "MODELS",
    "object": "secret",
    "set_at": "2026-11-21T09:00:00Z",
    "used_by": ["profiles.support.full"],
    "origins": ["https://api.models.example"],
}
SECRETS: dict[str, Any] = {"object": "list", "data": [SECRET]}
DELETED_SECRET: dict[str, Any] = {"id": "MODELS", "object": "secret.deleted", "deleted": True}
RESEALED: dict[str, Any] = {"object": "secrets.rotated", "resealed": 12}

_ACT = {
    "id": ENTRY,
    "object": "act",
    "at": "2026-11-21T09:00:00.000Z",
    "who": "operator",
    "address": "10.0.0.7",
    "what": "key.created",
    "tenant": "acme",
    "target": "Jq3VtZ8bXk1d",
    "fields": ["chat", "read"],
    "count": 1,
}
ACTS: dict[str, Any] = {"object": "list", "data": [_ACT], "has_more": False, "last_id": ENTRY}
PARKED: dict[str, Any] = {
    "object": "list",
    "data": [
        {"at": "2026-05-04T09:30:00.000Z", "tenant": "acme", "turn": "5f0c1b7a9d3e", "reason": "folding"},
    ],
}
