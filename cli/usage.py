"""`fast-reply usage`: what turns have cost, as a running gateway tells it."""

from typing import Any
from urllib.parse import urlencode

import httpx
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from cli.conversation import refusal
from cli.gateway import Refused, run, send
from cli.show import printable
from common.tenants.api_keys import id_of

_WHOLE = 1_000  # characters a line: better wrapped by a narrow terminal than figures cut
_ABOUT = ("tenant", "day", "profile")
_COLUMNS = {
    "turns": ("turns",),
    "failed": ("failed",),
    "hand-overs": ("hand_overs",),
    "draft wins": ("draft_wins",),
    "draft tokens": ("draft_prompt_tokens", "draft_completion_tokens"),
    "full tokens": ("full_prompt_tokens", "full_completion_tokens"),
    "wasted": ("draft_wasted_tokens", "full_wasted_tokens"),
    "all tokens": ("total_tokens",),
}


def show(url: str, key: str, query: dict[str, str], *, as_csv: bool) -> int:
    """Print usage as a table or as CSV; return the exit code.

    A tenant's key shows that tenant's usage, the operator's token shows all.
    """

    async def work(client: httpx.AsyncClient) -> None:
        is_own = not key or id_of(key) is not None
        if is_own and "tenant" in query:
            raise Refused("a tenant's key shows its own usage: --tenant is for the operator's token")
        asked = {**query, "format": "csv" if as_csv else "json"}
        path = f"{'/v1' if is_own else '/admin'}/usage?{urlencode(asked)}"
        if as_csv:
            print(await _text(client, path), end="")
        else:
            Console(width=_WHOLE).print(_table(await send(client, "GET", path)))

    return run(url, key, work)


async def _text(client: httpx.AsyncClient, path: str) -> str:
    reply = await client.get(path)
    if not reply.is_success:
        raise Refused(refusal(reply.status_code, reply.content))
    return reply.text


def _table(usage: dict[str, Any]) -> Table:
    """Rows and their sum; all counters are in the CSV alone."""
    rows = usage["data"]
    about = [name for name in _ABOUT if rows and name in rows[0]]
    table = Table(box=SIMPLE_HEAD, show_edge=False, show_footer=len(rows) > 1, padding=0)
    for number, name in enumerate(about):
        table.add_column(name, footer="all" if number == 0 else "")
    for name, counters in _COLUMNS.items():
        table.add_column(name, justify="right", footer=_sum(usage["total"], counters))
    for row in rows:
        sums = [_sum(row, counters) for counters in _COLUMNS.values()]
        table.add_row(*(Text(printable(str(row[name]))) for name in about), *sums)
    return table


def _sum(counts: dict[str, int], counters: tuple[str, ...]) -> str:
    return f"{sum(counts[name] for name in counters):,}"
