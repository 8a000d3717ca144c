"""The embedded voice speaks a text's script, and no letters that it would name by their codes."""

import asyncio

import httpx
import pytest

from common.settings import Settings
from common.turn.fillers import _WAITING
from workers.speech.espeak import EmbeddedVoice
from workers.speech.lane import _language
from workers.speech.scripts import LIMIT, readable
from workers.speech.speakable import in_usual_forms
from workers.speech.voice import Utterance, VoiceError
from workers.speech.voices import open_voice


@pytest.mark.parametrize(
    "text, language, voice, read",
    [
        ("We open at nine.", "en", "en-us", None),
        ("Wir öffnen um neun.", "de", "de", None),
        ("请稍等。", "zh", "cmn", None),
        ("请稍等。", "en", "cmn", None),
        ("ABC公司", "zh", "cmn", None),
        ("Привет", "ru", "ru", None),
        ("Привіт, як справи", "ru", "uk", None),
        ("Γεια σου", "en", "el", None),
        ("שלום", "en", "he", None),
        ("سلام، چطورید", "ar", "fa", None),
        ("مرحبا", "ar", "ar", None),
        ("நன்றி", "en", "ta", None),
        ("নমস্কার", "en", "bn", None),
        ("한국어입니다", "ko", "ko", None),
        ("かしこまりました。", "ja", "ja", None),
        ("少々お待ちください。", "ja", "ja", "しょうしょうおまちください。"),
        ("お調べします。", "ja", "ja", "おしらべします。"),
        ("Ask for the dish called 餃子 please.", "en", "en-us", "Ask for the dish called    please."),
        ("The Greek letter π is here.", "en", "en-us", None),
        ("Call me Ивaн if you like it so.", "en", "en-us", None),
        ("OK, let us go", "hi", "en-us", None),
        ("123", "ru", "ru", None),
        ("१२३", "hi", "hi", None),
        ("", "en", "en-us", None),
    ],
)
def test_a_text_has_the_voice_that_reads_it(text: str, language: str, voice: str, read: str | None) -> None:
    assert readable(text, language) == (voice, text if read is None else read)


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("東京へようこそ。", "ja"),
        ("東京", "ja"),
        ("漢字 입니다", "ko"),
        ("สวัสดีครับ", "en"),
        ("မင်္ဂလာပါ", "en"),
        ("សួស្តី", "en"),
        ("ສະບາຍດີ", "en"),
        ("བཀྲ་ཤིས", "en"),
        ("ᎣᏏᏲ", "en"),
    ],
)
def test_what_no_voice_reads_is_refused(text: str, language: str) -> None:
    with pytest.raises(VoiceError, match="voice_cannot_read"):
        readable(text, language)


def test_our_own_phrases_can_be_read() -> None:
    for language, phrases in _WAITING.items():
        for phrase in phrases:
            assert readable(phrase, language)[1]


@pytest.mark.parametrize(
    ("text", "usual"),
    [
        ("１２３", "123"),
        ("３．１４％", "3.14%"),
        ("Ｈｅｌｌｏ", "Hello"),
        ("ﬁve ①", "five 1"),
        ("ﾃｽﾄ", "テスト"),
        ("10\u00a0㎏", "10 kg"),
        ("½ m² 10⁵…", "½ m² 10⁵…"),
        ("คำ", "คำ"),
        ("", ""),
    ],
)
def test_digits_and_letters_are_given_in_their_usual_forms(text: str, usual: str) -> None:
    assert in_usual_forms(text) == usual


def test_chinese_characters_alone_are_japanese_in_a_japanese_conversation() -> None:
    assert _language("東京", "ja") == "ja"
    assert _language("東京", "en") == _language("東京", "zh") == "zh"
    assert _language("Tokyo", "ja") == "ja"


def seconds(text: str, language: str) -> float:
    async def speak() -> float:
        return sum([len(s.pcm) / 2 / s.rate async for s in EmbeddedVoice().speak(Utterance(text, language))])

    return asyncio.run(speak())


def test_it_is_heard() -> None:
    assert seconds(in_usual_forms("１２３"), "zh") > 0.3
    assert 0.5 < seconds("少々お待ちください。", "ja") < 3  # with "Chinese letter" it took five
    with pytest.raises(VoiceError):
        seconds("東京", "ja")


def test_its_limit_is_told_at_the_start(caplog: pytest.LogCaptureFixture) -> None:
    client = httpx.AsyncClient()
    open_voice(Settings(), client)
    assert LIMIT in caplog.text and "FAST_REPLY_SPEECH_URL" in caplog.text
    caplog.clear()
    open_voice(Settings(speech_url="http://127.0.0.1:1/v1"), client)
    assert not caplog.records
