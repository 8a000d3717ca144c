"""Builds the request that each lane's model is sent."""

from dataclasses import replace
from typing import Any

from common.events import TurnStarted
from common.names import Lane
from common.settings import Prefix
from common.text.language import language_of_messages
from workers.knowledge.passages import NOTES as PASSAGES_NOTES
from workers.knowledge.passages import are_passages, passages_text, put_before_question
from workers.system_messages import with_note, with_system

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

_MEDIA = ("image", "audio", "video", "file")


def body_for(started: TurnStarted, lane: Lane, model: str, said: str, prefix: Prefix) -> dict[str, Any]:
    """Return the request to a lane's model; `said` is text to go on from, by the server's `prefix`."""
    asked = started.lanes[lane]
    body = _draft_body(started, asked) if lane == "draft" else _full_body(started, asked)
    body["model"] = model
    return _going_on(body, said, prefix) if said else body


def with_passages(started: TurnStarted, passages: list[dict[str, Any]]) -> TurnStarted:
    """Return the turn's request to the full with retrieved passages: see `workers/knowledge/passages.py`."""
    messages = _full_body(started, started.lanes["full"])["messages"]
    language = _language(messages)
    messages = put_before_question(messages, passages_text(started.turn, passages), language)
    messages = with_note(messages, PASSAGES_NOTES[language])
    full = {**started.lanes["full"], "prompt": "", "system": "instead"}  # it is in
    request = {**started.request, "messages": messages}
    return replace(started, request=request, lanes={**started.lanes, "full": full})


def _full_body(started: TurnStarted, asked: dict[str, Any]) -> dict[str, Any]:
    # Without a mode, another version has started the turn.
    mode = asked.get("system", "instead")
    return {**started.request, "messages": with_system(started.request["messages"], asked["prompt"], mode)}


def _draft_body(started: TurnStarted, asked: dict[str, Any]) -> dict[str, Any]:
    """Return the conversation as text: calls and their results would only confuse a draft without tools."""
    spoken = [
        {"role": message["role"], "content": text}
        for message in started.request["messages"]
        if message["role"] in ("user", "assistant") and (text := _as_text(message.get("content")))
    ]
    prompt = [{"role": "system", "content": asked["prompt"]}] if asked["prompt"] else []
    return {**asked["params"], "messages": [*prompt, *spoken]}


def _as_text(content: Any) -> str:
    """Return a message's content as plain text, with a word in place of each picture, sound or file.

    Small models know only text, and servers refuse parts that their model doesn't know.
    """
    if isinstance(content, str):
        return content
    parts = content if isinstance(content, list) else []
    return "\n".join(filter(None, (_text_of_part(part) for part in parts if isinstance(part, dict))))


def _text_of_part(part: dict[str, Any]) -> str:
    for name in ("text", "refusal"):
        if isinstance(text := part.get(name), str) and text:
            return text
    kind = part.get("type")
    found = (word for word in _MEDIA if isinstance(kind, str) and word in kind)
    return next((f"[{word}]" for word in found), "")


def _going_on(body: dict[str, Any], said: str, prefix: Prefix) -> dict[str, Any]:
    messages = body["messages"]
    if prefix == "note":
        return {**body, "messages": [*messages, {"role": "system", "content": note_of(said, messages)}]}
    begun: Message = {"role": "assistant", "content": said}
    if prefix == "prefix":
        begun["prefix"] = True
    body = {**body, "messages": [*messages, begun]}
    if prefix == "continue_final_message":
        body |= {"continue_final_message": True, "add_generation_prompt": False}
    return body


def note_of(said: str, messages: list[Message]) -> str:
    """Return a note that asks the model to go on from what was said, in the conversation's language."""
    return _NOTES[_language(messages)].format(said=said)


def _language(messages: list[Message]) -> str:
    language = language_of_messages([message for message in messages if not are_passages(message)])
    return language if language in _NOTES else "en"
