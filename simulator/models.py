"""Chooses a model's behaviour: by configuration, by name, or as set at run time."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from simulator.behaviour import Behaviour, behaviour_from_json, is_draft

DRAFT = Behaviour(ttft_ms=120, tpot_ms=12.5)
FULL = Behaviour(ttft_ms=900, tpot_ms=25)


@dataclass(frozen=True, slots=True)
class SimulatorConfig:
    """Answers files, the behaviour of the two kinds of models, and of single models by name."""

    answers: tuple[Path, ...] = ()
    draft: Behaviour = DRAFT
    full: Behaviour = FULL
    models: Mapping[str, Behaviour] = field(default_factory=dict)


class Models:
    """Behaviour by model name; every name is a model."""

    def __init__(self, config: SimulatorConfig) -> None:
        self._config = config
        self._set: dict[str, Behaviour] = {}

    def names(self) -> list[str]:
        """The models worth listing: the usual two, the configured and the set ones."""
        return list(dict.fromkeys(["draft", "full", *self._config.models, *self._set]))

    def behaviour(self, name: str) -> Behaviour:
        """Return the model's present behaviour."""
        return self._set.get(name) or self._configured(name)

    def set(self, name: str, value: object) -> None:
        """Put the fields of a JSON object over the configured behaviour; raises BehaviourError."""
        self._set[name] = behaviour_from_json(value, self._configured(name))

    def restore(self, name: str) -> None:
        """Go back to the configured behaviour."""
        self._set.pop(name, None)

    def _configured(self, name: str) -> Behaviour:
        by_kind = self._config.draft if is_draft(name) else self._config.full
        return self._config.models.get(name, by_kind)
