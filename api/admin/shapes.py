"""What the administration's doors take and answer, as shapes for the OpenAPI document."""

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
    """All of a tenant but its keys and secrets."""

    model_config = _without("secrets")


class NewTenant(TenantBody):
    """A tenant to be made."""

    id: _TenantId


class TenantView(TenantBody):
    """A tenant, but for its keys and secrets."""

    id: _TenantId
    object: Literal["tenant"]


class ProfileView(ProfileConfig):
    """One of a tenant's profiles."""

    id: str
    object: Literal["profile"]


class KeyView(KeyConfig):
    """What is known of a key: never the key itself."""

    model_config = _without("digest")

    id: str
    object: Literal["api_key"]


class NewKeyView(KeyView):
    """A key that was just made; `key` is shown this once."""

    key: str


class _Shape(BaseModel):
    model_config = ConfigDict(extra="allow")


class TenantHead(_Shape):
    """A tenant in the list."""

    id: str
    object: Literal["tenant"]
    name: str
    disabled: bool
    profiles: list[str]


class SecretView(_Shape):
    """A secret by its name: when it was put, what refers to it, and where profiles may have it sent."""

    id: str
    object: Literal["secret"]
    set_at: str | None
    used_by: list[str]
    origins: list[str]


class Resealed(_Shape):
    """How many secrets were sealed anew."""

    object: Literal["secrets.rotated"]
    resealed: int


class ActView(_Shape):
    """A change or an access: who did it from where, to what, which fields it touched, how many times."""

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
    """A tenant's keys, revoked ones too."""

    data: list[KeyView]


class SecretList(_List):
    """A tenant's secrets, by their names."""

    data: list[SecretView]


class ActPage(_List):
    """One page of the audit log, the latest act first."""

    data: list[ActView]
    has_more: bool


class ParkedView(BaseModel):
    """A turn that was given up: when, whose, and what it has cost."""

    at: str
    tenant: str
    turn: str
    reason: str


class ParkedList(_List):
    """The turns that were given up, the latest first."""

    data: list[ParkedView]
