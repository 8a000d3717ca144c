"""Judges what a caller would find fault with: openings heard twice, sentences that were missed.

The word lists are this file's own, so that the rule that leaves sentences out (`common/text/repeats.py`)
is not its own judge.
"""

import re
from collections.abc import Iterable, Sequence
from itertools import pairwise

from common.text.sentences import Sentences

ALIKE = 0.5
OPENING = 2  # sentences of the full that can repeat
NEW_SHARE = 0.25
_WORDS_THAT_INFORM = 3
_CHINESE_THAT_INFORM = 6  # characters

_WORD = re.compile(r"\w+")
_HAN = re.compile("[\u3400-\u4dbf\u4e00-\u9fff]")
_NUMBER = re.compile(r"\d+(?:[.,]\d+)*")
_CHINESE_NUMBER = re.compile("[一二三四五六七八九十百千万亿两]+")
_SHORT_NOT = re.compile(r"n['’]t\b")


def _listed(text: str) -> frozenset[str]:
    return frozenset(text.split())


_EMPTY = _listed(
    """
    a an the this that these those it its he she they them we us you i me my your his her their our who whom
    which what when where why how is are was were be been being am do does did done have has had having will
    would can could may might must shall should of to in on at by for from with into onto about as than then
    so and or but if while because also too very just only there here s t re ve ll d m some any all each both
    more most such other another own same up down out over under again further once through during before
    after above below between against get let make not no nor
    и в во на с со к ко по за из от до для о об обо у при над под через между но а или либо то что чтобы как
    так также же ли бы если когда где который которая которое которые которых которого которой которым этот
    эта это эти этого этой этих этому этом тот та те того той тех он она оно они его ее их ему ей им мы вы я
    ты нас вас меня вам нам мне тебе быть был была было были есть будет будут является являются все весь всех
    всем всего вся свой своя свои своих своего своей может могут можно нужно вот еще уже только очень там тут
    здесь один не ни нет да более
    """
)
_EMPTY_CHINESE = frozenset(
    "的了是在和与及或也都就而且但又还并把被对从到由于以为着过个这那之其您你我他她它们吗呢吧啊会能可要有所者等上下中里"
)
_NEGATIONS = _listed(
    """
    not no never none nothing nobody neither nor without cannot
    не ни нет никогда нельзя без ничего никто никакой невозможно
    """
)
_CHINESE_NEGATIONS = frozenset("不没無无非未别勿")
_NUMBER_WORDS = _listed(
    """
    zero one two three four five six seven eight nine ten eleven twelve twenty thirty forty fifty hundred
    thousand million billion first second third half
    ноль один одна одно два две три четыре пять шесть семь восемь девять десять двадцать тридцать сорок сто
    тысяча тысяч миллион миллионов миллиард первый второй третий двух трех
    """
)


def is_chinese(text: str) -> bool:
    """Return True if most of a text is in Chinese characters."""
    han = len(_HAN.findall(text))
    return han > 0 and 3 * han > sum(map(len, _WORD.findall(text)))


def likeness(one: str, other: str) -> float:
    """Jaccard's measure of two sentences: their words, or pairs of characters where they are Chinese."""
    return _jaccard(_pieces(one), _pieces(other))


def repeats(opening: Sequence[str], spoken: Sequence[str]) -> bool:
    """Return True if one of the full's first sentences is like one that the draft has spoken."""
    known = [_pieces(sentence) for sentence in spoken]
    first = [pieces for sentence in opening if (pieces := _pieces(sentence))][:OPENING]
    return any(_jaccard(pieces, other) >= ALIKE for pieces in first for other in known)


def wrongly_left_out(sentence: str, spoken: str) -> str:
    """Return what a left-out sentence costs the caller: `number`, `negation`, `content` or nothing."""
    if _numbers(sentence) - _numbers(spoken):
        return "number"
    if _negations(sentence) - _negations(spoken):
        return "negation"
    content = _content(sentence)
    return "content" if len(content - _content(spoken)) > NEW_SHARE * len(content) else ""


def informs(sentence: str) -> bool:
    """Return True if a sentence is more than an exclamation."""
    if is_chinese(sentence):
        return sum(map(str.isalnum, sentence)) >= _CHINESE_THAT_INFORM
    return len(set(_WORD.findall(sentence.lower()))) >= _WORDS_THAT_INFORM


def first_sentences(pieces: Iterable[str], count: int = OPENING) -> list[str]:
    """The first sentences of a text that hold a word; no more of it is read than that takes."""
    sentences, found, start = Sentences(), list[str](), 0
    for piece in pieces:
        sentences.feed(piece)
        start = _cut(sentences, start, found)
        if len(found) >= count:
            return found[:count]
    sentences.close()
    _cut(sentences, start, found)
    return found[:count]


def _cut(sentences: Sentences, start: int, found: list[str]) -> int:
    for end in sentences.ends:
        if end > start:
            sentence = sentences.text[start:end]
            if _WORD.search(sentence):
                found.append(sentence)
            start = end
    return start


def _jaccard(one: set[str], other: set[str]) -> float:
    return len(one & other) / len(one | other) if one and other else 0.0


def _pieces(sentence: str) -> set[str]:
    if not is_chinese(sentence):
        return set(_WORD.findall(sentence.lower()))
    letters = [char for char in sentence.lower() if char.isalnum()]
    return {a + b for a, b in pairwise(letters)} or set(letters)


def _words(text: str) -> set[str]:
    return set(_WORD.findall(text.lower().replace("ё", "е")))


def _content(text: str) -> set[str]:
    words = {word for word in _words(_HAN.sub(" ", text)) if word not in _EMPTY}
    return words | (set(_HAN.findall(text)) - _EMPTY_CHINESE)


def _numbers(text: str) -> set[str]:
    found = {*_NUMBER.findall(text), *_CHINESE_NUMBER.findall(text)}
    return found | (_words(text) & _NUMBER_WORDS)


def _negations(text: str) -> set[str]:
    found = (_words(text) & _NEGATIONS) | (set(text) & _CHINESE_NEGATIONS)
    return found | {"not"} if _SHORT_NOT.search(text.lower()) else found
