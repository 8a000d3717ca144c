"""Shapes for the OpenAPI document of the policy that a request may set. `Policy` itself reads it."""

from typing import Any

from pydantic import ConfigDict, Field
from pydantic.config import JsonDict

from common.turn.overrides import NEVER
from common.turn.policy import ApologyPolicy, DraftPolicy, FillerPolicy, HandoverPolicy, Policy


def _wished(part: str = "") -> Any:
    """Without what no request sets, and without defaults: what isn't said stays as the profile has it."""

    def change(schema: JsonDict) -> None:
        properties = schema["properties"]
        assert isinstance(properties, dict)
        for name, each in list(properties.items()):
            if f"{part}{name}" in NEVER:
                del properties[name]
            elif isinstance(each, dict):
                each.pop("default", None)

    return ConfigDict(json_schema_extra=change)


class WishedHandoff(HandoverPolicy):
    """The handover: when the full model takes over, where the draft is cut, how the texts join."""

    model_config = _wished("handoff.")


class WishedDraft(DraftPolicy):
    """The draft: whether there is one, how it speaks, and what of it is sent as it comes."""

    model_config = _wished("draft.")


class WishedFiller(FillerPolicy):
    """The phrases that are said after a silence, by language, under our names or JAICP's; "*" is any."""

    model_config = _wished("filler.")

    fillerPhrase: str | None = None
    fillerPhrasesList: list[str] | None = None
    activationDelayMs: int = Field(default=2_000, ge=0, le=60_000)  # `delay_ms`


class WishedApology(ApologyPolicy):
    """The phrases that are said if a turn fails unanswered, by language; "*" is any language."""

    model_config = _wished("apology.")


class WishedPolicy(Policy):
    """The policy of this turn. What is left out is as the profile has it."""

    model_config = _wished()

    handoff: WishedHandoff = WishedHandoff()
    draft: WishedDraft = WishedDraft()
    filler: WishedFiller = WishedFiller()
    apology: WishedApology = WishedApology()
