"""Decides who may use the chat page: anybody on this machine, others only where its owner says so."""

from ipaddress import ip_address


class NoLogin(Exception):
    """The page would be open to everybody."""


def login_of(written: str, host: str) -> tuple[str, str] | None:
    """Return the name and the password of `name:password`, or None if only this machine is served.

    Raises NoLogin.
    """
    name, _, password = written.partition(":")
    if name and len(password) >= 8:
        return name, password
    if written:
        raise NoLogin("FAST_REPLY_GRADIO_LOGIN is name:password, the password of 8 characters at least")
    if not _is_this_machine(host):
        raise NoLogin(
            "The page talks to the gateway with your key: to serve it to others than this machine set "
            "FAST_REPLY_GRADIO_LOGIN=name:password"
        )
    return None


def _is_this_machine(host: str) -> bool:
    try:
        return ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost"
