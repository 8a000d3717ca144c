"""The process's own log lines: a static message and facts as fields, never anybody's words.

Messages of libraries about an exception, a warning or an argument may hold such words, so only the kind and
place are logged.
"""

import logging
import re
import sys
import threading
import warnings
from pathlib import Path
from typing import Any

import orjson

from common.process.bugs import about

_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "taskName", "color_message"}
_OURS = frozenset(("api", "workers", "common", "cli", "fast_reply", "simulator", "uvicorn"))
_STATIC = re.compile(r"[\w' -]*")  # the static part of asyncio's messages, before the call and its arguments
_PLACES = 12

logger = logging.getLogger(__name__)


class JsonLines(logging.Formatter):
    """Formats a record as one line of JSON: time, level, logger, message, and all `extra` fields."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "time": self.formatTime(record),
            "level": record.levelname,
            "logger": record.name,
            "message": _message(record),
        }
        line |= {key: value for key, value in vars(record).items() if key not in _STANDARD}
        if record.exc_info and (bug := record.exc_info[1]):
            line["exception"] = about(bug, _PLACES)
        return orjson.dumps(line, default=_fact).decode()


def _fact(value: Any) -> str:
    return type(value).__name__ if isinstance(value, BaseException) else str(value)


def _message(record: logging.LogRecord) -> str:
    """Return the message; for other people's code, without its arguments."""
    if record.name.partition(".")[0] in _OURS:
        return record.getMessage()
    if isinstance(record.msg, BaseException):
        return type(record.msg).__name__
    said = str(record.msg)
    found = _STATIC.match(said) if record.name == "asyncio" else None
    return found[0].strip() if found else said


def set_up_logs(level: str) -> None:
    """Send all log lines to standard error, and everything that Python itself would print there."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines())
    logging.basicConfig(level=level, handlers=[handler], force=True)
    for chatty in ("httpx", "httpcore", "uvicorn.access"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
    # arq's lines name sessions, in job ids and arguments; we log the outcome of jobs ourselves.
    logging.getLogger("arq").setLevel(logging.CRITICAL)
    sys.excepthook = _tell_end
    sys.unraisablehook = lambda what: _tell("something could not be tidied up", what.exc_value)
    threading.excepthook = lambda what: _tell("a thread broke", what.exc_value)
    warnings.showwarning = _tell_warning


def _tell_end(kind: type[BaseException], bug: BaseException, trace: Any) -> None:
    if isinstance(bug, KeyboardInterrupt):
        sys.__excepthook__(kind, bug, trace)
    else:
        logger.critical("the process ends", extra=about(bug, _PLACES))


def _tell(what: str, bug: BaseException | None) -> None:
    logger.error(what, extra=about(bug, _PLACES) if bug else {})


def _tell_warning(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: Any = None,
    line: Any = None,
) -> None:
    logger.warning(
        "Python warns", extra={"error": category.__name__, "at": f"{Path(filename).name}:{lineno}"}
    )
