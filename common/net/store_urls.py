"""The stores' URLs: which are supported, and for all others an error that says why not."""

from urllib.parse import urlsplit

from redis.asyncio import BlockingConnectionPool

_SERVED = ("redis", "rediss", "unix")


def checked_store_url(url: str) -> str:
    """Return the URL if it is a valid store URL. Raises ValueError, with a message that doesn't show it."""
    if not url:
        return url  # not set
    try:
        parts = urlsplit(url)
        scheme, place = parts.scheme.lower(), parts.netloc.rpartition("@")[2]
    except ValueError:
        raise ValueError("this is not a URL") from None
    if "sentinel" in scheme:
        raise ValueError("Sentinel is not served: name the master itself, or a proxy that follows it")
    if "cluster" in scheme or "," in place:
        raise ValueError("a list of servers is not served: name one server, redis://host:6379/0")
    if scheme not in _SERVED:
        raise ValueError("a store's URL begins with redis://, rediss:// or unix://")
    if scheme == "unix" and (place or not parts.path.strip("/")):
        raise ValueError("the path of the store's socket is missing: unix:///run/valkey.sock?db=0")
    _try_out(url)
    return url


def _try_out(url: str) -> None:
    """Build a connection from the URL as is done later, without connecting. Raises ValueError."""
    try:
        BlockingConnectionPool.from_url(url).make_connection()  # type: ignore[no-untyped-call]
    except TypeError:
        raise ValueError("the store's URL has an option that is not known") from None
    except Exception:
        raise ValueError("the store's URL can't be read: redis://user:password@host:6379/0") from None
