"""Tenants and keys on the queue server, and changes to them: each is atomic, and none is lost.

Every change increments the version in its transaction, and watches the version so that concurrent changes are
noticed.
"""

import logging
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from functools import partial

import orjson
from pydantic import ValidationError
from redis.exceptions import WatchError

from common.errors import BadRequest, Conflict, NotFound
from common.names import valid_tenant
from common.security.secret_box import MARK, SecretBox, place_of
from common.store import keys
from common.store.redis import Commands, Pipeline, Stores
from common.tenants.config import KeyConfig, TenantConfig, mistakes, read_tenant, stored_tenant
from common.tenants.records import Records, StoredRecords, version_of
from common.tenants.texts import Texts

logger = logging.getLogger(__name__)

Change = Callable[[TenantConfig], TenantConfig]
Plan = Callable[[Pipeline], Awaitable[Commands]]
"""Reads what it needs over a pipe, and returns the writes to make."""


_MOST_BYTES = 4 * 1_048_576  # of a tenant: every process reads all tenants again at each change
_MOST_VALID = 1_000  # keys of a tenant
_MOST_ENDED = 1_000
_SAID = 20


def nothing(pipe: Pipeline) -> None:
    """Write nothing beside the change."""


class TenantStore:
    """All tenants and keys. Methods raise StoreUnavailable, and a FastReplyError if the change is not
    possible.

    Writes passed as `beside` are made in the same transaction as the change, or not at all.
    """

    def __init__(self, stores: Stores, seal: SecretBox | None) -> None:
        self._stores = stores
        self._seal = seal
        self._records = Records(stores)

    # For the directory.

    async def poll(self, seen: Texts | None) -> Texts | None:
        """Return what is stored now: the very same object if nothing has changed."""
        if (
            seen is not None
            and version_of(await self._stores.queue.get(keys.TENANTS_VERSION)) == seen.version
        ):
            return seen
        return await self.read(seen)

    async def read(self, seen: Texts | None = None) -> Texts:
        """Return all that is stored and signed, as of one moment. An unsigned tenant stays as it was last
        seen.
        """
        kept = await self._records.read()
        if strange := kept.strange():
            about = {"records": strange[:_SAID], "count": len(strange)}
            logger.error(
                "records of tenants or keys aren't signed, and open nothing: see docs/tenants.md", extra=about
            )
        tenants, before = kept.signed(keys.TENANTS), seen.tenants if seen else {}
        stay = {name: before[name] for name in kept.tenants.keys() - tenants.keys() if name in before}
        return Texts(kept.version, {**stay, **tenants}, kept.signed(keys.API_KEYS))

    def open_secret(self, written: str, tenant: str, name: str) -> str | None:
        """Return a tenant's secret from its stored form; None if no key opens it."""
        return self._seal.read(written, place_of(tenant, name)) if self._seal else None

    # Tenants.

    async def tenants(self) -> dict[str, TenantConfig]:
        """Return all tenants, by id."""
        return {name: stored_tenant(text) for name, text in sorted((await self.read()).tenants.items())}

    async def tenant(self, name: str) -> TenantConfig:
        """Return a tenant. Raises NotFound."""
        return stored_tenant(_found(await self._records.get(self._stores.queue, keys.TENANTS, name)))

    async def put_tenant(
        self, name: str, config: TenantConfig, *, create: bool | None = None, beside: Commands = nothing
    ) -> bool:
        """Store a tenant, and return True if it is new. `create`: it must be new, or must not be; None:
        either.

        Raises BadRequest, Conflict, NotFound.
        """
        if not valid_tenant(name):
            raise BadRequest("1 to 40 lower-case letters, digits and, not first, - and _", param="name")
        is_new = False

        async def plan(pipe: Pipeline) -> Commands:
            nonlocal is_new
            old = await self._records.get(pipe, keys.TENANTS, name)
            is_new = old is None
            if create and not is_new:
                raise Conflict("there is a tenant of this name", code="tenant_exists")
            if create is False:
                _found(old)
            if is_new and await pipe.sismember(keys.TENANTS_GONE, name):  # type: ignore[misc]
                raise Conflict("a tenant of this name is still being deleted", code="tenant_being_deleted")
            text = self._checked(name, config, old)
            return lambda pipe: self._records.put(pipe, keys.TENANTS, name, text.encode())

        await self._write(plan, beside)
        return is_new

    async def change_tenant(self, name: str, change: Change, beside: Commands = nothing) -> TenantConfig:
        """Replace a tenant by the result of `change`, and return it. `change` may be called several times.

        Raises BadRequest, NotFound, and what `change` raises.
        """
        changed = TenantConfig()

        async def plan(pipe: Pipeline) -> Commands:
            nonlocal changed
            old = _found(await self._records.get(pipe, keys.TENANTS, name))
            text = self._checked(name, change(stored_tenant(old)), old)
            changed = stored_tenant(text)
            return lambda pipe: self._records.put(pipe, keys.TENANTS, name, text.encode())

        await self._write(plan, beside)
        return changed

    async def delete_tenant(self, name: str, beside: Commands = nothing) -> None:
        """Delete a tenant and its keys; the retention job deletes what it leaves behind. Raises NotFound."""

        async def plan(pipe: Pipeline) -> Commands:
            _found(await pipe.hget(keys.TENANTS, name))  # type: ignore[misc]
            lost = list(_keys_of(name, await pipe.hgetall(keys.API_KEYS)))  # type: ignore[misc]

            def write(pipe: Pipeline) -> None:
                self._records.drop(pipe, keys.TENANTS, [name])
                pipe.sadd(keys.TENANTS_GONE, name)
                self._records.drop(pipe, keys.API_KEYS, lost)

            return write

        await self._write(plan, beside)

    async def rotate_secrets(self, beside: Callable[[str], Commands] = lambda tenant: nothing) -> int:
        """Encrypt every secret with the newest key, and return how many had been encrypted with another.

        `beside`: writes to make with a tenant's change, given its name. Raises Conflict, after all others are
        done, if no key opens a secret.
        """
        lost: list[str] = []
        count = 0
        for name, config in (await self.tenants()).items():
            fresh = self._rewritten(name, config.secrets)
            lost += [f"tenants.{name}.secrets.{secret}" for secret, text in fresh.items() if text is None]
            if stale := {s for s, text in fresh.items() if text not in (None, config.secrets[s])}:
                try:
                    await self.change_tenant(name, partial(self._reseal, name), beside(name))
                except NotFound:
                    continue  # it was deleted meanwhile
                count += len(stale)
        await self.sign(await self._records.read(), known=True)
        if lost:
            raise Conflict(f"none of the secret keys opens {', '.join(lost)}; {count} others sealed anew")
        return count

    async def sign(self, seen: StoredRecords, *, known: bool = False) -> int:
        """Sign with the newest key the records that are still as seen, and return how many.

        `known`: only those that an older key has signed.
        """
        count = 0

        async def plan(pipe: Pipeline) -> Commands:
            nonlocal count
            fresh = [
                (table, name, text)
                for table, name, text in seen.unsigned(known=known)
                if await pipe.hget(table, name) == text  # type: ignore[misc]
            ]
            count = len(fresh)

            def write(pipe: Pipeline) -> None:
                for record in fresh:
                    self._records.put(pipe, *record)

            return write

        if any(seen.unsigned(known=known)):
            await self._write(plan, nothing)
        return count

    async def read_all(self) -> StoredRecords:
        """Return all that is stored, signed or not."""
        return await self._records.read()

    def _reseal(self, tenant: str, config: TenantConfig) -> TenantConfig:
        fresh = {name: text for name, text in self._rewritten(tenant, config.secrets).items() if text}
        return config.model_copy(update={"secrets": {**config.secrets, **fresh}})

    def _rewritten(self, tenant: str, secrets: dict[str, str]) -> dict[str, str | None]:
        return {
            name: self._seal.rewrite(text, place_of(tenant, name)) if self._seal else None
            for name, text in secrets.items()
        }

    # Keys.

    async def keys(self, tenant: str) -> dict[str, KeyConfig]:
        """Return the tenant's keys, by id, including revoked ones."""
        kept = {key_id: KeyConfig.model_validate_json(t) for key_id, t in (await self.read()).keys.items()}
        return {key_id: key for key_id, key in kept.items() if key.tenant == tenant}

    async def put_key(self, key_id: str, key: KeyConfig, beside: Commands = nothing) -> None:
        """Store a key of a tenant; if there are too many, the oldest of those that have ended are deleted.

        Raises NotFound if the tenant doesn't exist, Conflict if the key is another tenant's, BadRequest.
        """

        async def plan(pipe: Pipeline) -> Commands:
            _found(await pipe.hget(keys.TENANTS, key.tenant))  # type: ignore[misc]
            texts = await pipe.hgetall(keys.API_KEYS)  # type: ignore[misc]
            old = texts.pop(key_id.encode(), None)
            if old and KeyConfig.model_validate_json(old).tenant != key.tenant:
                raise Conflict("there is a key of this id", code="key_exists")
            now = datetime.now(UTC)
            others = {
                each: KeyConfig.model_validate_json(t) for each, t in _keys_of(key.tenant, texts).items()
            }
            ended = {each: other for each, other in others.items() if not other.valid_at(now)}
            if len(others) - len(ended) >= _MOST_VALID:
                raise BadRequest(f"there are {_MOST_VALID} valid keys", code="too_many_keys")
            late = sorted(ended, key=lambda each: _ended_at(ended[each]))[:-_MOST_ENDED]

            def write(pipe: Pipeline) -> None:
                self._records.put(pipe, keys.API_KEYS, key_id, _dump(key).encode())
                self._records.drop(pipe, keys.API_KEYS, late)

            return write

        await self._write(plan, beside)

    async def revoke_key(self, tenant: str, key_id: str, beside: Commands = nothing) -> KeyConfig:
        """Revoke a tenant's key, and return it. A revoked key stays as it is. Raises NotFound."""
        revoked: KeyConfig

        async def plan(pipe: Pipeline) -> Commands:
            nonlocal revoked
            old = await self._records.get(pipe, keys.API_KEYS, key_id)
            key = KeyConfig.model_validate_json(old) if old else None
            if key is None or key.tenant != tenant:
                raise NotFound("there is no such key", code="key_not_found")
            revoked = key.model_copy(update={"revoked_at": key.revoked_at or datetime.now(UTC)})
            return lambda pipe: self._records.put(pipe, keys.API_KEYS, key_id, _dump(revoked).encode())

        await self._write(plan, beside)
        return revoked

    # What they have in common.

    async def _write(self, plan: Plan, beside: Commands) -> None:
        """Carry out a plan in a transaction; if anything has changed since it read, plan again."""
        async with self._stores.queue.pipeline(transaction=True) as pipe:
            while True:
                await pipe.watch(keys.TENANTS_VERSION)
                write = await plan(pipe)
                pipe.multi()  # type: ignore[no-untyped-call]
                write(pipe)
                beside(pipe)
                pipe.incr(keys.TENANTS_VERSION)
                try:
                    await pipe.execute()
                    return
                except WatchError:
                    pass

    def _checked(self, name: str, config: TenantConfig, old: bytes | None) -> str:
        """Return a tenant's text for the store, validated as a whole. Raises BadRequest."""
        # A secret whose key was lost must not prevent other changes.
        kept = set(orjson.loads(old).get("secrets", {}).values()) if old else set()

        def wrong_with(secret: str) -> str | None:
            if secret in kept:
                return None
            places = [place_of(name, each) for each, text in config.secrets.items() if text == secret]
            return next(filter(None, (self._wrong_with(secret, place) for place in places)), None)

        try:
            before = stored_tenant(old) if old else None
            text = _dump(read_tenant(config.model_dump(mode="json"), wrong_with, before))
        except ValidationError as error:
            raise refused(error) from None
        if len(text.encode()) > _MOST_BYTES:
            raise BadRequest(f"the tenant has more than {_MOST_BYTES} bytes", code="tenant_too_large")
        return text

    def _wrong_with(self, secret: str, place: str) -> str | None:
        if not secret.startswith(MARK):
            return "it is not sealed"
        if self._seal is None:
            return "there is no FAST_REPLY_SECRET_KEY to open it with"
        return "none of the secret keys opens it" if self._seal.read(secret, place) is None else None


def refused(error: ValidationError) -> BadRequest:
    """Return the error for a wrong configuration: it lists every mistake, and names the first one's field."""
    return refused_for(mistakes(error.errors(include_url=False, include_input=False)))


def refused_for(lines: list[str]) -> BadRequest:
    """Return the same error for lines that begin with their field."""
    return BadRequest("; ".join(lines), code="invalid_configuration", param=lines[0].partition(":")[0])


def _found(text: bytes | None) -> bytes:
    if text is None:
        raise NotFound("there is no such tenant", code="tenant_not_found", param="tenant")
    return text


def _keys_of(tenant: str, texts: dict[bytes, bytes]) -> dict[str, bytes]:
    by_id = _by_name(texts)
    return {key_id: text for key_id, text in by_id.items() if orjson.loads(text)["tenant"] == tenant}


def _by_name(texts: dict[bytes, bytes]) -> dict[str, bytes]:
    return {name.decode(): text for name, text in texts.items()}


def _dump(config: TenantConfig | KeyConfig) -> str:
    return config.model_dump_json(exclude_defaults=True)


def _ended_at(key: KeyConfig) -> datetime:
    return min(at for at in (key.revoked_at, key.expires_at) if at)
