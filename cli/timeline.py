"""A turn as a picture: a line for each lane over the turn's time, and under it when its marks were."""

from typing import Any

from rich.text import Text

from cli.show import LANE_STYLES

_NAME = 8  # cells for a lane's name
_NARROWEST = 20

MARKS = {
    "queued": "q",
    "started": "s",
    "first token": "t",
    "hand-over": "H",
    "cancelled": "x",
    "ended": "|",
}
"""Each moment of a lane by its sign. Of two in one cell the later is drawn."""


def draw(report: dict[str, Any], width: int) -> list[Text]:
    """Return the lines of a turn's report, at most this many cells wide if possible."""
    moments = {lane: _moments(report, lane) for lane in report["lanes"]}
    fillers = [filler["ms"] for filler in report["fillers"] or ()]
    ends = [report["ended_ms"] or 0, *fillers, *(ms for own in moments.values() for ms in own.values())]
    cells = max(_NARROWEST, width - _NAME - 1)
    scale = _Scale(max(1, *ends), cells)
    lines = [_axis(scale)]
    if fillers:
        lines.append(_line("filler", scale, dict.fromkeys(map(scale.cell, fillers), "f"), None))
    for lane, own in moments.items():
        lines += _draw_lane(lane, own, report["lanes"][lane]["error"], scale)
    return [*lines, _summary(report)]


class _Scale:
    """Cells for times: the first is the turn's start, the last its end."""

    def __init__(self, last_ms: int, cells: int) -> None:
        self.last_ms = last_ms
        self.cells = cells

    def cell(self, ms: int) -> int:
        """Return the cell of a time."""
        return round(min(max(ms, 0), self.last_ms) / self.last_ms * (self.cells - 1))


def _moments(report: dict[str, Any], lane: str) -> dict[str, int]:
    """The moments of a lane by their name, in the order of MARKS."""
    of = report["lanes"][lane]
    cancelled = of["reason"] == "cancelled"
    times = {
        "queued": of["queued_ms"],
        "started": of["started_ms"],
        "first token": of["first_token_ms"],
        "hand-over": report["handed_over_ms"] if lane == "full" else None,
        "cancelled": of["finished_ms"] if cancelled else None,
        "ended": None if cancelled else of["finished_ms"],
    }
    return {name: ms for name, ms in times.items() if ms is not None}


def _axis(scale: _Scale) -> Text:
    end = f"{scale.last_ms:,} ms"
    return Text(" " * _NAME + "0" + end.rjust(scale.cells - 1), "dim")


def _draw_lane(lane: str, moments: dict[str, int], error: dict[str, Any] | None, scale: _Scale) -> list[Text]:
    marks = {scale.cell(ms): MARKS[name] for name, ms in sorted(moments.items(), key=lambda at: at[1])}
    begun = moments.get("first token")
    last = moments.get("cancelled", moments.get("ended", scale.last_ms))
    speaks = None if begun is None else range(scale.cell(begun), scale.cell(last))
    told = " · ".join(f"{MARKS[name]} {name} {ms:,}" for name, ms in moments.items())
    failed = f" ({error['code']})" if error else ""
    return [_line(lane, scale, marks, speaks), Text(" " * _NAME + (told or "not begun") + failed, "dim")]


def _line(lane: str, scale: _Scale, marks: dict[int, str], speaks: range | None) -> Text:
    style = LANE_STYLES.get(lane, "")
    cells = ["━" if speaks and cell in speaks else "·" for cell in range(scale.cells)]
    for cell, mark in marks.items():
        cells[cell] = mark
    line = Text(f"{lane:<{_NAME}}", f"bold {style}")
    return line.append("".join(cells).rstrip("·") or "·", style)


def _summary(report: dict[str, Any]) -> Text:
    """Describe in one line how the turn ended."""
    first, reason = report["first_sound_ms"], report["reason"]
    parts = [
        f"first sound {first:,} ms" if first is not None else "",
        f"{reason} at {report['ended_ms']:,} ms" if reason and report["ended_ms"] is not None else reason,
        *(f"calls {call['name']}" for call in report["tool_calls"] or ()),
        "degraded" if report["degraded"] else "",
        report["error"]["code"] if report["error"] else "",
        _stopped(report),
        "drift: it was heard otherwise" if report["drift"] else "",
        _unknown(report) if report["text"] is None else "",
    ]
    return Text(" " * _NAME + (" · ".join(filter(None, parts)) or "goes on"), "dim")


def _unknown(report: dict[str, Any]) -> str:
    if report["record"] == "none":
        return "what was said is not kept"
    return f"folded by version {report['fold']}: what was heard is unknown"


def _stopped(report: dict[str, Any]) -> str:
    if not (interrupted := report["interrupted"]):
        return ""
    heard = interrupted["heard"]
    late = "" if report["reason"] == "interrupted" else "interrupted "
    return f"{late}by {interrupted['by']}" + ("" if heard is None else f", {heard} characters heard")
