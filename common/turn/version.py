"""Which turns this code folds: those of its own version, under a policy that it knows."""

from pydantic import ValidationError

from common.events import TurnStarted
from common.turn.policy import AS_STORED, Policy

FOLD_VERSION = 4


class UnknownFold(ValueError):
    """The turn was written for a version of the fold that this code is not."""


def policy_of(started: TurnStarted) -> Policy:
    """The policy by which a turn is folded. Raises UnknownFold."""
    if started.fold != FOLD_VERSION:
        raise UnknownFold(f"the turn was folded by version {started.fold}, this is version {FOLD_VERSION}")
    try:
        return Policy.model_validate(started.policy, context=AS_STORED)
    except ValidationError:
        raise UnknownFold("the turn has a policy that this version doesn't know") from None
