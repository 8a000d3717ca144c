"""The command `fast-reply`. What a command needs is imported when it runs, so that help comes at once."""

import os
import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from cli.environment import given, read_serving_settings, read_settings, read_store_settings
from cli.tenant_commands import Token, tenants


class Switch(StrEnum):
    """The actions on a switch."""

    ON = "on"
    OFF = "off"
    SHOW = "show"


app = typer.Typer(
    name="fast-reply",
    help="An LLM gateway for voice agents: a small model speaks at once, the good one takes over.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

knowledge = typer.Typer(
    help="The documents that answers rest on.", no_args_is_help=True, rich_markup_mode=None
)
app.add_typer(knowledge, name="knowledge")
app.add_typer(tenants, name="tenants")

Port = Annotated[
    int | None, typer.Option(min=1, max=65535, help="Port to serve on (else FAST_REPLY_PORT, else 8000).")
]

Gateway = Annotated[str, typer.Option("--url", help="The gateway's address.")]
Key = Annotated[str, typer.Option(envvar="FAST_REPLY_KEY", help="The tenant's key.")]
Tenant = Annotated[str, typer.Option(help="Whose.")]
Collection = Annotated[str, typer.Option(help="The collection's name.")]
LOCAL = "http://127.0.0.1:8000"

FirstToken = Annotated[float | None, typer.Option(min=0, help="Milliseconds to its first token.")]
NextToken = Annotated[float | None, typer.Option(min=0, help="Milliseconds from token to token.")]


class WorkerLane(StrEnum):
    """The lanes that workers serve."""

    draft = "draft"
    full = "full"
    speech = "speech"


class WorkerKind(StrEnum):
    """The kinds of process that have a health check."""

    api = "api"
    draft = "draft"
    full = "full"
    speech = "speech"


class UsageBy(StrEnum):
    """The columns that usage may be grouped by."""

    DAY = "day"
    PROFILE = "profile"
    TOTAL = "total"


@app.command()
def up(
    port: Port = None,
    data: Annotated[Path | None, typer.Option(help="Keep the embedded Valkey's data here.")] = None,
    proof: Annotated[bool, typer.Option(help="Show one streamed turn once all is ready.")] = True,
    draft_workers: Annotated[int, typer.Option(min=1, help="How many draft workers.")] = 1,
    full_workers: Annotated[int, typer.Option(min=1, help="How many full workers.")] = 1,
    speech_workers: Annotated[int, typer.Option(min=0, help="How many speech workers.")] = 1,
) -> None:
    """Start everything on this machine: Valkey, simulator (each unless configured), API and workers."""
    from cli.stack import UpOptions
    from cli.up import run_up

    settings = read_serving_settings(port=port)
    raise typer.Exit(run_up(settings, UpOptions(data, proof, draft_workers, full_workers, speech_workers)))


@app.command()
def chat(
    message: Annotated[str | None, typer.Argument(help="Have this one turn and leave.")] = None,
    url: Annotated[str, typer.Option(help="The gateway's address.")] = "http://127.0.0.1:8000",
    model: Annotated[str, typer.Option(help="The profile to talk to.")] = "fast-reply",
    session: Annotated[str, typer.Option(help="Go on with the session of this name.")] = "",
    key: Annotated[str, typer.Option(envvar="FAST_REPLY_KEY", help="The tenant's key.")] = "",
) -> None:
    """Talk with the gateway, and see who speaks and when."""
    from cli.chat import chat as run_chat

    raise typer.Exit(run_chat(url, model=model, session=session, key=key, message=message))


@app.command("store-user")
def store_user(
    folder: Annotated[Path, typer.Argument(help="Where users.acl and redis-url are written.")],
    server: Annotated[str, typer.Option(help="The store, as the gateway calls it.")] = "valkey:6379",
) -> None:
    """Create the store's user with a generated password, once: see compose.yaml."""
    from cli.store_user import make_user

    raise typer.Exit(make_user(folder, server))


@app.command("gradio")
def gradio_chat(
    url: Gateway = LOCAL,
    key: Key = "",
    model: Annotated[str, typer.Option(help="The profile to talk to.")] = "fast-reply",
    host: Annotated[str, typer.Option(help="Address to serve the page on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port to serve the page on.")] = 7860,
) -> None:
    """Serve a chat page that shows who speaks. Needs Gradio (`pip install gradio`).

    FAST_REPLY_GRADIO_LOGIN=name:password asks visitors to log in; without it only this machine is served.
    """
    from cli.gradio_login import NoLogin, login_of

    try:
        login = login_of(os.environ.get("FAST_REPLY_GRADIO_LOGIN", ""), host)
    except NoLogin as error:
        print(error, file=sys.stderr)
        raise typer.Exit(2) from None
    try:
        from cli.gradio_chat import serve
    except ModuleNotFoundError as error:
        print(f"{error}. The page needs Gradio: pip install gradio", file=sys.stderr)
        raise typer.Exit(1) from None

    raise typer.Exit(serve(url, key, model, host, port, login))


@app.command()
def api(
    host: Annotated[str | None, typer.Option(help="Address to serve on (else FAST_REPLY_HOST).")] = None,
    port: Port = None,
) -> None:
    """Run one API process."""
    from api.main import serve

    serve(read_serving_settings(host=host, port=port))


@app.command()
def worker(lane: Annotated[WorkerLane, typer.Argument(help="The lane whose jobs it takes.")]) -> None:
    """Run one worker process."""
    from workers.main import serve

    serve(read_serving_settings(), lane.value)


@app.command()
def simulate(
    host: Annotated[str, typer.Option(help="Address to serve on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port to serve on.")] = 8100,
    answers: Annotated[
        list[Path] | None, typer.Option(help="A file of JSONL rows {prompt, draft, full}; may be repeated.")
    ] = None,
    draft_ttft_ms: FirstToken = None,
    draft_tpot_ms: NextToken = None,
    full_ttft_ms: FirstToken = None,
    full_tpot_ms: NextToken = None,
) -> None:
    """Run the simulator, a stand-in for model servers."""
    from dataclasses import replace

    from simulator.models import DRAFT, FULL
    from simulator.server import SimulatorConfig, run

    draft = replace(DRAFT, **given(ttft_ms=draft_ttft_ms, tpot_ms=draft_tpot_ms))
    full = replace(FULL, **given(ttft_ms=full_ttft_ms, tpot_ms=full_tpot_ms))
    run(host, port, SimulatorConfig(answers=tuple(answers or ()), draft=draft, full=full))


@app.command()
def whatif(
    recorded: Annotated[list[str], typer.Argument(metavar="FILE|SESSION...", help="Recorded turns.")],
    set_: Annotated[
        list[str] | None, typer.Option("--set", metavar="NAME=VALUE", help="Change the policy; repeatable.")
    ] = None,
    sweep: Annotated[
        list[str] | None, typer.Option(metavar="NAME=A,B,...", help="Try each of these; repeatable.")
    ] = None,
    json: Annotated[Path | None, typer.Option(metavar="FILE", help="Write all figures here, too.")] = None,
    jobs: Annotated[int | None, typer.Option(min=1, help="How many processes (else one a core).")] = None,
    tenant: Tenant = "default",
) -> None:
    """Fold recorded turns under another policy: show what would have been heard, and when."""
    from cli.whatif.command import run_whatif

    raise typer.Exit(
        run_whatif(read_store_settings(*recorded), recorded, set_ or [], sweep or [], json, jobs, tenant)
    )


@app.command()
def replay(
    recorded: Annotated[str, typer.Argument(metavar="SESSION|FILE", help="What to play.")],
    speed: Annotated[str, typer.Option(help="So many times the original pace, or max.")] = "1",
    turn: Annotated[str | None, typer.Option(metavar="ID", help="This turn alone.")] = None,
    tenant: Tenant = "default",
) -> None:
    """Play recorded turns in the terminal, at their own pace, each with a timeline."""
    from cli.replay import run_replay

    raise typer.Exit(run_replay(read_store_settings(recorded), recorded, speed, turn, tenant))


@app.command()
def export(
    session: Annotated[str, typer.Argument(help="The session's name.")],
    out: Annotated[Path, typer.Option(help="The file to write, one event a line.")],
    tenant: Tenant = "default",
) -> None:
    """Write a session's events to a file, from the store or the archive."""
    from cli.recordings import run_export

    raise typer.Exit(run_export(read_store_settings(), session, out, tenant))


@app.command()
def golden(
    files: Annotated[list[Path], typer.Argument(metavar="FILE", help="Recordings.")],
    keep: Annotated[bool, typer.Option("--keep", help="First write into them what is heard now.")] = False,
) -> None:
    """Check that recordings still fold to what was heard; exit with 1 if not."""
    from cli.golden import run_golden

    raise typer.Exit(run_golden(files, keeping=keep))


@app.command()
def healthy(kind: Annotated[WorkerKind, typer.Argument(help="The process that is asked after.")]) -> None:
    """Check this machine's process of that kind: exit with 0 if it is well, else with 1."""
    from cli.healthy import is_healthy

    raise typer.Exit(0 if is_healthy(read_settings(), kind.value) else 1)


@knowledge.command("add")
def knowledge_add(
    files: Annotated[
        list[Path], typer.Argument(exists=True, dir_okay=False, help="Text, Markdown, JSONL or JSON.")
    ],
    collection: Collection = "default",
    url: Gateway = LOCAL,
    key: Key = "",
) -> None:
    """Add the documents in these files to a collection."""
    from cli.knowledge import add

    raise typer.Exit(add(url, key, collection, files))


@knowledge.command("list")
def knowledge_list(
    collection: Annotated[str, typer.Option(help="List this collection's documents.")] = "",
    url: Gateway = LOCAL,
    key: Key = "",
) -> None:
    """List the collections, or a collection's documents."""
    from cli.knowledge import show

    raise typer.Exit(show(url, key, collection))


@knowledge.command("delete")
def knowledge_delete(
    documents: Annotated[list[str] | None, typer.Argument(help="The documents' ids.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="Delete the whole collection.")] = False,
    collection: Collection = "default",
    url: Gateway = LOCAL,
    key: Key = "",
) -> None:
    """Delete documents, or the whole collection with --all."""
    from cli.knowledge import delete

    if bool(documents) == everything:
        raise typer.BadParameter("name documents, or say --all")

    raise typer.Exit(delete(url, key, collection, documents or []))


@app.command()
def usage(
    tenant: Annotated[str, typer.Option(help="This tenant's alone, where the operator asks.")] = "",
    first: Annotated[str, typer.Option("--from", metavar="DATE", help="From this day on, in UTC.")] = "",
    last: Annotated[str, typer.Option("--to", metavar="DATE", help="Up to and with this day.")] = "",
    profile: Annotated[str, typer.Option(help="This profile's alone.")] = "",
    by: Annotated[
        UsageBy | None, typer.Option(help="What a row is for (else for a day and a profile).")
    ] = None,
    csv: Annotated[bool, typer.Option("--csv", help="All counters, as CSV.")] = False,
    url: Gateway = LOCAL,
    key: Annotated[
        str,
        typer.Option(
            envvar=["FAST_REPLY_OPERATOR_TOKEN", "FAST_REPLY_KEY"],
            help="The operator's token, or the tenant's key.",
        ),
    ] = "",
) -> None:
    """Show what turns have cost, by default in the last 30 days."""
    from cli.usage import show

    asked = {"tenant": tenant, "from": first, "to": last, "profile": profile, "by": by.value if by else ""}
    given = {name: value for name, value in asked.items() if value}
    raise typer.Exit(show(url, key, given, as_csv=csv))


@app.command("full-only")
def full_only(
    state: Annotated[Switch, typer.Argument(help="on, off, or show what it is.")] = Switch.SHOW,
    tenant: Tenant = "default",
) -> None:
    """Switch a tenant to its full alone, which stops all drafts at once, or back."""
    from cli.switch import switch_full_only

    print(switch_full_only(read_store_settings(), state.value, tenant))


@app.command()
def parked(url: Gateway = LOCAL, key: Token = "") -> None:
    """List the turns that were given up because they cost too many processes."""
    from cli.tenants import show_parked

    raise typer.Exit(show_parked(url, key))


if __name__ == "__main__":
    app()
