"""Filler phrases: which of a policy's are right for a conversation."""

from typing import Any

from common.events import TurnStarted
from common.text.language import language_of_messages
from common.turn.policy import FillerPolicy

# Said while something is looked up, where the policy has no phrases of its own.
_WAITING = {
    "en": ("One moment, I'm looking that up.", "Let me look that up for you."),
    "zh": ("请稍等，我查一下。", "好的，我来查询一下。"),
    "ru": ("Одну минуту, сейчас посмотрю.", "Сейчас уточню, подождите, пожалуйста."),
    "de": ("Einen Moment, ich sehe nach.",),
    "es": ("Un momento, lo estoy consultando.",),
    "fr": ("Un instant, je regarde.",),
    "pt": ("Um momento, vou verificar.",),
    "it": ("Un momento, controllo.",),
    "ja": ("少々お待ちください。お調べします。",),
    "ko": ("잠시만요, 찾아보겠습니다.",),
    "ar": ("لحظة من فضلك، سأبحث عن ذلك.",),
    "hi": ("एक क्षण, मैं देखता हूँ।",),
}


def waiting(policy: FillerPolicy, *, drafted: bool = False) -> FillerPolicy:
    """The policy where something is looked up: a phrase is said at once, or once a draft turns out silent."""
    update: dict[str, Any] = {"phrases": policy.phrases or _WAITING}
    return policy.model_copy(update=update if drafted else {**update, "delay_ms": 0})


def phrases_for(policy: FillerPolicy, messages: list[dict[str, Any]]) -> tuple[str, ...]:
    """The phrases in the conversation's language, else those for any.

    Where nothing tells it and there are none for any: those of the only language there is, else English.
    """
    phrases, language = policy.phrases, language_of_messages(messages, "")
    found = phrases.get(language) or phrases.get("*", ())
    if found or language:
        return found
    only = [said for said in phrases.values() if said]
    return only[0] if len(only) == 1 else phrases.get("en", ())


def conversation(started: TurnStarted) -> list[dict[str, Any]]:
    """The turn's messages as they tell its language: after the profile's own prompt."""
    prompt = started.lanes.get("full", {}).get("prompt") or ""
    return [{"role": "system", "content": prompt}, *(started.request.get("messages") or [])]
