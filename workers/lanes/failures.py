"""Telling the operator of models that fail: once a turn for the full, and where no draft comes through."""

import logging
import time
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from common.names import JobRef
from common.tenants.profiles import Upstream
from workers.providers.base import UpstreamError

logger = logging.getLogger(__name__)

_AGAIN_S = 600.0  # drafts that are refused for good are told of so often
_MOST_NAMES = 1_000


@dataclass(slots=True)
class Failures:
    """The models of one lane that have failed in an attempt, in the order in which they were asked."""

    told: list[dict[str, Any]] = field(default_factory=list)

    def add(self, upstream: Upstream, error: UpstreamError) -> None:
        self.told.append(
            {
                "model": upstream.model[:200],
                "host": host_of(upstream),
                "status": error.status,
                "code": error.code,
            }
        )

    def warn(self, job: JobRef, *, answered: bool) -> None:
        """One line for the turn: who failed last, and who before."""
        if not self.told:
            return
        message = "a model failed, another has answered" if answered else "the full failed"
        before = {"before": self.told[:-1]} if self.told[1:] else {}
        facts = {"tenant": job.turn.session.tenant, "turn": job.turn.turn, **self.told[-1], **before}
        logger.warning(message, extra=facts)


class RefusedDrafts:
    """Which draft models have refused every draft since they last gave one."""

    def __init__(self) -> None:
        self._refused: dict[tuple[str, str, str], tuple[int, float]] = {}  # how often, told at

    def note(self, upstream: Upstream, job: JobRef, error: UpstreamError | None) -> None:
        """Take note of how a draft went; where all are refused that is told, now and then."""
        name = (upstream.tenant, upstream.base_url, upstream.model)
        if error is None:
            self._refused.pop(name, None)
        elif error.status and 400 <= error.status < 500 and error.status != 429:
            times, told_s = self._refused.get(name, (0, float("-inf")))
            now_s, times = time.monotonic(), times + 1
            if now_s - told_s >= _AGAIN_S:
                told_s = now_s
                facts = {"model": upstream.model[:200], "host": host_of(upstream), "refused": times}
                about = {"tenant": job.turn.session.tenant, "status": error.status, "code": error.code}
                logger.warning("every draft is refused", extra={**about, **facts})
            if len(self._refused) < _MOST_NAMES or name in self._refused:
                self._refused[name] = (times, told_s)


def host_of(upstream: Upstream) -> str:
    """An upstream's host, and no more of its URL, which may hold a key."""
    try:
        parts = urlsplit(upstream.base_url)
        return (
            f"{parts.hostname or parts.scheme}:{parts.port}" if parts.port else parts.hostname or parts.scheme
        )
    except ValueError:
        return ""
