"""Guesses the language of a text, well enough to choose a phrase or a note by."""

import re
from collections import Counter

# Scripts that settle it, the rarer before the more common: Japanese also has Chinese characters.
_SCRIPTS = (
    ("ja", re.compile(r"[\u3040-\u30ff]")),
    ("ko", re.compile(r"[\uac00-\ud7af\u1100-\u11ff]")),
    ("zh", re.compile(r"[\u3400-\u4dbf\u4e00-\u9fff]")),
    ("ar", re.compile(r"[\u0600-\u06ff]")),
    ("hi", re.compile(r"[\u0900-\u097f]")),
    ("ru", re.compile(r"[\u0400-\u04ff]")),
)
# Words that only one of these languages has, and often.
_WORDS = {
    "en": "the is are what how you my can do and of to it please i want this",
    "de": "der die das ist und ich nicht wie was mein bitte ein eine kann sie zu mit für",
    "es": "el los las es y qué cómo mi por para una está puedo quiero del con que",
    "fr": "le les est et je vous comment mon une pour dans pas quel quelle des qui mes",
    "pt": "o os é e como meu minha uma não para você por que com do da em",
    "it": "il gli è e come mio una non per che di posso sono vorrei della con",
}
_OF_WORD = [(name, frozenset(words.split())) for name, words in _WORDS.items()]
_ENOUGH_CHARS = 4_000
_WORD = re.compile(r"[^\W\d_]+")


def language_of(text: str, default: str = "en") -> str:
    """Return the text's language as a two-letter code, judged by its beginning."""
    text = text[:_ENOUGH_CHARS]
    for name, script in _SCRIPTS:
        if script.search(text):
            return name
    votes: Counter[str] = Counter()
    for word in _WORD.findall(text.lower()):
        votes.update(name for name, words in _OF_WORD if word in words)
    return votes.most_common(1)[0][0] if votes else default


_MOST_TOLD = 2_000  # characters of a message that are examined: more would not change the answer
_MOST_MESSAGES = 40
_BY_ROLE = (("user",), ("assistant",), ("system", "developer"))


def language_of_messages(messages: list[dict[str, object]], default: str = "en") -> str:
    """Return the conversation's language, judged by the last user message that shows one.

    Numbers and names show none. If no user message shows one, the assistant's messages and the prompt are
    judged.
    """
    for roles in _BY_ROLE:
        told = [message for message in messages if message.get("role") in roles]
        for message in reversed(told[-_MOST_MESSAGES:]):
            if language := language_of(_beginning_of(message.get("content")), ""):
                return language
    return default


def _beginning_of(content: object) -> str:
    """Return the beginning of a content's text, as much as is examined, however many parts it has."""
    if not isinstance(content, list):
        return text_of(content)[:_MOST_TOLD]
    taken, length = [], -1  # no space goes before the first part
    for part in content:
        if isinstance(part, dict):
            taken.append(str(part.get("text") or ""))
            length += 1 + len(taken[-1])
        if length >= _MOST_TOLD:
            break
    return " ".join(taken)[:_MOST_TOLD]


def text_of(content: object) -> str:
    """Return the text of a message's content, which may be a list of parts."""
    if isinstance(content, list):
        return " ".join(str(part.get("text") or "") for part in content if isinstance(part, dict))
    return content if isinstance(content, str) else ""
