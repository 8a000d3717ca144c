"""Reads a command's environment and options; a mistake in them ends the process."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # what a command needs is imported when it runs, so that help comes at once
    from common.settings import Settings


def read_settings(**options: Any) -> "Settings":
    """Return the environment's settings with the given options over them; a mistake ends the process."""
    from pydantic import ValidationError
    from pydantic_settings import SettingsError

    from common.settings import Settings

    try:
        settings = Settings(**given(**options))
    except (SettingsError, ValueError) as error:
        if not isinstance(error, ValidationError):
            print(f"The settings are wrong: {error}", file=sys.stderr)
            sys.exit(2)
        for mistake in error.errors(include_url=False, include_input=False):
            name = "_".join(map(str, mistake["loc"]))
            print(f"The setting {name} is wrong: {mistake['msg']}", file=sys.stderr)
        sys.exit(2)
    if is_weak(settings.secret_key.get_secret_value()):
        print(
            "The setting FAST_REPLY_SECRET_KEY is wrong: it can be guessed. It has at least 16 characters, "
            "8 of them different: `openssl rand -base64 32` makes one",
            file=sys.stderr,
        )
        sys.exit(2)
    return settings


def is_weak(secret_key: str) -> bool:
    """Return True if a secret key is set, but too short or too uniform to protect anything."""
    return bool(secret_key) and (len(secret_key) < 16 or len(set(secret_key)) < 8)


def read_store_settings(*names: str) -> "Settings":
    """Return the settings for a command that reads the stores, unless all `names` are files.

    Where they name no store, it is that of the gateway that runs here. Several of these end the process.
    """
    settings = read_settings()
    if "redis_url" in settings.model_fields_set or (names and all(Path(name).is_file() for name in names)):
        return settings
    from cli.running import running

    gateways = running()
    if len(gateways) > 1:
        print("Several gateways run here; set REDIS_URL to the store of one of them:", file=sys.stderr)
        for gateway in gateways:
            print(f"  {gateway.url}: REDIS_URL={gateway.redis_url}", file=sys.stderr)
        sys.exit(2)
    if not gateways:
        return settings
    print(f"The store is that of {gateways[0].url}", file=sys.stderr)
    queue = {"queue_url": gateways[0].queue_url} if gateways[0].queue_url else {}
    return read_settings(redis_url=gateways[0].redis_url, **queue)


def read_serving_settings(**options: Any) -> "Settings":
    """Return the settings of a process that serves tenants; a mistake in the tenants' file ends it, too."""
    settings = read_settings(**options)
    if settings.tenants:
        from common.tenants.file import mistakes_in

        if mistakes := mistakes_in(settings):
            print(*mistakes, sep="\n", file=sys.stderr)
            sys.exit(2)
    return settings


def given(**options: Any) -> dict[str, Any]:
    """Return the options that are set."""
    return {name: value for name, value in options.items() if value is not None}
