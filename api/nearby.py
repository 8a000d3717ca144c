"""Whether a request comes from this machine, and from nobody who hides behind it."""

from collections.abc import Collection
from ipaddress import IPv6Address, ip_address
from urllib.parse import urlsplit

from fastapi import Request


def is_nearby(request: Request, origins: Collection[str]) -> bool:
    """Whether this machine asks: by its address, those for whom it was forwarded, and the name it calls.

    Anybody's page can have its own name lead here, or post here blindly: so the host must be this machine
    too, and the page's origin, unless it is one of these.
    """
    headers = request.headers
    origin = headers.get("origin")
    forwarded = [part.strip() for line in headers.getlist("x-forwarded-for") for part in line.split(",")]
    asking = [request.client.host if request.client else "", *forwarded]
    return (
        all(map(_is_loopback, asking))
        and _names_this_machine(f"//{headers.get('host', '')}")
        and (origin is None or origin in origins or _names_this_machine(origin))
    )


def _names_this_machine(url: str) -> bool:
    try:
        host = urlsplit(url).hostname or ""
    except ValueError:
        return False
    return host == "localhost" or _is_loopback(host)


def _is_loopback(host: str) -> bool:
    try:
        address = ip_address(host)
    except ValueError:
        return False
    if isinstance(address, IPv6Address) and address.ipv4_mapped:  # as a socket for both protocols has it
        address = address.ipv4_mapped
    return address.is_loopback
