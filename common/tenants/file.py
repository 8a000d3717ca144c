"""Tenants from a file, `tenants.toml`: checked as a whole, with every mistake named, before it takes
effect.
"""

import asyncio
import hashlib
import logging
import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import Field, ValidationError

from common.names import valid_tenant
from common.security.secret_box import MARK, SecretBox, open_secret_box, place_of
from common.security.url_guard import UrlGuard
from common.settings import Settings
from common.tenants.checks import blocked_urls_of
from common.tenants.config import KeyConfig, KeyParts, ProfileConfig, mistakes, read_tenant
from common.tenants.origins import strays
from common.tenants.own_variables import is_own
from common.tenants.texts import Texts

logger = logging.getLogger(__name__)

ENVIRONMENT = "env:"
"""The prefix of a secret that is read from the environment; the variable's name follows."""

_NO_FILE = (0, 0, 0, 0)


class WrongFile(Exception):
    """A file of tenants that can't take effect. `mistakes`: one a line, none with a value from the file."""

    def __init__(self, mistakes: list[str]) -> None:
        super().__init__("\n".join(mistakes))
        self.mistakes = mistakes


class TenantsFile:
    """The file and its content. `guard` decides where its URLs may lead."""

    def __init__(
        self,
        path: str | Path,
        seal: SecretBox | None,
        guard: UrlGuard,
        environ: Mapping[str, str] = os.environ,
    ) -> None:
        self.guard = guard
        self._path = Path(path)
        self._seal = seal
        self._environ = environ
        self._signature: tuple[int, ...] | None = None

    async def poll(self, seen: Texts | None) -> Texts | None:
        """Return the file's content now. If the file is wrong, log that once and return what was seen
        last.
        """
        return await asyncio.to_thread(self._look, seen)

    def _look(self, seen: Texts | None) -> Texts | None:
        signature = self._sign()
        if signature == self._signature:
            return seen
        wrong: list[str] = []
        try:
            texts = self.read()
        except WrongFile as error:
            wrong = error.mistakes
        if self._sign() != signature:
            return seen  # it is being written: look again
        self._signature = signature
        if wrong:
            logger.error("the file of tenants is wrong: they stay as they were", extra={"mistakes": wrong})
            return seen
        return seen if seen and seen.version == texts.version else texts

    def read(self) -> Texts:
        """Read the file now. Raises WrongFile."""
        try:
            raw = self._path.read_bytes()
            parsed = tomllib.loads(raw.decode())
        except OSError as error:
            raise WrongFile([f"it can't be read: {error.strerror}"]) from None
        except UnicodeDecodeError as error:
            line = error.object.count(b"\n", 0, error.start) + 1
            raise WrongFile([f"it is not UTF-8 (at line {line})"]) from None
        except tomllib.TOMLDecodeError as error:
            end = f"at line {len(raw.splitlines())}, the last"
            raise WrongFile([f"it is not TOML: {str(error).replace('at end of document', end)}"]) from None
        except RecursionError:
            raise WrongFile(["it is nested too deeply"]) from None
        return _Reading(self).read(parsed, hashlib.sha256(raw).hexdigest())

    def open_secret(self, written: str, tenant: str, name: str) -> str | None:
        """Return a tenant's secret from its text in the file; None if it can't be opened."""
        if written.startswith(ENVIRONMENT):
            variable = written.removeprefix(ENVIRONMENT)
            return None if is_own(variable) else self._environ.get(variable) or None
        return self._seal.read(written, place_of(tenant, name)) if self._seal else None

    def wrong_with(self, written: str, tenant: str, name: str) -> str | None:
        """Return the mistake in a tenant's secret as written in the file; None if there is none."""
        if written.startswith(ENVIRONMENT) and is_own(written.removeprefix(ENVIRONMENT)):
            return "this environment variable is the deployment's own"
        if written.startswith(ENVIRONMENT):
            return None if self.open_secret(written, tenant, name) else "this environment variable is not set"
        if not written.startswith(MARK):
            return "a secret is sealed:…, as `fast-reply tenants seal` prints it, or env:NAME"
        if self._seal is None:
            return "there is no FAST_REPLY_SECRET_KEY to open it with"
        if self.open_secret(written, tenant, name) is None:
            return "none of the secret keys opens it for this tenant and name"
        return None

    def _sign(self) -> tuple[int, ...]:
        """Return values that change whenever the file does, also behind symbolic links."""
        try:
            stat = self._path.stat()
        except OSError:
            return _NO_FILE
        return stat.st_mtime_ns, stat.st_ctime_ns, stat.st_size, stat.st_ino


def open_file(settings: Settings) -> TenantsFile:
    """Return the file that the settings name."""
    return TenantsFile(settings.tenants, open_secret_box(settings), UrlGuard(settings.allowed_hosts))


def mistakes_in(settings: Settings) -> list[str]:
    """Return the mistakes in the file that the settings name, one a line."""
    try:
        open_file(settings).read()
    except WrongFile as error:
        return [f"{settings.tenants}: {line}" for line in error.mistakes]
    return []


class _FileKey(KeyParts):
    """A key as written in the file, with its tenant and id."""

    id: str = Field(pattern=r"^[A-Za-z0-9]{12}$")


class _Reading:
    """One pass over the whole file. It goes on after a mistake, so that all of them are found."""

    def __init__(self, file: TenantsFile) -> None:
        self._file = file
        self._mistakes: list[str] = []
        self._tenants: dict[str, bytes] = {}
        self._keys: dict[str, bytes] = {}
        self._paths: dict[str, str] = {}  # of the keys, by id

    def read(self, parsed: dict[str, Any], version: str) -> Texts:
        """Return the file's tenants and keys. Raises WrongFile."""
        self._mistakes += [f"{name}: there is no such field" for name in parsed if name != "tenants"]
        for name, value in self._table("tenants", parsed.get("tenants", {})).items():
            self._read_tenant(name, value)
        if self._mistakes:
            raise WrongFile(self._mistakes)
        return Texts(version, self._tenants, self._keys)

    def _read_tenant(self, name: str, value: Any) -> None:
        path = f"tenants.{name}"
        fields = self._table(path, value)
        if not valid_tenant(name):
            self._mistakes.append(
                f"{path}: a tenant's id is 1 to 40 lower-case letters, digits and, not first, - and _"
            )
        keys, secrets = fields.get("keys", []), fields.get("secrets")

        def wrong_with(written: str) -> str | None:
            named = (
                [each for each, text in secrets.items() if text == written]
                if isinstance(secrets, dict)
                else []
            )
            found = (self._file.wrong_with(written, name, each) for each in named)
            return next(filter(None, found), None)

        try:
            config = read_tenant({k: v for k, v in fields.items() if k != "keys"}, wrong_with)
            self._tenants[name] = config.model_dump_json(exclude_defaults=True).encode()
            self._mistakes += [f"{path}.{line}" for line in strays(config)]
        except ValidationError as error:
            self._note(path, error)
        self._check_urls(f"{path}.profiles", fields.get("profiles"))
        if not isinstance(keys, list):
            self._mistakes.append(f"{path}.keys: this is to be a list, [[{path}.keys]] for each key")
            return
        for number, key in enumerate(keys):
            self._read_key(name, f"{path}.keys.{number}", key)

    def _check_urls(self, path: str, profiles: Any) -> None:
        for name, value in profiles.items() if isinstance(profiles, dict) else ():
            try:
                profile = ProfileConfig.model_validate(value)
            except ValidationError:
                continue  # that was noted
            self._mistakes += [f"{path}.{name}.{line}" for line in blocked_urls_of(profile, self._file.guard)]

    def _read_key(self, tenant: str, path: str, value: Any) -> None:
        try:
            key = _FileKey.model_validate(value)
        except ValidationError as error:
            self._note(path, error)
            return
        if other := self._paths.get(key.id):
            self._mistakes.append(f"{path}.id: {other} has this id")
        self._paths[key.id] = path
        config = KeyConfig(tenant=tenant, **key.model_dump(exclude={"id"}))
        self._keys[key.id] = config.model_dump_json(exclude_defaults=True).encode()

    def _table(self, path: str, value: Any) -> dict[str, Any]:
        if isinstance(value, dict):
            return value
        self._mistakes.append(f"{path}: this is to be a table")
        return {}

    def _note(self, path: str, error: ValidationError) -> None:
        found = mistakes(error.errors(include_url=False, include_input=False))
        self._mistakes += [f"{path}.{line}" for line in found]
