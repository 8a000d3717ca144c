"""Requests without a key: where they may come from, and whether a foreign page may have sent them.

Any web page can point its own host name at this machine, or post here blindly, from a browser that runs on
it. So a request without a key must address this server by one of its own names, and must not come from a page
other than its own or an allowed one.
"""

from collections.abc import Collection
from ipaddress import IPv4Address, IPv6Address, ip_address
from urllib.parse import urlsplit

from fastapi import Request

from common.errors import Forbidden

_SIMPLE = ("application/x-www-form-urlencoded", "multipart/form-data", "text/plain", "")
"""Content types that a page may post to any origin without a preflight."""


def is_on_this_machine(request: Request, names: Collection[str]) -> bool:
    """Return True if the request comes from this machine: by its address, all addresses it was forwarded
    for, and the host name it asks for.
    """
    forwarded = [
        part.strip() for line in request.headers.getlist("x-forwarded-for") for part in line.split(",")
    ]
    asking = [request.client.host if request.client else "", *forwarded]
    host = _host_of(f"//{request.headers.get('host', '')}")
    return all(map(_is_loopback, asking)) and (_is_this_machine(host) or _is_one_of(host, names))


def check_names(request: Request, names: Collection[str], origins: Collection[str]) -> None:
    """Raise Forbidden if a foreign page may have sent this request.

    `names`: this server's own names, beside `localhost` and any IP address, which a foreign host name can't
    be; `origins`: the origins whose pages may talk to it.
    """
    host = request.headers.get("host", "")
    called = _host_of(f"//{host}")
    if not (_is_this_machine(called) or _is_one_of(called, names) or _address(called)):
        message = "without a key this server answers to its own names: see FAST_REPLY_HOST_NAMES"
        raise Forbidden(message, code="unknown_host")
    if not _may_send(request, host, origins):
        message = "without a key no page of another origin is served: see FAST_REPLY_CORS_ORIGINS"
        raise Forbidden(message, code="unknown_origin")
    if _is_from_a_page(request) and _is_simple(request) and not _is_of_here(request, host):
        message = "a page's body is sent as application/json"
        raise Forbidden(message, code="json_required")


def _may_send(request: Request, host: str, origins: Collection[str]) -> bool:
    named = request.headers.getlist("origin")
    for origin in named:
        if origin not in origins and not _is_same(origin, host) and not _is_this_machine(_host_of(origin)):
            return False
    return bool(named) or request.headers.get("sec-fetch-site") != "cross-site"


def _is_of_here(request: Request, host: str) -> bool:
    return any(_is_same(origin, host) for origin in request.headers.getlist("origin"))


def _is_from_a_page(request: Request) -> bool:
    """Return True if a browser sent the request, even one too old to say so."""
    headers = request.headers
    tells = any(name == "origin" or name == "referer" or name.startswith("sec-") for name in headers)
    return tells or headers.get("user-agent", "").startswith("Mozilla/")


def _is_simple(request: Request) -> bool:
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    return request.method == "POST" and kind in _SIMPLE and request.headers.get("content-length") != "0"


def _is_same(origin: str, host: str) -> bool:
    scheme, _, place = origin.partition("://")
    return scheme in ("http", "https") and bool(place) and place.lower() == host.lower()


def _is_one_of(host: str, names: Collection[str]) -> bool:
    return host in {name.lower() for name in names}


def _is_this_machine(host: str) -> bool:
    return host == "localhost" or _is_loopback(host)


def _host_of(url: str) -> str:
    try:
        return (urlsplit(url).hostname or "").removesuffix(".")
    except ValueError:
        return ""


def _is_loopback(host: str) -> bool:
    address = _address(host)
    return address is not None and address.is_loopback


def _address(host: str) -> IPv4Address | IPv6Address | None:
    """Return the IP address that this text is, if it is one."""
    try:
        address = ip_address(host)
    except ValueError:
        return None
    if isinstance(address, IPv6Address) and address.ipv4_mapped:  # as a socket for both protocols has it
        return address.ipv4_mapped
    return address


def address_of(request: Request) -> str:
    """Return the client's address: behind a proxy on this machine, the last one that the proxy names."""
    peer = request.client.host if request.client else ""
    if not _is_loopback(peer):
        return peer
    named = [part.strip() for line in request.headers.getlist("x-forwarded-for") for part in line.split(",")]
    away = [part for part in named if (known := _address(part)) and not known.is_loopback]
    return away[-1] if away else peer
