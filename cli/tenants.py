"""`fast-reply tenants`: tenants of a running gateway, their keys, secrets and limits, and the audit log."""

import getpass
import re
import sys
import tomllib
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import orjson

from cli.gateway import Refused, run, send
from cli.show import printable

_SPAN = re.compile(r"([1-9][0-9]{0,8})([smhd])\Z")
_SECONDS = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}
_TENANTS = "/admin/tenants"


def show_all(url: str, key: str) -> int:
    """Print the tenants, a line each; return the exit code."""

    async def work(client: httpx.AsyncClient) -> None:
        for row in (await send(client, "GET", _TENANTS))["data"]:
            state = "disabled" if row["disabled"] else ", ".join(row["profiles"]) or "no profiles"
            _tell(row["id"], row["name"], state)

    return run(url, key, work)


def show(url: str, key: str, tenant: str) -> int:
    """Print one tenant as JSON, as `put` takes it; return the exit code."""

    async def work(client: httpx.AsyncClient) -> None:
        _print(await send(client, "GET", _path(tenant)))

    return run(url, key, work)


def add(url: str, key: str, tenant: str, name: str, file: Path | None) -> int:
    """Make a tenant, of a file's content if there is one; return the exit code."""

    async def work(client: httpx.AsyncClient) -> None:
        body = {**_read(file), "id": tenant, **({"name": name} if name else {})}
        await send(client, "POST", _TENANTS, content=orjson.dumps(body))
        print(f"{tenant} is there")

    return run(url, key, work)


def put(url: str, key: str, tenant: str, file: Path) -> int:
    """Replace all of a tenant but its secrets and keys; return the exit code."""

    async def work(client: httpx.AsyncClient) -> None:
        await send(client, "PUT", _path(tenant), content=orjson.dumps(_read(file)))
        print(f"{tenant} is changed")

    return run(url, key, work)


def delete(url: str, key: str, tenant: str) -> int:
    """Delete a tenant; return the exit code."""

    async def work(client: httpx.AsyncClient) -> None:
        await send(client, "DELETE", _path(tenant))
        print(f"{tenant} is deleted")

    return run(url, key, work)


def show_keys(url: str, key: str, tenant: str) -> int:
    """Print a tenant's keys, a line each, never the keys themselves; return the exit code."""

    async def work(client: httpx.AsyncClient) -> None:
        for row in (await send(client, "GET", _path(tenant, "keys")))["data"]:
            _tell(row["id"], row["name"], ",".join(row["scopes"]), _state(row))

    return run(url, key, work)


def make_key(url: str, key: str, tenant: str, name: str, scopes: list[str], expires_in: str) -> int:
    """Make a key and print it, this once; return the exit code."""

    async def work(client: httpx.AsyncClient) -> None:
        body: dict[str, Any] = {"name": name, "scopes": scopes}
        if expires_in:
            body["expires_in_s"] = seconds_of(expires_in)
        made = await send(client, "POST", _path(tenant, "keys"), content=orjson.dumps(body))
        print(made["key"])
        print("This is the only time it is shown. It opens within a second.", file=sys.stderr)

    return run(url, key, work)


def revoke(url: str, key: str, tenant: str, key_id: str) -> int:
    """Revoke a key; return the exit code."""

    async def work(client: httpx.AsyncClient) -> None:
        await send(client, "DELETE", _path(tenant, "keys", key_id))
        print(f"{key_id} is revoked")

    return run(url, key, work)


def put_secret(url: str, key: str, tenant: str, name: str, origins: list[str]) -> int:
    """Put a secret, asked for or from the standard input; return the exit code."""

    async def work(client: httpx.AsyncClient) -> None:
        body = orjson.dumps({"value": ask_secret(name), **({"origins": origins} if origins else {})})
        await send(client, "PUT", _path(tenant, "secrets", name), content=body)
        print(f"{name} is put")

    return run(url, key, work)


def delete_secret(url: str, key: str, tenant: str, name: str) -> int:
    """Delete a secret; return the exit code."""

    async def work(client: httpx.AsyncClient) -> None:
        await send(client, "DELETE", _path(tenant, "secrets", name))
        print(f"{name} is deleted")

    return run(url, key, work)


def put_limits(url: str, key: str, tenant: str, limits: dict[str, int]) -> int:
    """Change some of a tenant's limits, and print them all; return the exit code."""

    async def work(client: httpx.AsyncClient) -> None:
        now = (await send(client, "GET", _path(tenant)))["limits"]
        if limits:
            now = await send(client, "PUT", _path(tenant, "limits"), content=orjson.dumps({**now, **limits}))
        _print(now)

    return run(url, key, work)


def rotate(url: str, key: str) -> int:
    """Seal all secrets with the newest key; return the exit code."""

    async def work(client: httpx.AsyncClient) -> None:
        answer = await send(client, "POST", "/admin/secrets/rotate")
        print(f"{answer['resealed']} secrets resealed")

    return run(url, key, work)


def show_audit(url: str, key: str, tenant: str, count: int) -> int:
    """Print the latest acts, of one tenant or of all, a line each, the latest first; return the exit code."""

    async def work(client: httpx.AsyncClient) -> None:
        path, after, left = _path(tenant, "audit") if tenant else "/admin/audit", "", count
        while left:
            page = await send(client, "GET", f"{path}?limit={min(left, 100)}&after={after}")
            for row in page["data"]:
                target = " ".join((row["tenant"], row["target"])).strip()
                _tell(row["at"], row["who"], row["address"], row["what"], target, ",".join(row["fields"]))
            left, after = left - len(page["data"]), page["last_id"]
            if not page["has_more"]:
                return

    return run(url, key, work)


def show_parked(url: str, key: str) -> int:
    """Print the turns that were given up, a line each, the latest first; return the exit code."""

    async def work(client: httpx.AsyncClient) -> None:
        for row in (await send(client, "GET", "/admin/parked"))["data"]:
            _tell(row["at"], row["tenant"], row["turn"], row["reason"])

    return run(url, key, work)


def _path(tenant: str, *parts: str) -> str:
    return "/".join((_TENANTS, *(quote(part, safe="") for part in (tenant, *parts))))


def _read(file: Path | None) -> dict[str, Any]:
    """A tenant as a file has it, TOML or JSON. Raises Refused, OSError."""
    if file is None:
        return {}
    text = file.read_text(encoding="utf-8")
    try:
        body = orjson.loads(text) if file.suffix == ".json" else tomllib.loads(text)
    except ValueError as error:
        raise Refused(f"{file}: {error}") from None
    if not isinstance(body, dict):
        raise Refused(f"{file}: holds no object")
    return body


def seconds_of(span: str) -> int:
    """A time such as 90d. Raises Refused."""
    found = _SPAN.match(span)
    if not found:
        raise Refused(f"{span}: a time is a number and s, m, h or d, such as 90d")
    return int(found[1]) * _SECONDS[found[2]]


def ask_secret(name: str) -> str:
    """A secret, never from the command line, where others on the machine would see it."""
    if sys.stdin.isatty():
        return getpass.getpass(f"{name}: ")
    return sys.stdin.read().removesuffix("\n").removesuffix("\r")


def _state(key: dict[str, Any]) -> str:
    if key["revoked_at"]:
        return f"revoked {key['revoked_at']}"
    return f"expires {key['expires_at']}" if key["expires_at"] else "never expires"


def _tell(*columns: str) -> None:
    print("\t".join(printable(column) for column in columns).rstrip())


def _print(value: Any) -> None:
    print(orjson.dumps(value, option=orjson.OPT_INDENT_2).decode())
