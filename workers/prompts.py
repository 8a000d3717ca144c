"""What each lane's model is sent."""

from typing import Any

from common.events import TurnStarted
from common.keys import Lane
from common.language import language_of_messages
from common.settings import Prefix

Message = dict[str, Any]

# For servers that can't be asked to go on from a text: the same wish as a note, in the caller's language.
_NOTES = {
    "en": "You have already said this aloud: «{said}» Go on from exactly there. Repeat none of it.",
    "zh": "你已经说出了这段话：“{said}”请紧接着往下说，不要重复已经说过的内容。",
    "ru": "Вы уже произнесли вслух: «{said}» Продолжайте точно с этого места и ничего из этого не повторяйте.",
    "de": "Sie haben bereits laut gesagt: „{said}“ Sprechen Sie genau dort weiter und wiederholen Sie nichts davon.",
    "es": "Ya has dicho en voz alta: «{said}» Continúa exactamente desde ahí sin repetir nada.",
    "fr": "Vous avez déjà dit à voix haute : « {said} » Continuez exactement à partir de là, sans rien répéter.",
    "pt": "Você já disse em voz alta: «{said}» Continue exatamente daí, sem repetir nada.",
    "it": "Hai già detto ad alta voce: «{said}» Continua esattamente da lì, senza ripetere nulla.",
    "ja": "あなたはすでに「{said}」と話しました。繰り返さずに、その続きから話してください。",
    "ko": "이미 다음과 같이 말했습니다: “{said}” 반복하지 말고 바로 이어서 말하세요.",
    "ar": "لقد قلت بالفعل بصوت مسموع: «{said}» تابع من هذه النقطة تماماً دون تكرار.",
    "hi": "आप पहले ही कह चुके हैं: “{said}” ठीक वहीं से आगे कहिए, कुछ भी मत दोहराइए।",
}


def body_for(started: TurnStarted, lane: Lane, model: str, said: str, prefix: Prefix) -> dict[str, Any]:
    """The request to a lane's model; `said` is what it is to go on from, by the server's `prefix` mechanism."""
    asked = started.lanes[lane]
    body = _draft_body(started, asked) if lane == "draft" else _full_body(started, asked)
    body["model"] = model
    return _going_on(body, said, prefix) if said else body


def _full_body(started: TurnStarted, asked: dict[str, Any]) -> dict[str, Any]:
    messages: list[Message] = started.request["messages"]
    if asked["prompt"] and not any(m["role"] in ("system", "developer") for m in messages):
        messages = [{"role": "system", "content": asked["prompt"]}, *messages]
    return {**started.request, "messages": messages}


def _draft_body(started: TurnStarted, asked: dict[str, Any]) -> dict[str, Any]:
    """The conversation as text: the draft has no tools, so calls and their results would only confuse it."""
    spoken = [
        {"role": message["role"], "content": message["content"]}
        for message in started.request["messages"]
        if message["role"] in ("user", "assistant") and message.get("content")
    ]
    prompt = [{"role": "system", "content": asked["prompt"]}] if asked["prompt"] else []
    return {**asked["params"], "messages": [*prompt, *spoken]}


def _going_on(body: dict[str, Any], said: str, prefix: Prefix) -> dict[str, Any]:
    messages = body["messages"]
    if prefix == "note":
        note = _NOTES[_language(messages)].format(said=said)
        return {**body, "messages": [*messages, {"role": "system", "content": note}]}
    begun: Message = {"role": "assistant", "content": said}
    if prefix == "prefix":
        begun["prefix"] = True
    body = {**body, "messages": [*messages, begun]}
    if prefix == "continue_final_message":
        body |= {"continue_final_message": True, "add_generation_prompt": False}
    return body


def _language(messages: list[Message]) -> str:
    language = language_of_messages(messages)
    return language if language in _NOTES else "en"
