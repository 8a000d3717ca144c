"""The policy by which the lanes of a turn share its answer, set per profile and per request."""

from collections.abc import Set
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationInfo, model_validator

from common.text.own_rules import check_rules
from common.turn.joins.registry import JoinName

AS_STORED = "as it was stored"
"""The context in which a policy is read that was written down, perhaps by a version that allowed more."""

LONGEST_TURN_MS = 3_600_000
"""The longest deadline that a policy may set; no turn is live for longer."""


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


def _sound(rules: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
    """Rules that were written down before stay, sound or not: the guard says what becomes of those."""
    if info.context != AS_STORED:
        kept: Set[str] = getattr(info.context, "kept_rules", frozenset())
        check_rules([rule for rule in rules if rule not in kept])
    return rules


class HandoverPolicy(_Part):
    """The handover: when the full model takes over, where the draft is cut, how the texts join."""

    when: Literal["sentence", "first_token", "length"] = "sentence"
    cut: Literal["sentence", "now"] = "sentence"
    join: JoinName = "skip_repeat"
    min_chars: int = Field(default=120, ge=1, le=10_000)
    overrun_chars: int = Field(default=300, ge=0, le=10_000)
    continue_wait_ms: int = Field(default=700, ge=0, le=10_000)
    shadow: bool = False


class DraftPolicy(_Part):
    """The draft: whether there is one, how it speaks, and what of it is sent as it comes."""

    when: Literal["always", "never", "adaptive"] = "always"
    slow_ms: int = Field(default=800, ge=0, le=60_000)  # adaptive: a full slower than this is worth a draft
    hedge_ms: int = Field(
        default=600, ge=0, le=60_000
    )  # adaptive: silence after which one starts all the same
    release: Literal["token", "sentence"] = "token"
    style: Literal["bridge", "answer"] = "bridge"
    guard: bool = False
    guard_rules: Annotated[tuple[str, ...], AfterValidator(_sound)] = ()
    max_chars: int = Field(default=4_000, ge=1, le=10_000)
    off_with_tools: tuple[str, ...] = ()  # names of tools; "*" is any
    off_in_states: tuple[str, ...] = ()
    off_if_metadata: dict[str, tuple[str, ...]] = {}


_JAICP_FILLER = {"fillerPhrase", "fillerPhrasesList", "activationDelayMs"}


class FillerPolicy(_Part):
    """The phrases that are said after a silence, by language; "*" is any language."""

    phrases: dict[str, tuple[str, ...]] = {}
    delay_ms: int = Field(default=2_000, ge=0, le=60_000)
    interval_ms: int = Field(default=4_000, ge=500, le=60_000)
    maximum: int = Field(default=1, ge=0, le=20)

    @model_validator(mode="before")
    @classmethod
    def _read_jaicp(cls, values: Any) -> Any:
        """JAICP's names for the same: one phrase and a list are one choice, in any language.

        Source: https://help.cloud.just-ai.com/en/jaicp/bot-replies/llmRequest (fillersPhraseConfig)
        """
        if not isinstance(values, dict) or not values.keys() & _JAICP_FILLER:
            return values
        ours = {name: value for name, value in values.items() if name not in _JAICP_FILLER}
        one, several = values.get("fillerPhrase"), values.get("fillerPhrasesList") or []
        if one or several:
            rest = several if isinstance(several, list | tuple) else [several]  # which is told to be wrong
            ours["phrases"] = {"*": [*([one] if one else []), *rest]}
        if "activationDelayMs" in values:
            ours["delay_ms"] = values["activationDelayMs"]
        return ours

    @property
    def is_early(self) -> bool:
        """Return True if a filler would come before most answers had their chance."""
        return bool(self.phrases) and self.delay_ms < 500


class ApologyPolicy(_Part):
    """The phrases that are said if a turn fails unanswered, by language; "*" is any language."""

    phrases: dict[str, tuple[Annotated[str, Field(min_length=1, max_length=500)], ...]] = {}


class Policy(_Part):
    """The rules by which a turn's draft and full answer become one. It is recorded in the turn's start."""

    handoff: HandoverPolicy = HandoverPolicy()
    draft: DraftPolicy = DraftPolicy()
    filler: FillerPolicy = FillerPolicy()
    apology: ApologyPolicy = ApologyPolicy()
    deadline_ms: int = Field(default=120_000, ge=1_000, le=LONGEST_TURN_MS)
    max_chars: int = Field(default=64_000, ge=1, le=1_000_000)
    on_disconnect: Literal["cancel", "resume", "continue"] = "cancel"
    barge_in: bool = True  # the session's next turn stops this one
