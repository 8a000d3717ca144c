"""Leaves out the sentences of the full's opening that the draft has said already. Pure.

`RepeatFilter` reads the full's text sentence by sentence, as it grows, beside what the draft has spoken. A
sentence is left out, or said, or still open; once settled it stays so.
"""

import re
from collections.abc import Sequence

from common.text.growing_text import Text
from common.text.opening import Opening
from common.text.repeat_words import IS_HAN, LONGEST_WORD, OPENERS, WORD, Traits, plain, read

ALIKE = 0.5  # two sentences with at least this share of words in common say the same
NEW_SHARE = 0.25  # the largest share of new content words in a sentence that is left out
PART = 0.4  # the least share of a sentence's content in one wholly contained in it
SAID = 2  # sentences said before the opening is over
LONG = 120  # characters of an unfinished sentence after which it is judged by its beginning
# A Han character counts as three letters: it takes about as much sound and as many tokens.
SILENCE = 12  # letters withheld in silence for what is likely a repeat
VERBATIM = 30  # and for what is the draft's own, word by word
MOST_WORK = 500_000
"""Words compared in a turn; then the opening is over. An ordinary one takes a few thousand."""
EXCLAMATION = 6  # words of an exclamation that is no answer yet
LEAD = 10  # characters of a held sentence that are said at once; then two for each five that come

_MARKER = re.compile(r"[\s*_#>(（]*(\d{1,3})[.)、）]")
_BLOCK = re.compile(r"\s*(?:\||```)")
# A stop that may yet turn out to end a sentence: at most a part of one word follows.
_PENDING = re.compile(r"[.!?…。！？؟।]\W*\w*\Z")
_UNFINISHED = re.compile(r"(?:\d[\d.,:]*|[\w'’]+)\Z")
_AFTER_WORD = 8  # characters after a word that show whether it goes on
_BACK = 64  # characters of a text's end searched for such a stop
_SYMBOLS = "\u2190"  # arrows, pictures, other letters begin here
_EVEN = ("**", "`", '"')
_PAIRS = ("()", "[]", "“”", "«»", "《》", "「」", "（）")


class SpokenDraft:
    """The draft's spoken text, sentence by sentence and as a whole. Each of its words is read once.

    `work` counts what was examined for comparisons, roughly in words.
    """

    def __init__(self) -> None:
        self.sentences: list[Traits] = []
        self.whole = Traits()
        self.work = 0
        self._ends = 0
        self._start = 0  # of the last sentence
        self._heard = (0, 0)
        self._read = 0  # of the text; a word that may go on is left
        self._tail = Traits()
        self._tail_counts = False  # the last sentence has begun, and is in the list

    def read_to(self, text: Text, ends: Sequence[int], spoken: int) -> None:
        """Update the draft's text and its sentence ends; `spoken` characters of it are out."""
        if (spoken, len(ends)) == self._heard:
            return
        self._heard = (spoken, len(ends))
        while self._ends < len(ends) and ends[self._ends] <= spoken:
            end = ends[self._ends]
            if self._read <= end:
                self._read_on(text[self._read : end], whole=True)
                self._count_tail()
            else:  # what was read behind it is the next one's
                self._count_tail()
                self.sentences[-1] = read(text[self._start : end])
            self._start = self._read = end
            self._ends += 1
            self._tail, self._tail_counts = Traits(), False
        self._read_on(text[self._read : spoken], whole=False)

    def _read_on(self, part: str, *, whole: bool) -> None:
        """Read on in a sentence, up to its end if that is known."""
        upto = len(part)
        for match in WORD.finditer(part):
            if not whole and _may_go_on(match[0], part[match.end() : match.end() + _AFTER_WORD]):
                upto = match.start()
                break
            word = plain(match[0])
            self._tail.add(word)
            self.whole.add(word)
        self._read += upto
        if part[:upto].strip():
            self._count_tail()

    def _count_tail(self) -> None:
        if not self._tail_counts:
            self.sentences.append(self._tail)
            self._tail_counts = True

    def spend(self, words: int) -> None:
        """Count the work of comparing this many words with each sentence."""
        self.work += (1 + words) * (1 + len(self.sentences))


def _may_go_on(word: str, after: str) -> bool:
    """Return True if a word or number, followed only by this so far, may still become longer."""
    if IS_HAN.match(word) or len(word) >= LONGEST_WORD or len(after) == _AFTER_WORD:
        return False
    return _UNFINISHED.match(word + after) is not None and not IS_HAN.match(after[-1:])


def repeats(sentence: Traits, spoken: SpokenDraft, marker: str = "") -> bool:
    """Return True if a whole sentence only repeats what was spoken. `marker`: its list number."""
    whole = spoken.whole
    spoken.spend(len(sentence.words))
    if sentence.numbers - whole.numbers or sentence.negations - whole.negations:
        return False
    new = sentence.content - whole.content
    if len(new) > NEW_SHARE * len(sentence.content):
        return False
    # News stands at a statement's end: there one other word makes another answer.
    last = 4 if sentence.sequence and IS_HAN.match(sentence.sequence[-1]) else 2
    if new and not sentence.lead and not new.isdisjoint(sentence.order[-last:]):
        return False
    digits = {number for number in sentence.numbers if number[0].isdigit()} - {marker}
    return any(
        digits <= other.numbers
        and bool(sentence.negations) == bool(other.negations)
        and (sentence.lead or len(sentence.content - other.content) <= NEW_SHARE * len(sentence.content))
        and (sentence.likeness(other) >= ALIKE or _is_part(sentence, other))
        for other in spoken.sentences
    )


def _is_part(sentence: Traits, other: Traits) -> bool:
    size = len(sentence.content)
    return size >= 2 and size >= PART * len(other.content) and sentence.content <= other.content


def may_repeat(beginning: Traits, spoken: SpokenDraft) -> bool:
    """Return True if a sentence that begins like this may turn out to be a repeat."""
    spoken.spend(len(beginning.words))
    if beginning.numbers - spoken.whole.numbers or beginning.negations - spoken.whole.negations:
        return False
    size, new = len(beginning.content), len(beginning.content - spoken.whole.content)
    return any(
        new <= NEW_SHARE * max(size, len(other.content))
        and len(beginning.content & other.content) >= ALIKE * size - 1
        and len(beginning.words) <= 2 * len(other.words) + 1
        for other in spoken.sentences
    )


def is_likely_repeat(beginning: Traits, spoken: SpokenDraft, withheld: int, verbatim: int) -> bool:
    """Return True if a sentence that begins like this is worth a silence of `withheld` letters."""
    spoken.spend(len(beginning.sequence))
    if beginning.numbers - spoken.whole.numbers or beginning.negations - spoken.whole.negations:
        return False
    size = len(beginning.sequence)
    if any(other.sequence[:size] == beginning.sequence for other in spoken.sentences):
        return withheld <= verbatim
    known = (1 - NEW_SHARE if beginning.lead else 1) * len(beginning.order)
    if withheld > SILENCE:
        return False
    for other in spoken.sentences:
        places = [other.order.index(word) for word in beginning.order if word in other.content]
        if len(places) >= known and places[:1] < [3] and places == sorted(places):
            return True
    return False


class RepeatFilter(Opening):
    """The full's first sentences, up to the second that is spoken, without those that only repeat the draft.

    A sentence that counts as `whole` does more than open ("Certainly!").
    """

    def __init__(self) -> None:
        super().__init__()
        self.decided = False  # nothing more will be left out
        self.begin = None
        self._spoken = SpokenDraft()
        self._flowed = False  # the draft went on speaking when last looked
        self._place = 0  # all before it is settled
        self._saying = False  # the sentence that begins there is said
        self._said = 0
        self._end = 0  # which of the sentence ends is next
        self._read = 0
        self._passed = 0  # no word is examined twice
        self._beginning = Traits()  # of that sentence, up to `_read`
        self._since: int | None = None  # the full's length when it took over
        self._told = 0  # the last answer of `releasable`: it may be out
        self._said_to = 0  # the end of the last whole sentence that is said
        self._held_to: int | None = None  # the same, if that sentence was held back first
        self._covered = 0  # letters of that sentence that came while something was said
        self._withheld = 0  # letters left out while nothing was said

    def set_spoken(self, text: Text, ends: Sequence[int], spoken: int) -> None:
        """Update the draft's text, its sentence ends, and how much of it is out."""
        if not self.decided:
            self._spoken.read_to(text, ends, spoken)

    def scan(self, text: Text, ends: Sequence[int], over: bool, flows: bool) -> None:
        """Update the full's text and its sentence ends. `flows`: the draft is still speaking."""
        silent_now, self._flowed = self._flowed and not flows, flows
        if silent_now and not self.decided and not self._saying and not self._may_go_on(flows):
            self._say()  # a sentence held while the draft spoke is not worth a silence
        while not self.decided:
            end = ends[self._end] if self._end < len(ends) else None
            if not self._saying and not self._is_open(text, end, flows):
                self._say()
            if end is None:
                break
            if not self.decided:
                self._settle(text[self._place : end], end, flows)
        self.decided = self.decided or over

    def start_speaking(self, text: Text) -> None:
        """Note that the full speaks from now on; this is its text so far."""
        self._since = len(text)
        self._held_to = None if self._saying else self._said_to

    def releasable(self, text: Text) -> int:
        """Return how far the full may be spoken now. A held sentence goes slowly while the next one is
        open.
        """
        if self.decided:
            return len(text)
        if self._saying:
            pending = _pending(text, self._place)
            self._told = max(self._told, len(text) if pending is None else pending + 1)
        else:
            self._told = max(self._told, self._paced(len(text)))
        return self._told

    @property
    def settled(self) -> int:
        """Return the place up to which the decisions are final: nothing before it is needed any more."""
        return self._place

    def _paced(self, length: int) -> int:
        """Return how much of a held sentence is spoken when the full has this length; past its end, all
        that is settled.
        """
        if self.begin is None or self._since is None or self._held_to is None:
            return self._place
        upto = self.begin + LEAD + max(0, length - self._since) * 2 // 5
        return upto if upto < self._held_to else self._place

    def _is_open(self, text: Text, end: int | None, flows: bool) -> bool:
        """Return True if the sentence that begins at `_place` may yet be left out."""
        if _BLOCK.match(text[self._place : self._place + _BACK]):
            self.decided = True
            return False
        pending = _pending(text, self._read)
        limit = end if end is not None else len(text) if pending is None else pending
        begin = max(self._read, self._passed)
        for match in WORD.finditer(text[begin:limit]):
            if begin + match.end() == limit and end is None and _may_go_on(match[0], ""):
                self._passed = begin + match.start()
                return True
            self._beginning.add(plain(match[0]))
            self._read = begin + match.end()
            if not self._may_go_on(flows):
                return False
        self._passed = max(begin, limit)
        return True

    def _may_go_on(self, flows: bool) -> bool:
        if self._spoken.work > MOST_WORK:
            return False
        beginning = self._beginning
        if flows and self._since is None:
            self._covered = beginning.letters
            return self._read - self._place < LONG or may_repeat(beginning, self._spoken)
        if self._paced(self._read) < self._place:
            self._covered = beginning.letters
            return may_repeat(beginning, self._spoken)
        withheld = self._withheld + beginning.letters - self._covered
        return is_likely_repeat(
            beginning, self._spoken, withheld, VERBATIM if self.begin is None else SILENCE
        )

    def _settle(self, part: str, end: int, flows: bool) -> None:
        traits = read(part)
        known = self._spoken.work <= MOST_WORK
        if (
            known
            and not self._saying
            and self._place >= self._told
            and _is_repeated(part, traits, self._spoken)
        ):
            self.left_out.append((self._place, end))
            if not flows or self._since is not None:
                self._withheld += max(0, traits.letters - self._covered)
        else:
            if not self._saying:
                self._say()
            self._saying = False
            self._said_to = end
            self.whole = self.whole or not _only_opens(part, traits)
        self._place = self._read = self._passed = end
        self._end += 1
        self._beginning = Traits()
        self._covered = 0

    def _say(self) -> None:
        if self.begin is None:
            self.begin = self._place
        self._saying = True
        self._said += 1
        self._withheld = 0
        self.decided = self.decided or self._said >= SAID


def _pending(text: Text, start: int) -> int | None:
    """Return where a sentence may have ended without that being certain yet."""
    begin = max(start, len(text) - _BACK)
    match = _PENDING.search(text[begin:])
    return begin + match.start() if match else None


def _is_repeated(part: str, traits: Traits, spoken: SpokenDraft) -> bool:
    if not traits.sequence:
        return all(char < _SYMBOLS and not char.isalnum() for char in part)  # a ruler, a stray sign
    marker = _MARKER.match(part)
    body = part[marker.end() :] if marker else part
    uneven = any(body.count(sign) % 2 for sign in _EVEN)
    if uneven or any(body.count(pair[0]) != body.count(pair[1]) for pair in _PAIRS):
        return False
    return repeats(traits, spoken, marker[1] if marker else "")


def _only_opens(part: str, traits: Traits) -> bool:
    """Return True if a spoken sentence only leads to the answer: 'Certainly!', 'What a question!'."""
    if traits.numbers or traits.negations:
        return False
    exclaims = len(traits.sequence) <= EXCLAMATION and part.rstrip(" *_").endswith(("!", "！"))
    return exclaims or OPENERS.issuperset(traits.sequence)
