"""Chooses the embedded voice that reads a text's script, and removes what none of the voices reads.

Tried with a sentence of each script: a voice that says "Chinese letter" or the letters' codes cannot read it.
"""

import re

from workers.speech.voice import VoiceError

LIMIT = "the embedded voice reads no Japanese kanji, Thai, Burmese, Khmer, Lao, Tibetan or other rare scripts"

_OTHER_NAMES = {"en": "en-us", "zh": "cmn", "pt": "pt-br"}
_HAN = "\u3005\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
_KANA = "\u3040-\u30ff\u31f0-\u31ff"
_HANGUL = "\u1100-\u11ff\u3130-\u318f\ua960-\ua97f\uac00-\ud7ff"

# The voice that reads a script, where the language is not told: the more particular ones first.
_VOICES = tuple(
    (name, re.compile(f"[{chars}]"))
    for name, chars in (
        ("ja", _KANA),
        ("ko", _HANGUL),
        ("cmn", _HAN),
        ("uk", "іїєґІЇЄҐ"),
        ("ru", "\u0400-\u052f"),
        ("el", "\u0370-\u03ff\u1f00-\u1fff"),
        ("ka", "\u10a0-\u10ff\u1c90-\u1cbf"),
        ("hy", "\u0530-\u058f"),
        ("he", "\u0590-\u05ff"),
        ("ur", "ٹڈڑںے"),
        ("fa", "پچژگ"),
        ("ar", "\u0600-\u06ff\u0750-\u077f"),
        ("hi", "\u0900-\u097f"),
        ("bn", "\u0980-\u09ff"),
        ("pa", "\u0a00-\u0a7f"),
        ("gu", "\u0a80-\u0aff"),
        ("or", "\u0b00-\u0b7f"),
        ("ta", "\u0b80-\u0bff"),
        ("te", "\u0c00-\u0c7f"),
        ("kn", "\u0c80-\u0cff"),
        ("ml", "\u0d00-\u0d7f"),
        ("si", "\u0d80-\u0dff"),
        ("am", "\u1200-\u139f"),
    )
)
_SHARED = ("ru", "ar")  # languages with more letters of these scripts are recognised as these two
_SCRIPTS = dict(_VOICES)
_IS_HAN = re.compile(f"[{_HAN}]")
_LATIN = re.compile("[A-Za-z\u00c0-\u024f\u1e00-\u1eff]")
# Letters that espeak-ng reads by their codes or not at all, whatever its voice.
_READ = re.compile("[" + "".join(each.pattern[1:-1] for each in (*_SCRIPTS.values(), _LATIN)) + "]")
_OWN_HAN = ("cmn", "yue")  # voices that read Chinese characters
_MOST_LEFT_OUT = 0.25  # of a sentence's letters: with more than that it would be another sentence

# How our own phrases in kanji are read.
_READINGS = {"少々お待ちください": "しょうしょうおまちください", "お調べします": "おしらべします"}


def readable(text: str, language: str) -> tuple[str, str]:
    """Return the voice that reads the text best, and the text without what that voice cannot read.

    Letters in a script that cannot be read are left out: better than having their codes spoken. Raises
    VoiceError if that would be much of the text.
    """
    for written, said in _READINGS.items():
        text = text.replace(written, said)
    voice = _voice_of(text, language)
    letters = kept = 0
    parts = list[str]()
    for char in text:
        reads = not char.isalpha() or _reads(voice, char)
        letters += char.isalpha()
        kept += char.isalpha() and reads
        parts.append(char if reads else " ")
    if letters - kept > letters * _MOST_LEFT_OUT:
        raise VoiceError("voice_cannot_read")
    return voice, "".join(parts)


def _voice_of(text: str, language: str) -> str:
    """Return the language's voice, unless most of the text is in another voice's script."""
    told = _OTHER_NAMES.get(language, language)
    own = _SCRIPTS.get(told)
    if own and told not in _SHARED and own.search(text):
        return told
    name, script = next(((name, each) for name, each in _VOICES if each.search(text)), ("", _LATIN))
    if not name or (not own and len(script.findall(text)) < len(_LATIN.findall(text))):
        return "en-us" if own and _LATIN.search(text) else told  # at most a foreign word
    return told if (told, name) == ("ja", "cmn") else name


def _reads(voice: str, letter: str) -> bool:
    if _IS_HAN.match(letter):
        return voice in _OWN_HAN
    return _READ.match(letter) is not None
