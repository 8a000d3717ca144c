"""The commands `fast-reply tenants …`. What a command needs is imported when it runs."""

from pathlib import Path
from typing import Annotated

import typer

from cli.environment import read_settings

tenants = typer.Typer(
    help="The customers of a deployment: profiles, keys, secrets, limits.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

Url = Annotated[str, typer.Option("--url", help="The gateway's address.")]
Token = Annotated[
    str,
    typer.Option(
        "--key",
        envvar=["FAST_REPLY_OPERATOR_TOKEN", "FAST_REPLY_KEY"],
        help="The operator's token, or the key of the tenant's admin.",
    ),
]
Tenant = Annotated[str, typer.Argument(metavar="ID", help="The tenant.")]
Limit = Annotated[int | None, typer.Option(min=0, help="At most so many; 0 is no limit.")]
TenantFile = Annotated[
    Path, typer.Option(exists=True, dir_okay=False, help="The tenant in TOML, or JSON as `show` prints it.")
]
LOCAL = "http://127.0.0.1:8000"


@tenants.command("list")
def list_tenants(url: Url = LOCAL, key: Token = "") -> None:
    """List the tenants."""
    from cli.tenants import show_all

    raise typer.Exit(show_all(url, key))


@tenants.command()
def show(tenant: Tenant, url: Url = LOCAL, key: Token = "") -> None:
    """Print a tenant as JSON."""
    from cli.tenants import show as show_one

    raise typer.Exit(show_one(url, key, tenant))


@tenants.command()
def add(
    tenant: Tenant,
    name: Annotated[str, typer.Option(help="What people call it.")] = "",
    file: Annotated[
        Path | None, typer.Option(exists=True, dir_okay=False, help="Its profiles and limits: TOML or JSON.")
    ] = None,
    url: Url = LOCAL,
    key: Token = "",
) -> None:
    """Make a tenant."""
    from cli.tenants import add as add_one

    raise typer.Exit(add_one(url, key, tenant, name, file))


@tenants.command("set")
def set_tenant(tenant: Tenant, file: TenantFile, url: Url = LOCAL, key: Token = "") -> None:
    """Replace everything of a tenant except its secrets and keys."""
    from cli.tenants import put

    raise typer.Exit(put(url, key, tenant, file))


@tenants.command()
def delete(tenant: Tenant, url: Url = LOCAL, key: Token = "") -> None:
    """Delete a tenant, with its keys, secrets, sessions and documents."""
    from cli.tenants import delete as delete_one

    raise typer.Exit(delete_one(url, key, tenant))


@tenants.command()
def keys(tenant: Tenant, url: Url = LOCAL, key: Token = "") -> None:
    """List a tenant's keys."""
    from cli.tenants import show_keys

    raise typer.Exit(show_keys(url, key, tenant))


@tenants.command("key")
def make_key(
    tenant: Tenant,
    scope: Annotated[list[str], typer.Option(help="chat, read or admin; may be repeated.")],
    name: Annotated[str, typer.Option(help="What it is for.")] = "",
    expires_in: Annotated[str, typer.Option(metavar="90d", help="For how long it is valid.")] = "",
    url: Url = LOCAL,
    key: Token = "",
) -> None:
    """Make a key and print it; it is not shown again."""
    from cli.tenants import make_key as make_one

    raise typer.Exit(make_one(url, key, tenant, name, scope, expires_in))


@tenants.command()
def revoke(
    tenant: Tenant,
    key_id: Annotated[str, typer.Argument(metavar="KEY", help="The key's id.")],
    url: Url = LOCAL,
    key: Token = "",
) -> None:
    """Revoke a key; it stops working within a second."""
    from cli.tenants import revoke as revoke_one

    raise typer.Exit(revoke_one(url, key, tenant, key_id))


@tenants.command()
def secret(
    tenant: Tenant,
    name: Annotated[str, typer.Argument(metavar="NAME", help="The secret's name.")],
    delete: Annotated[bool, typer.Option("--delete", help="Delete it instead.")] = False,
    origin: Annotated[list[str], typer.Option(help="Where profiles may have it sent; repeatable.")] = [],  # noqa: B006
    url: Url = LOCAL,
    key: Token = "",
) -> None:
    """Set a secret, asked for or read from standard input."""
    from cli.tenants import delete_secret, put_secret

    if delete:
        raise typer.Exit(delete_secret(url, key, tenant, name))
    raise typer.Exit(put_secret(url, key, tenant, name, origin))


@tenants.command()
def limits(
    tenant: Tenant,
    turns_per_minute: Limit = None,
    live_turns: Limit = None,
    tokens_per_day: Limit = None,
    answer_tokens: Annotated[
        int | None, typer.Option(min=1, help="Reserved where a request names no maximum.")
    ] = None,
    max_body_bytes: Limit = None,
    max_message_chars: Limit = None,
    sessions_kept: Limit = None,
    kept_bytes: Limit = None,
    url: Url = LOCAL,
    key: Token = "",
) -> None:
    """Change some of a tenant's limits, and print all of them."""
    from cli.tenants import put_limits

    given = {
        "turns_per_minute": turns_per_minute,
        "live_turns": live_turns,
        "tokens_per_day": tokens_per_day,
        "answer_tokens": answer_tokens,
        "max_body_bytes": max_body_bytes,
        "max_message_chars": max_message_chars,
        "sessions_kept": sessions_kept,
        "kept_bytes": kept_bytes,
    }
    changed = {name: value for name, value in given.items() if value is not None}
    raise typer.Exit(put_limits(url, key, tenant, changed))


@tenants.command()
def rotate(url: Url = LOCAL, key: Token = "") -> None:
    """Seal all secrets again with the newest key."""
    from cli.tenants import rotate as rotate_all

    raise typer.Exit(rotate_all(url, key))


@tenants.command()
def audit(
    tenant: Annotated[str, typer.Argument(metavar="[ID]", help="This tenant's acts alone.")] = "",
    count: Annotated[int, typer.Option(min=1, help="How many, the latest first.")] = 50,
    url: Url = LOCAL,
    key: Token = "",
) -> None:
    """Print the audit log: who has changed what."""
    from cli.tenants import show_audit

    raise typer.Exit(show_audit(url, key, tenant, count))


# What needs no gateway.


@tenants.command()
def check(file: Annotated[Path, typer.Argument(metavar="FILE", help="A file of tenants.")]) -> None:
    """Check a file of tenants; if it is wrong, say how and exit with 1."""
    from cli.tenants_file import check as check_file

    raise typer.Exit(check_file(read_settings(), file))


@tenants.command()
def seal(
    tenant: Annotated[str, typer.Argument(metavar="[ID]", help="The tenant that it is for.")] = "",
    name: Annotated[str, typer.Argument(metavar="[NAME]", help="The secret's name.")] = "",
) -> None:
    """Seal a secret for a file; it is asked for, or read from standard input."""
    from cli.tenants_file import seal as seal_secret

    raise typer.Exit(seal_secret(read_settings(), tenant, name))


@tenants.command()
def resign(
    yes: Annotated[bool, typer.Option("--yes", help="Don't ask.")] = False,
) -> None:
    """Show the tenants and keys in the store, and sign them after asking: see docs/tenants.md."""
    from cli.resign import resign as resign_all

    raise typer.Exit(resign_all(read_settings(), yes))


@tenants.command("first")
def make_first(
    folder: Annotated[Path, typer.Argument(file_okay=False, help="Where the file and the key are to be.")],
) -> None:
    """Write a file of tenants with the default tenant and a key, unless it exists. Needs no gateway."""
    from cli.tenants_file import make_first as make

    raise typer.Exit(make(folder))


@tenants.command("new-key")
def new_key(
    tenant: Annotated[str, typer.Option(metavar="ID", help="The tenant.")],
    scope: Annotated[list[str], typer.Option(help="chat, read or admin; may be repeated.")],
    name: Annotated[str, typer.Option(help="What it is for.")] = "",
    expires_in: Annotated[str, typer.Option(metavar="90d", help="For how long it is valid.")] = "",
) -> None:
    """Make a key for a file; print it, which happens only once, and the lines for the file."""
    from cli.tenants_file import make_key as make_one

    raise typer.Exit(make_one(tenant, scope, name, expires_in))


@tenants.command()
def reseal(file: Annotated[Path, typer.Argument(metavar="FILE", help="A file of tenants.")]) -> None:
    """Seal all secrets of a file again with the newest key, in place."""
    from cli.tenants_file import reseal as reseal_file

    raise typer.Exit(reseal_file(read_settings(), file))
