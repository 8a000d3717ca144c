"""Which language a text is in."""

import pytest

from common.text.language import language_of, language_of_messages


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("When do you open on Sundays?", "en"),
        ("Wann machen Sie auf, und was kostet das?", "de"),
        ("¿Cómo puedo cambiar mi vuelo?", "es"),
        ("Comment puis-je modifier ma commande ? Les frais sont de combien ?", "fr"),
        ("Como posso mudar a minha senha? Não consigo.", "pt"),
        ("Come posso cambiare il mio volo? Vorrei il rimborso della tassa.", "it"),
        ("你们几点开门？", "zh"),
        ("我的 order 在哪里？", "zh"),
        ("Когда вы открываетесь?", "ru"),
        ("営業時間を教えてください。", "ja"),
        ("東京への行き方は？", "ja"),
        ("언제 문을 여나요?", "ko"),
        ("متى تفتحون؟", "ar"),
        ("आप कब खुलते हैं?", "hi"),
        ("", "en"),
        ("42?", "en"),
        ("Zalando", "en"),
    ],
)
def test_a_texts_language(text: str, language: str) -> None:
    assert language_of(text) == language


def test_the_default_is_the_callers() -> None:
    assert language_of("42", "ru") == "ru"


def test_the_last_thing_the_user_said_counts() -> None:
    talk: list[dict[str, object]] = [
        {"role": "system", "content": "Вы продавец."},
        {"role": "user", "content": "Привет!"},
        {"role": "assistant", "content": "Здравствуйте!"},
        {
            "role": "user",
            "content": [{"type": "text", "text": "你好"}, {"type": "image_url", "image_url": {}}],
        },
        {"role": "assistant", "content": None},
    ]
    assert language_of_messages(talk) == "zh"
    assert language_of_messages(talk[:3]) == "ru"
    assert language_of_messages(talk[:1]) == "ru"  # the prompt, where nobody has said a thing
    assert language_of_messages([]) == "en"
    assert language_of_messages([]) == "en"


@pytest.mark.parametrize("size", [0, 1, 7, 1_999, 2_000, 2_001, 5_000])
def test_of_many_parts_the_beginning_is_looked_at(size: int) -> None:
    """As far as of one text with blanks between."""
    reads: list[int] = []

    class Part(dict[str, str]):
        def get(self, name: str, default: object = None) -> object:  # type: ignore[override]
            reads.append(1)
            return super().get(name, default)

    parts = [Part(text="x" * max(size - 1, 0)), *(Part(text="это") for _ in range(3_000))]
    text = " ".join(part["text"] for part in parts)
    by_text = language_of_messages([{"role": "user", "content": text}])
    assert language_of_messages([{"role": "user", "content": parts}]) == by_text
    assert len(reads) <= 2_001
