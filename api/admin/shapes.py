"""The bodies and answers of the administration's doors. The OpenAPI document shows these models.

Tenants, profiles and keys are shown as their configuration has them; `forms` leaves out what is secret.
"""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field
from pydantic.config import JsonDict

from common.names import TENANT_ID
from common.tenants.config import KeyConfig, ProfileConfig, TenantConfig

_TenantId = Annotated[str, Field(pattern=TENANT_ID)]


def _without(*names: str) -> Any:
    def change(schema: JsonDict) -> None:
        properties = schema["properties"]
        assert isinstance(properties, dict)
        schema["properties"] = {name: each for name, each in properties.items() if name not in names}
        for each in properties.values():
            if isinstance(each, dict) and "patternProperties" in each:
                each["additionalProperties"] = False  # other names are refused
        required = schema.get("required", [])
        assert isinstance(required, list)
        schema["required"] = [name for name in required if name not in names]

    return ConfigDict(json_schema_extra=change)


class TenantBody(TenantConfig):
    """A tenant with its profiles and limits, without its keys and secrets."""

    model_config = _without("secrets")


class NewTenant(TenantBody):
    """A tenant to be created."""

    id: _TenantId


class TenantView(TenantBody):
    """A tenant as it is shown, without its keys and secrets."""

    id: _TenantId
    object: Literal["tenant"]


class ProfileView(ProfileConfig):
    """One of a tenant's profiles."""

    id: str
    object: Literal["profile"]


class KeyView(KeyConfig):
    """The facts that are known of a key, but never the key itself."""

    model_config = _without("digest")

    id: str
    object: Literal["api_key"]


class NewKeyView(KeyView):
    """A key that was just created. `key` is never shown again."""

    key: str


class _Shape(BaseModel):
    model_config = ConfigDict(extra="allow")


class TenantHead(_Shape):
    """A tenant, as lists show it."""

    id: str
    object: Literal["tenant"]
    name: str
    disabled: bool
    profiles: list[str]


class SecretView(_Shape):
    """A secret's name, when it was set, what refers to it, and where profiles may send it."""

    id: str
    object: Literal["secret"]
    set_at: str | None
    used_by: list[str]
    origins: list[str]


class Resealed(_Shape):
    """The number of secrets that were re-encrypted."""

    object: Literal["secrets.rotated"]
    resealed: int


class ActView(_Shape):
    """A change or an access: who did it, from where, to what, to which fields, and how many times."""

    id: str
    object: Literal["act"]
    at: str
    who: str
    address: str
    what: str
    tenant: str
    target: str
    fields: list[str]
    count: int


class _List(_Shape):
    object: Literal["list"]


class TenantList(_List):
    """All tenants."""

    data: list[TenantHead]


class ProfileList(_List):
    """A tenant's profiles."""

    data: list[ProfileView]


class KeyList(_List):
    """A tenant's keys, including revoked ones."""

    data: list[KeyView]


class SecretList(_List):
    """A tenant's secrets, without their values."""

    data: list[SecretView]


class ActPage(_List):
    """One page of the audit log, the latest act first."""

    data: list[ActView]
    has_more: bool
    last_id: str | None


class ParkedView(BaseModel):
    """A turn that was given up: when, of which tenant, and why."""

    at: str
    tenant: str
    turn: str
    reason: str


class ParkedList(_List):
    """The turns that were given up, the latest first."""

    data: list[ParkedView]
