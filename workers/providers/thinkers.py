"""Models that begin in thought and mark only its end: known by name, or learned from an answer."""

from collections import OrderedDict
from collections.abc import Sequence

from common.tenants.profiles import Upstream
from workers.providers.tidying import Tidier

_MOST = 10_000


class Thinkers:
    """The models that are known to begin with thoughts. `names` are parts of models' names."""

    def __init__(self, names: Sequence[str]) -> None:
        self._names = tuple(name.lower() for name in names if name)
        self._learned: OrderedDict[tuple[str, str, str], None] = OrderedDict()

    def begins(self, upstream: Upstream) -> bool:
        """Return True if the model's text is to be held back until its thought has ended."""
        model = upstream.model.lower()
        return _name(upstream) in self._learned or any(name in model for name in self._names)

    def heard(self, upstream: Upstream, tidy: Tidier) -> None:
        """Learn from an answer that has ended whether its model begins with a thought."""
        name = _name(upstream)
        if tidy.ended_unbegun:
            self._learned[name] = None
            self._learned.move_to_end(name)
            if len(self._learned) > _MOST:
                self._learned.popitem(last=False)
        else:
            self._learned.pop(name, None)  # it thinks no more, or as others do


def _name(upstream: Upstream) -> tuple[str, str, str]:
    return upstream.tenant, upstream.base_url, upstream.model
