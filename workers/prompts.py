"""What each lane's model is sent."""

from dataclasses import replace
from typing import Any

from common.events import TurnStarted
from common.keys import Lane
from common.language import language_of_messages
from common.settings import Prefix
from workers.system_messages import with_system

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

_PASSAGES = {
    "en": "Answer from these passages of our knowledge. Where they don't hold the answer, say so.",
    "zh": "请根据下面这些资料回答。如果其中没有答案，请如实说明。",
    "ru": "Отвечайте по этим выдержкам из нашей базы знаний. Если ответа в них нет, скажите об этом.",
    "de": "Antworten Sie anhand dieser Auszüge aus unserem Wissen. Steht die Antwort nicht darin, sagen Sie es.",
    "es": "Responde a partir de estos pasajes de nuestra documentación. Si no contienen la respuesta, dilo.",
    "fr": "Répondez à partir de ces extraits de notre documentation. S'ils ne contiennent pas la réponse, dites-le.",
    "pt": "Responda com base nestes trechos da nossa documentação. Se não contiverem a resposta, diga-o.",
    "it": "Rispondi in base a questi estratti della nostra documentazione. Se non contengono la risposta, dillo.",
    "ja": "次の資料にもとづいて答えてください。答えが書かれていない場合は、そう伝えてください。",
    "ko": "다음 자료를 바탕으로 답하세요. 자료에 답이 없으면 그렇다고 말하세요.",
    "ar": "أجب بالاعتماد على هذه المقاطع من قاعدة معرفتنا. وإن لم تتضمن الإجابة فقل ذلك.",
    "hi": "हमारी जानकारी के इन अंशों के आधार पर उत्तर दीजिए। यदि उत्तर इनमें न हो, तो ऐसा ही कहिए।",
}


_MEDIA = ("image", "audio", "video", "file")


def body_for(started: TurnStarted, lane: Lane, model: str, said: str, prefix: Prefix) -> dict[str, Any]:
    """The request to a lane's model; `said` is what it is to go on from, by the server's `prefix` mechanism."""
    asked = started.lanes[lane]
    body = _draft_body(started, asked) if lane == "draft" else _full_body(started, asked)
    body["model"] = model
    return _going_on(body, said, prefix) if said else body


def with_passages(started: TurnStarted, passages: list[dict[str, Any]]) -> TurnStarted:
    """The turn as the full is asked when something was found: the passages stand in its system message."""
    messages = _full_body(started, started.lanes["full"])["messages"]
    numbered = [
        f"[{number}] " + "\n".join(filter(None, (passage["title"], passage["text"])))
        for number, passage in enumerate(passages, 1)
    ]
    note = "\n\n".join([_PASSAGES[_language(messages)], *numbered])
    first = messages[0]
    if first["role"] in ("system", "developer") and isinstance(first["content"], str):
        # Not a second one: some servers take no system message but the first.
        first, messages = {**first, "content": f"{first['content']}\n\n{note}"}, messages[1:]
    else:
        first = {"role": "system", "content": note}
    lanes = {
        **started.lanes,
        "full": {**started.lanes["full"], "prompt": "", "system": "instead"},
    }  # it is in
    return replace(started, request={**started.request, "messages": [first, *messages]}, lanes=lanes)


def _full_body(started: TurnStarted, asked: dict[str, Any]) -> dict[str, Any]:
    # Where nothing is said of it another version has started the turn.
    mode = asked.get("system", "instead")
    return {**started.request, "messages": with_system(started.request["messages"], asked["prompt"], mode)}


def _draft_body(started: TurnStarted, asked: dict[str, Any]) -> dict[str, Any]:
    """The conversation as text: the draft has no tools, so calls and their results would only confuse it."""
    spoken = [
        {"role": message["role"], "content": text}
        for message in started.request["messages"]
        if message["role"] in ("user", "assistant") and (text := _as_text(message.get("content")))
    ]
    prompt = [{"role": "system", "content": asked["prompt"]}] if asked["prompt"] else []
    return {**asked["params"], "messages": [*prompt, *spoken]}


def _as_text(content: Any) -> str:
    """A message's content as text alone, with a word in the place of pictures, sound and files.

    Small models know no others, and servers refuse what theirs don't know.
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
    """The wish to go on from what was said, in the conversation's language."""
    return _NOTES[_language(messages)].format(said=said)


def _language(messages: list[Message]) -> str:
    language = language_of_messages(messages)
    return language if language in _NOTES else "en"
