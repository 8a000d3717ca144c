"""What a command is told by its environment and its options; a mistake in it ends the process."""

import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # what a command needs is imported when it runs, so that help comes at once
    from common.settings import Settings


def read_settings(**options: Any) -> "Settings":
    """The settings of the environment, with the given options over them; a mistake ends the process."""
    from pydantic import ValidationError

    from common.settings import Settings

    try:
        return Settings(**given(**options))
    except ValidationError as error:
        for mistake in error.errors(include_url=False, include_input=False):
            name = "_".join(map(str, mistake["loc"]))
            print(f"The setting {name} is wrong: {mistake['msg']}", file=sys.stderr)
        sys.exit(2)


def read_serving_settings(**options: Any) -> "Settings":
    """The same for a process that serves tenants: a mistake in their file ends it, too."""
    settings = read_settings(**options)
    if settings.tenants:
        from common.tenants.file import mistakes_in

        if mistakes := mistakes_in(settings):
            print(*mistakes, sep="\n", file=sys.stderr)
            sys.exit(2)
    return settings


def given(**options: Any) -> dict[str, Any]:
    """The options that were given."""
    return {name: value for name, value in options.items() if value is not None}
