"""Parameters of a draft that its model's server refuses: renamed or left out from then on."""

from typing import Any

from common.tenants.profiles import Upstream
from workers.lanes.refusals import named_parameter, says
from workers.providers.base import UpstreamError

_NEWER = {"max_tokens": "max_completion_tokens"}
_MOST_NAMES = 1_000


class Relearned:
    """The refused parameters that this worker has learned of the servers that it asks for drafts."""

    def __init__(self) -> None:
        self._changes: dict[tuple[str, str, str], dict[str, str | None]] = {}

    def adapt(self, upstream: Upstream, body: dict[str, Any]) -> dict[str, Any]:
        """The request as its server takes it."""
        for name, newer in self._changes.get(_name(upstream), {}).items():
            if name in body:
                value = body[name]
                body = {key: each for key, each in body.items() if key != name}
                if newer:
                    body[newer] = value
        return body

    def learn(self, upstream: Upstream, error: UpstreamError, names: list[str]) -> bool:
        """Learn a refused parameter of ours; return True if it is worth asking without it."""
        known = self._changes.get(_name(upstream), {})
        sent = [newer for name in names if (newer := known.get(name, name))]
        wrong = named_parameter(error, sent)
        if wrong is None or (not known and len(self._changes) >= _MOST_NAMES):
            return False
        newer = _NEWER.get(wrong)
        renamed = newer if newer and says(error, newer) else None
        name = next((old for old, new in known.items() if new == wrong), wrong)
        self._changes[_name(upstream)] = {**known, name: renamed}
        return True


def _name(upstream: Upstream) -> tuple[str, str, str]:
    return upstream.tenant, upstream.base_url, upstream.model
