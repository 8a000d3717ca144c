"""Usage reports: filtered by days and profile, grouped as asked, in JSON or CSV."""

import csv
import io
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

import orjson

from api.schemas import UsageList, UsageRow
from common.errors import BadRequest
from common.tenants.usage import COUNTERS, FAILURE, Counts, Used, tokens

MOST_DAYS = 400
_USUAL_DAYS = 30
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)
GROUPINGS = {"day": ("day",), "profile": ("profile",), "total": ()}
"""The columns to group by, for each value of `by`."""
_USUAL = ("day", "profile")
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")

Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class UsageQuery:
    """The usage that is asked for; both days are included. `profile`: None for all; `columns`: what to
    group by.
    """

    first: date
    last: date
    profile: str | None
    columns: tuple[str, ...]
    csv: bool


def read_query(query: Mapping[str, str], accept: str, today: date) -> UsageQuery:
    """Return the query that these parameters state. Raises BadRequest with the parameter's name."""
    last = _date("to", query["to"]) if query.get("to") else today
    first = _date("from", query["from"]) if query.get("from") else _usual_first(last)
    if first > last:
        raise BadRequest("from is later than to", param="from")
    if (last - first).days >= MOST_DAYS:
        raise BadRequest(f"at most {MOST_DAYS} days can be asked for at once", param="from")
    by = query.get("by")
    if by and by not in GROUPINGS:
        raise BadRequest("by is day, profile or total", param="by")
    form = query.get("format") or ("csv" if "text/csv" in accept else "json")
    if form not in ("json", "csv"):
        raise BadRequest("format is json or csv", param="format")
    return UsageQuery(first, last, query.get("profile"), GROUPINGS[by] if by else _USUAL, form == "csv")


def _date(param: str, text: str) -> date:
    if _DATE.fullmatch(text):
        try:
            return date.fromisoformat(text)
        except ValueError:
            pass
    raise BadRequest(f"{param} is a date like 2026-11-21", param=param)


def _usual_first(last: date) -> date:
    return date.fromordinal(max(1, last.toordinal() - _USUAL_DAYS + 1))


class Table:
    """Collects usage, grouped as asked. `tenants`: group by tenant, too."""

    def __init__(self, asked: UsageQuery, *, tenants: bool = False) -> None:
        self._asked = asked
        self._columns = (*(("tenant",) if tenants else ()), *asked.columns)
        self._rows: dict[tuple[str, ...], Counts] = {}
        self._total: Counts = {}

    def add(self, tenant: str, used: Iterable[Used]) -> None:
        """Add the usage of a tenant."""
        for each in used:
            if self._asked.profile in (None, each.profile):
                about = {"tenant": tenant, "day": each.day.isoformat(), "profile": each.profile}
                row = self._rows.setdefault(tuple(about[name] for name in self._columns), {})
                for name, number in each.counts.items():
                    row[name] = row.get(name, 0) + number
                    self._total[name] = self._total.get(name, 0) + number

    def as_list(self) -> UsageList:
        """Return the rows in order, and their total. Fields that are not set were not asked for."""
        rows = [UsageRow(object="usage", **row) for row in self._in_order()]
        total = {name: number for name, number in _shown(self._total).items() if name != "failures"}
        return UsageList(object="list", data=rows, total=total)

    def as_csv(self) -> str:
        """Return the rows in order below a header, in the format of RFC 4180."""
        text = io.StringIO(newline="")
        names = [*self._columns, *_shown({})]
        writer = csv.DictWriter(text, names, lineterminator="\r\n")
        writer.writeheader()
        for row in self._in_order():
            writer.writerow({name: _cell(value) for name, value in row.items()})
        return text.getvalue()

    def _in_order(self) -> Iterable[Row]:
        for about, counts in sorted(self._rows.items()):
            yield {**dict(zip(self._columns, about, strict=True)), **_shown(counts)}


def _shown(counts: Counts) -> Row:
    failures = {
        name.removeprefix(FAILURE): n for name, n in sorted(counts.items()) if name.startswith(FAILURE)
    }
    counted = {name: counts.get(name, 0) for name in COUNTERS}
    return {**counted, "total_tokens": tokens(counts), "failures": failures}


def _cell(value: str | int | dict[str, int]) -> str | int:
    """Return a cell that no spreadsheet takes for a formula."""
    if isinstance(value, dict):
        return orjson.dumps(value).decode()
    return f"'{value}" if isinstance(value, str) and value.startswith(_FORMULA) else value
