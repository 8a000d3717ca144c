"""Bodies and views of the administration: what operators and tenants' admins send and are shown."""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, TypeVar

from pydantic import (
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
    ValidationInfo,
    field_validator,
)

from api.admin.shapes import ActView, SecretView, TenantHead
from api.auth.audit import Act, Kind
from api.requests.paging import read_limit
from api.requests.turn_request import read_object
from api.sessions.replay import read_entry_id
from common.errors import BadRequest
from common.names import valid_tenant
from common.security.secret_box import set_at
from common.security.url_guard import UrlGuard
from common.tenants.checks import blocked_urls, blocked_urls_of
from common.tenants.config import SCOPES, BoundTo, KeyConfig, Limits, Scope, TenantConfig, read_tenant
from common.tenants.origins import bind, strays, widen
from common.tenants.stored import refused, refused_for

Body = TypeVar("Body", bound=BaseModel)

_SHOWN = ("id", "object")  # stand in what is shown, so that it may be sent back as it is
_LONGEST_S = 3_650 * 86_400
_LISTED, _MOST_LISTED = 50, 200


class _Body(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)


class KeyWish(_Body):
    """A key to be created. Without an expiry it is valid until it is revoked."""

    name: str = Field(default="", max_length=200)
    scopes: tuple[Scope, ...] = Field(min_length=1)
    expires_at: AwareDatetime | None = None
    expires_in_s: int | None = Field(default=None, ge=1, le=_LONGEST_S)

    @field_validator("expires_at")
    @classmethod
    def _is_to_come(cls, value: datetime | None) -> datetime | None:
        if value and value <= datetime.now(UTC):
            raise ValueError("is over")
        return value

    @field_validator("expires_in_s")
    @classmethod
    def _is_the_only_end(cls, value: int | None, info: ValidationInfo) -> int | None:
        if value and info.data.get("expires_at"):
            raise ValueError("there is expires_at already")
        return value

    def made(self, tenant: str, digest: str) -> KeyConfig:
        """The key as it is kept, made now."""
        now = datetime.now(UTC).replace(microsecond=0)
        ends = now + timedelta(seconds=self.expires_in_s) if self.expires_in_s else self.expires_at
        scopes = tuple(scope for scope in SCOPES if scope in self.scopes)
        return KeyConfig(
            tenant=tenant, digest=digest, scopes=scopes, name=self.name, created_at=now, expires_at=ends
        )


class SecretWish(_Body):
    """A secret to be stored. It may be sent as a header's value, so it is printable ASCII."""

    value: SecretStr = Field(min_length=1, max_length=10_000, json_schema_extra={"pattern": "^[ -~]+$"})
    origins: Annotated[tuple[BoundTo, ...], Field(min_length=1, max_length=50)] | None = None

    @field_validator("value")
    @classmethod
    def _fits_a_header(cls, value: SecretStr) -> SecretStr:
        text = value.get_secret_value()
        if not (text.isascii() and text.isprintable()):
            raise ValueError("has printable ASCII characters only, no line break")
        return value


def read(shape: type[Body], raw: bytes) -> Body:
    """A body of this shape. Raises BadRequest, with all that is wrong."""
    read_object(raw)  # whose words on bad JSON are the same at all doors
    try:
        return shape.model_validate_json(raw)
    except ValidationError as error:
        raise refused(error) from None


def read_limits(raw: bytes) -> Limits:
    """A tenant's limits; those that aren't named are none. Raises BadRequest."""
    return read(Limits, raw)


def read_new(raw: bytes) -> tuple[str, dict[str, Any]]:
    """A new tenant's id, and the rest of the body. Raises BadRequest."""
    name = read_object(raw).get("id")
    if not isinstance(name, str) or not valid_tenant(name):
        message = "id: names the tenant, by 1 to 40 lower-case letters, digits and, not first, - and _"
        raise BadRequest(message, code="invalid_value", param="id")
    return name, read_config(raw, name)


def read_config(raw: bytes, name: str) -> dict[str, Any]:
    """A body of the tenant or profile of this name, but for what only shows. Raises BadRequest."""
    body = read_object(raw)
    if body.get("id", name) != name:
        raise BadRequest("id: is not the path's", code="invalid_value", param="id")
    if "secrets" in body:
        raise BadRequest("secrets: each has a path of its own", code="invalid_value", param="secrets")
    return {field: value for field, value in body.items() if field not in _SHOWN}


def read_audit_query(query: Mapping[str, str]) -> tuple[str, int, Kind]:
    """Which page of the audit log is asked for: after which, of how many, which kind. Raises BadRequest."""
    after, limit = query.get("after", ""), read_limit(query, _LISTED, _MOST_LISTED)
    if after:
        read_entry_id("after", after)
    kinds: dict[str, Kind] = {"": "", "changes": "changes", "accesses": "accesses"}
    if (kind := kinds.get(query.get("kind", ""))) is None:
        raise BadRequest("kind: is changes or accesses", param="kind")
    return after, limit, kind


def tenant_of(body: Mapping[str, Any], secrets: Mapping[str, str], guard: UrlGuard) -> TenantConfig:
    """The tenant that a body makes with these secrets. Raises BadRequest."""
    config = _tenant({**body, "secrets": dict(secrets)})
    if lines := blocked_urls(config, guard) or strays(config):
        raise refused_for(lines)
    return bind(config)


def with_profile(
    now: TenantConfig, name: str, body: Mapping[str, Any], guard: UrlGuard, *, by_operator: bool
) -> TenantConfig:
    """The tenant with this profile, in place of one of its name. Raises BadRequest.

    A secret goes on to where it went before, and, where the operator says so, to where the profile leads.
    """
    whole = bind(now).model_dump(mode="json")
    config = _tenant({**whole, "profiles": {**whole["profiles"], name: body}})
    if lines := blocked_urls_of(config.profiles[name], guard):
        raise refused_for([f"profiles.{name}.{line}" for line in lines])
    if by_operator:
        return widen(config)
    if lines := strays(config):
        raise refused_for(lines)
    return bind(config)


def with_secret(now: TenantConfig, name: str, sealed: str, origins: tuple[str, ...] | None) -> TenantConfig:
    """The tenant with this secret, bound to these origins, else to where it is used. Raises BadRequest."""
    others = {each: bound for each, bound in now.secret_origins.items() if each != name}
    bound = others if origins is None else {**others, name: origins}
    config = now.model_copy(update={"secrets": {**now.secrets, name: sealed}, "secret_origins": bound})
    if lines := strays(config):
        raise refused_for(lines)
    return bind(config)


def without_secret(now: TenantConfig, name: str) -> TenantConfig:
    """The tenant without this secret."""
    secrets = {each: sealed for each, sealed in now.secrets.items() if each != name}
    bound = {each: origins for each, origins in now.secret_origins.items() if each != name}
    return now.model_copy(update={"secrets": secrets, "secret_origins": bound})


def _tenant(value: Mapping[str, Any]) -> TenantConfig:
    try:
        return read_tenant(value, lambda secret: None)  # the store looks at the secrets
    except ValidationError as error:
        raise refused(error) from None


def changed(old: BaseModel | None, new: BaseModel | None) -> tuple[str, ...]:
    """Which fields differ, two steps deep: `disabled`, `limits.live_turns`, `profiles.support`."""
    before, after = (each.model_dump(mode="json") if each else {} for each in (old, new))
    return tuple(_changed(before, after))


def _changed(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[str]:
    for name in sorted({*before, *after}):
        one, other = before.get(name), after.get(name)
        if one == other:
            continue
        if isinstance(one or {}, dict) and isinstance(other or {}, dict):
            inner = sorted({*(one or {}), *(other or {})})
            yield from (
                f"{name}.{each}" for each in inner if (one or {}).get(each) != (other or {}).get(each)
            )
        else:
            yield name


# Views.


def listed(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """A whole list."""
    return {"object": "list", "data": rows}


def tenant_head(name: str, config: TenantConfig) -> TenantHead:
    """Return a tenant as lists show it."""
    return TenantHead(
        id=name,
        object="tenant",
        name=config.name,
        disabled=config.disabled,
        profiles=list(config.profiles),
    )


def tenant_view(name: str, config: TenantConfig) -> dict[str, Any]:
    """All of a tenant but its secrets and keys."""
    return {"id": name, "object": "tenant", **config.model_dump(mode="json", exclude={"secrets"})}


def profile_view(name: str, config: TenantConfig) -> dict[str, Any]:
    """One of a tenant's profiles."""
    return {"id": name, "object": "profile", **config.profiles[name].model_dump(mode="json")}


def secret_view(name: str, config: TenantConfig) -> SecretView:
    """Return a secret by its name: when it was set, where that is known, and what refers to it."""
    put_at = set_at(config.secrets[name])
    return SecretView(
        id=name,
        object="secret",
        set_at=put_at.isoformat().replace("+00:00", "Z") if put_at else None,
        used_by=uses_of(name, config),
        origins=list(config.secret_origins.get(name, ())),
    )


def uses_of(secret: str, config: TenantConfig) -> list[str]:
    """Return the paths of a tenant's fields that refer to a secret."""
    found = [f"request_secrets.{secret}"] if secret in config.request_secrets else []
    for name, profile in config.profiles.items():
        parts = {"full": profile.full, "draft": profile.draft, "webhook": profile.webhook}
        parts |= {f"fallbacks.{at}": each for at, each in enumerate(profile.fallbacks)}
        found += [f"profiles.{name}.{path}" for path, part in parts.items() if part and part.secret == secret]
    return found


def key_view(key_id: str, key: KeyConfig) -> dict[str, Any]:
    """A key, but for what opens anything."""
    return {"id": key_id, "object": "api_key", **key.model_dump(mode="json", exclude={"digest"})}


def shown_time(ms: int) -> str:
    """A moment as views show it."""
    return datetime.fromtimestamp(ms / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def act_view(entry: str, act: Act) -> ActView:
    """Return an act with its time."""
    return ActView(
        id=entry,
        object="act",
        at=shown_time(int(entry.partition("-")[0])),
        who=act.who,
        address=act.address,
        what=act.what,
        tenant=act.tenant,
        target=act.target,
        fields=list(act.fields),
        count=act.count,
    )
