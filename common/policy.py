"""How the two lanes of a turn share its answer: set per profile, and per request."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from common.settings import Settings


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class HandoffPolicy(_Part):
    """When the full overtakes, where the draft is cut, how the full's text follows."""

    when: Literal["sentence", "first_token", "length"] = "sentence"
    cut: Literal["sentence", "now"] = "sentence"
    join: Literal["append"] = "append"
    min_chars: int = Field(default=120, ge=1, le=10_000)
    overrun_chars: int = Field(default=120, ge=0, le=10_000)


class DraftPolicy(_Part):
    """What of the draft goes out as it comes."""

    release: Literal["token", "sentence"] = "token"


class Policy(_Part):
    """Everything the fold is told beside the events. Rests in `turn.started`."""

    handoff: HandoffPolicy = HandoffPolicy()
    draft: DraftPolicy = DraftPolicy()
    deadline_ms: int = Field(default=120_000, ge=1_000, le=3_600_000)
    max_chars: int = Field(default=64_000, ge=1, le=1_000_000)
    on_disconnect: Literal["cancel", "continue"] = "cancel"

    @staticmethod
    def of(settings: Settings) -> "Policy":
        """The default profile's policy. Raises ValueError where a setting is out of range."""
        return Policy.model_validate(
            {
                "handoff": {
                    "when": settings.handoff_when,
                    "cut": settings.handoff_cut,
                    "min_chars": settings.handoff_min_chars,
                    "overrun_chars": settings.handoff_overrun_chars,
                },
                "draft": {"release": settings.draft_release},
                "deadline_ms": int(settings.turn_deadline_s * 1000),
                "max_chars": settings.turn_max_chars,
            }
        )
