"""Filler phrases: which of a policy's are right for a conversation."""

from typing import Any

from common.language import language_of_messages
from common.policy import FillerPolicy

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


def waiting(policy: FillerPolicy) -> FillerPolicy:
    """The policy where something is looked up and no draft speaks: a phrase is said at once."""
    return policy.model_copy(update={"phrases": policy.phrases or _WAITING, "delay_ms": 0})


def phrases_for(policy: FillerPolicy, messages: list[dict[str, Any]]) -> tuple[str, ...]:
    """The phrases in the language of the user's last message; those for any language where there are none."""
    return policy.phrases.get(language_of_messages(messages)) or policy.phrases.get("*", ())
