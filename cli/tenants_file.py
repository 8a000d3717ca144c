"""`fast-reply tenants` without a gateway: what a file of tenants needs, checked, made and sealed anew."""

import os
import re
import shutil
import sys
import tempfile
import tomllib
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import orjson

from cli.gateway import Refused
from cli.tenants import ask_secret, seconds_of
from common.names import valid_tenant
from common.security.secret_box import BOUND, MARK, SecretBox, open_secret_box, place_of
from common.settings import Settings
from common.tenants.api_keys import NewKey, new_key
from common.tenants.config import SCOPES
from common.tenants.file import mistakes_in

_SEALED = re.compile(rf"{MARK}(?:2:)?[A-Za-z0-9_-]{{80,}}={{0,2}}".encode())
_NO_KEY = "FAST_REPLY_SECRET_KEY is not set"


def check(settings: Settings, file: Path) -> int:
    """Print what is wrong with a file of tenants; return the exit code."""
    found = mistakes_in(settings.model_copy(update={"tenants": str(file)}))
    for line in found:
        print(line, file=sys.stderr)
    if not found:
        print(f"{file} is right")
    return 1 if found else 0


def seal(settings: Settings, tenant: str, name: str) -> int:
    """Print a secret as a file may hold it, asked for or from the standard input; return the exit code."""
    try:
        if bool(tenant) != bool(name):
            raise Refused("a secret is sealed for a tenant and a name")
        sealing = _seal(settings)
        if not (secret := ask_secret("Secret")):
            raise Refused("there is no secret")
    except Refused as error:
        return _say(error)
    print(sealing.write(secret, place_of(tenant, name) if tenant else ""))
    if not tenant:
        print("It is bound to no tenant: name one, and the secret, to have it so.", file=sys.stderr)
    return 0


def make_key(tenant: str, scopes: list[str], name: str, expires_in: str) -> int:
    """Print a new key, this once, and the lines that a file needs of it; return the exit code."""
    now = datetime.now(UTC).replace(microsecond=0)
    try:
        if not valid_tenant(tenant):
            raise Refused(f"{tenant}: no tenant can have this id")
        if unknown := sorted(set(scopes) - set(SCOPES)):
            raise Refused(f"{unknown[0]}: a scope is one of {', '.join(SCOPES)}")
        expires_at = now + timedelta(seconds=seconds_of(expires_in)) if expires_in else None
    except Refused as error:
        return _say(error)
    key = new_key()
    lines = [
        *_lines(tenant, key, scopes),
        *([f"name = {orjson.dumps(name).decode()}"] if name else []),
        f"created_at = {now.isoformat()}",
        *([f"expires_at = {expires_at.isoformat()}"] if expires_at else []),
    ]
    print(key.text, "", *lines, sep="\n")
    print("This is the only time the key is shown; the lines below it are for the file.", file=sys.stderr)
    return 0


def make_first(folder: Path) -> int:
    """Write a file of the default tenant and its key beside it, unless there is one; return the exit code."""
    file, beside = folder / "tenants.toml", folder / "key"
    try:
        if not file.exists():
            folder.mkdir(parents=True, exist_ok=True)
            key = new_key()
            _replace(beside, f"{key.text}\n".encode())
            _replace(
                file, "\n".join(["[tenants.default]", "", *_lines("default", key, list(SCOPES))]).encode()
            )
    except OSError as error:
        return _say(error)
    print(f"The default tenant is asked with the key in {beside}; {file} says so.")
    return 0


def reseal(settings: Settings, file: Path) -> int:
    """Seal all secrets of a file with the newest key, all else left as it is; return the exit code."""
    try:
        sealing = _seal(settings)
        before = file.read_bytes()
        after, count = _resealed(before, sealing)
        if after != before:
            _replace(file.resolve(), after)
    except (Refused, OSError) as error:
        return _say(error)
    print(f"{count} secrets resealed")
    return 0


def _lines(tenant: str, key: NewKey, scopes: list[str]) -> list[str]:
    """Return the lines of a file that describe a key."""
    return [
        f"[[tenants.{tenant}.keys]]",
        f'id = "{key.id}"',
        f'digest = "{key.digest}"',
        f"scopes = {orjson.dumps(scopes).decode()}",
    ]


def _seal(settings: Settings) -> SecretBox:
    if sealing := open_secret_box(settings):
        return sealing
    raise Refused(_NO_KEY)


def _resealed(text: bytes, sealing: SecretBox) -> tuple[bytes, int]:
    """The text with all its secrets sealed with the newest key, and how many weren't. Raises Refused."""
    count, lost, places = 0, [], _places(text)

    def rewrite(found: re.Match[bytes]) -> bytes:
        nonlocal count
        written = found[0].decode()
        place = places.get(written, "")
        if written.startswith(BOUND) and not place:
            return found[0]  # in a comment, perhaps
        fresh = sealing.rewrite(written, place)
        if fresh is None:
            lost.append(text.count(b"\n", 0, found.start()) + 1)
            return found[0]
        count += fresh.encode() != found[0]
        return fresh.encode()

    after = _SEALED.sub(rewrite, text)
    if lost:
        raise Refused(
            f"none of the secret keys opens what is sealed in line {', '.join(map(str, lost))}; "
            "nothing was changed"
        )
    return after, count


def _places(text: bytes) -> dict[str, str]:
    """Return what each secret of a file is bound to; nothing for one that stands in several places."""
    try:
        tenants = tomllib.loads(text.decode()).get("tenants", {})
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise Refused(f"this is no file of tenants: {error}") from None
    found: dict[str, str] = {}
    for tenant, fields in tenants.items() if isinstance(tenants, dict) else ():
        secrets = fields.get("secrets") if isinstance(fields, dict) else None
        for name, written in secrets.items() if isinstance(secrets, dict) else ():
            found[str(written)] = "" if written in found else place_of(tenant, name)
    return found


def _replace(path: Path, text: bytes) -> None:
    """Put a text in the place of a file's in one step, with its mode and owner; a new file is private.

    Raises OSError.
    """
    with tempfile.NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}.", delete=False) as fresh:
        written = Path(fresh.name)
        try:
            fresh.write(text)
            fresh.flush()
            os.fsync(fresh.fileno())
            if path.exists():
                shutil.copymode(path, written)
                with suppress(PermissionError):  # only root may give a file away
                    shutil.chown(written, path.stat().st_uid, path.stat().st_gid)
            written.replace(path)
        except BaseException:
            written.unlink(missing_ok=True)
            raise


def _say(error: Exception) -> int:
    print(f"fast-reply: {error}", file=sys.stderr)
    return 1
