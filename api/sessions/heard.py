"""Computes how much of a turn's text its caller heard, from words or from seconds of speech. Pure."""

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass

from common.text.language import language_of

_WINDOW = 80  # letters of either text that may be passed over to find where they agree again
_AGREE = 4  # letters that must be equal there
_MAX_GAPS = 200  # texts that differ in more places are not of one answer

# Scripts that are written without spaces: each character may be an end.
_ALONE = re.compile(
    r"[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]"
)

# Characters a second, spaces included, of speech with its pauses. 150 words a minute is what English is
# commonly read aloud at, and about what services say at their normal speed: with 6 characters a word, 15.
# Mandarin is read at 240 to 300 syllables, so characters, a minute. The others are scaled by how long their
# words are written. In doubt the lower figure: what is taken for heard and was not is lost to the caller.
CHARS_PER_S = {"zh": 4.3, "ja": 6.0, "ko": 6.5, "ar": 11.0, "hi": 11.0, "ru": 13.0, "de": 14.0}
_DEFAULT_CHARS_PER_S = 15.0


def chars_heard(released: str, heard: str) -> int:
    """Return how many characters of the released text the heard words go to: to a word's end, its marks
    included.

    Speech services change punctuation, spaces, case, Markdown, and now and then a word.
    """
    said, places = _letters(released)
    words, _ = _letters(heard)
    letters = _align(said, words)
    if not letters:
        return 0
    upto = places[letters - 1] + 1
    while upto < len(released) and _is_accent(released[upto]):
        upto += 1
    return _whole_words(released, upto)


def chars_in_ms(released: str, ms: float, chars_per_s: float = 0.0) -> int:
    """Return how many characters of the released text are spoken in that time, cut back to whole words.

    At 0 characters a second the language's common rate counts.
    """
    rate = chars_per_s or CHARS_PER_S.get(language_of(released), _DEFAULT_CHARS_PER_S)
    return _whole_words(released, min(len(released), int(ms * rate / 1000)))


@dataclass(frozen=True, slots=True)
class HeardPart:
    """A part of the released text that was put into sound, and how long that is.

    `whole`: all of its sound is there.
    """

    start: int
    end: int
    ms: float
    whole: bool = True


def chars_in_sound(released: str, pieces: Iterable[HeardPart], ms: float, chars_per_s: float = 0.0) -> int:
    """Return how many characters of the released text are heard in so much of its sound, cut back to whole
    words.

    Within a piece its letters share its sound; of one whose sound still comes it is told by the rate.
    """
    upto = 0
    for piece in pieces:
        if piece.end > len(released) or ms <= 0:
            break
        text = released[piece.start : piece.end]
        if not piece.whole or ms < piece.ms:
            if piece.whole:
                heard = _whole_words(text, _share(text, ms / piece.ms))
            else:
                heard = chars_in_ms(text, min(ms, piece.ms), chars_per_s)
            return piece.start + heard if heard else upto
        ms -= piece.ms
        upto = piece.end
    return upto


_OF_DIGIT = 4  # letters: a digit is spoken as a word


def _share(text: str, share: float) -> int:
    """Return how far that share of the text's sound goes. Spaces and marks have none of their own."""
    sounds = [_OF_DIGIT if char.isdigit() else int(char.isalnum()) for char in text]
    left = share * sum(sounds)
    for place, sound in enumerate(sounds):
        left -= sound
        if left < 0:
            return place
    return len(text)


def _letters(text: str) -> tuple[str, list[int]]:
    """The text's letters and digits in one form, and where each of them stands in it."""
    letters: list[str] = []
    places: list[int] = []
    for place, char in enumerate(text):
        form = char if char.isascii() else unicodedata.normalize("NFKD", char)
        for letter in form.casefold():
            if letter.isalnum():
                letters.append(letter)
                places.append(place)
    return "".join(letters), places


def _align(said: str, words: str) -> int:
    """Return how many letters of what was said the words go to."""
    at = heard = 0
    for _ in range(_MAX_GAPS):
        length = _common(said, words, at, heard)
        at, heard = at + length, heard + length
        if heard == len(words) or at == len(said):
            return at
        gap = _gap(said, words, at, heard)
        if gap is None:
            break
        at, heard = at + gap[0], heard + gap[1]
    # The last words were said otherwise than they are written: a number, or about as many letters.
    left = len(words) - heard
    if not at or left > _WINDOW // 4:
        return at
    number = len(said) - at - len(said[at:].lstrip("0123456789"))
    return min(len(said), at + (number or left))


def _common(said: str, words: str, at: int, heard: int) -> int:
    """For how many letters both agree from there."""
    length, most = 0, min(len(said) - at, len(words) - heard)
    while length < most and said[at + length] == words[heard + length]:
        length += 1
    return length


def _gap(said: str, words: str, at: int, heard: int) -> tuple[int, int] | None:
    """Return how many letters of each are to be passed over until they agree again: the fewest together."""
    best: tuple[int, int] | None = None
    for skipped in range(min(_WINDOW, len(words) - heard)):
        if best and skipped >= sum(best):
            break
        sample = words[heard + skipped : heard + skipped + _AGREE]
        if len(sample) < 2 and not _ALONE.match(sample):
            break
        found = said.find(sample, at, at + _WINDOW + len(sample))
        if found >= 0 and (best is None or found - at + skipped < sum(best)):
            best = (found - at, skipped)
    return best


def _whole_words(text: str, upto: int) -> int:
    """The place, or the end of the last word before it; with the marks that stand directly after."""
    while upto and _inside_word(text, upto):
        upto -= 1
    if not text[:upto].strip():
        return 0
    if text[upto - 1].isspace():
        return len(text[:upto].rstrip())
    while upto < len(text) and _is_mark(text[upto]) and not _inside_word(text, upto):
        upto += 1
    return upto


def _inside_word(text: str, place: int) -> bool:
    """Return True if a cut here would go through a word, a number, or a letter and its accent."""
    if place == len(text):
        return False
    before, after = text[place - 1], text[place]
    if _is_accent(after):
        return True
    if _ALONE.match(before) or _ALONE.match(after):
        return False
    if _is_word(before) and _is_word(after):
        return True
    behind, ahead = text[place - 2 : place - 1], text[place + 1 : place + 2]
    return (after in "'’.,:" and _joins(before, after, ahead)) or (
        before in "'’.,:" and _joins(behind, before, after)
    )


def _joins(before: str, mark: str, after: str) -> bool:
    """Return True if the mark holds a word or a number together: don't, 9:30, 1,000."""
    kind = str.isalpha if mark in "'’" else str.isdigit
    return bool(before and after and kind(before) and kind(after))


def _is_word(char: str) -> bool:
    return char.isalnum() or _is_accent(char)


def _is_accent(char: str) -> bool:
    return unicodedata.category(char).startswith("M")


def _is_mark(char: str) -> bool:
    """Punctuation or a symbol that belongs to what stands before it."""
    return not (char.isspace() or _is_word(char) or unicodedata.category(char) in ("Ps", "Pi"))
