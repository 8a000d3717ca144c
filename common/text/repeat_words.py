"""The words of a sentence, sorted: which carry no meaning, which negate, which count."""

import re
from dataclasses import dataclass, field


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


# Words that say nothing by themselves. A word missing here counts as content, which errs on the safe side.
STOP_WORDS = _words(
    """
    a an the this that these those it its he she they them we us you i me my mine your yours his her hers our
    ours their theirs who whom whose which what when where why how is are was were be been being am do does
    did done have has had having will would can could may might must shall should of to in on at by for from
    with into onto about as than then so and or but if while because also too very just only there here s re
    ve ll d m some any all each both more most such other another own same up down out over under again
    further through during before after above below between against get let
    и в во на с со к ко по за из от до для о об обо у при над под через между но а или либо то что чтобы как
    так также тоже же ли бы если когда где который которая которое которые которых которого которой которым
    этот эта это эти этого этой этих этому этом тот та те того той тех тем он она оно они его ее их ему ей им
    мы вы я ты нас вас меня тебя вам нам мне тебе быть был была было были есть будет будут является являются
    все весь всех всем всего вся свой своя свои своих своего своей может могут можно нужно вот еще уже только
    очень там тут здесь да
    """
)
STOP_CHARACTERS = frozenset(
    "的了是在和与及或也都就而且但又还并把被对从到由于以为着过个这那之其"
    "您你我他她它们吗呢吧啊会能可要有所者等上下中里"
)

# A word that was split at its apostrophe leaves a "t": don't, can't.
NEGATIONS = _words(
    """
    t no not never none nothing nobody nowhere neither nor without cannot cant dont wont isnt unable hardly
    не ни нет никогда ничего ничто ничем никто никого никому нигде никак никакой никакая никакие никаких
    нельзя без невозможно нету
    """
)
NEGATING_CHARACTERS = frozenset("不没沒无無非未别勿莫否")

NUMBER_WORDS = _words(
    """
    zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen
    seventeen eighteen nineteen twenty thirty forty fifty sixty seventy eighty ninety hundred hundreds
    thousand thousands million millions billion billions dozen half quarter once twice first second third
    fourth fifth double triple
    ноль нуль один одна одно одного одной одному одним одну два две двух двум двумя двое три трех трем тремя
    трое четыре четырех пять пяти шесть шести семь семи восемь восьми девять девяти десять десяти двадцать
    тридцать сорок пятьдесят шестьдесят семьдесят восемьдесят девяносто сто ста двести триста тысяча тысячи
    тысяч миллион миллиона миллионов миллиард миллиарда миллиардов первый первая первое первые первого первой
    первых второй вторая второе вторые второго третий третья третье четверть половина полтора дважды трижды
    """
)
NUMBER_CHARACTERS = frozenset("零〇一二三四五六七八九十百千万萬亿億两兩半")

# A sentence that begins like this leads to what follows and states little itself.
LEADS = _words("here heres below ниже вот")

# A sentence of nothing but these only begins: it isn't yet an answer.
OPENERS = _words(
    """
    certainly sure absolutely of course definitely gladly happy to help great good excellent interesting
    wonderful fantastic question hello hi hey there okay ok alright right well
    конечно разумеется безусловно отличный хороший интересный прекрасный вопрос привет здравствуйте хорошо
    ладно с удовольствием
    """
) | frozenset("当然好的可以没问题您你")

_HAN = "\u3005\u3007\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
LONGEST_WORD = 64
"""The longest word; longer ones are split, so that a text without spaces is not waited for."""
WORD = re.compile(
    rf"[{_HAN}]|\d{{1,{LONGEST_WORD}}}(?:[.,:]\d{{1,{LONGEST_WORD}}}){{0,8}}"
    rf"|[^\W{_HAN}]{{1,{LONGEST_WORD}}}(?:['’]t(?!\w))?"
)
IS_HAN = re.compile(f"[{_HAN}]")


@dataclass(slots=True)
class Traits:
    """The words, numbers and negations of one or more sentences, as they are compared."""

    # Han characters count in pairs, as no space shows where a word ends.
    words: set[str] = field(default_factory=set)
    content: set[str] = field(default_factory=set)
    numbers: set[str] = field(default_factory=set)
    negations: set[str] = field(default_factory=set)
    sequence: list[str] = field(default_factory=list)
    order: list[str] = field(default_factory=list)  # of the content
    lead: bool = False
    letters: int = 0

    def add(self, word: str) -> None:
        """Add one word, or one Han character."""
        han = IS_HAN.match(word) is not None
        if not self.sequence:
            self.lead = word in LEADS
        if not han:
            self.words.add(word)
        elif self.sequence and IS_HAN.match(self.sequence[-1]):
            self.words.add(self.sequence[-1] + word)
        self.sequence.append(word)
        self.letters += 3 if han else len(word) + 1
        if word in NEGATING_CHARACTERS if han else word in NEGATIONS or word[-2:] in ("'t", "’t"):
            self.negations.add("not" if word[-1] == "t" else word)
        elif word in NUMBER_CHARACTERS if han else word in NUMBER_WORDS or any(map(str.isdigit, word)):
            self.numbers.add(word)
        elif word not in (STOP_CHARACTERS if han else STOP_WORDS):
            self.content.add(word)
            self.order.append(word)

    def merge(self, other: "Traits") -> None:
        """Add the traits of another."""
        self.words |= other.words
        self.content |= other.content
        self.numbers |= other.numbers
        self.negations |= other.negations

    def likeness(self, other: "Traits") -> float:
        """Return the share of words in common, of all words of both."""
        same = len(self.words & other.words)
        return same / ((len(self.words) + len(other.words) - same) or 1)


def read(text: str) -> Traits:
    """Return the traits of a whole sentence."""
    traits = Traits()
    for match in WORD.finditer(text):
        traits.add(plain(match[0]))
    traits.lead = traits.lead or text.rstrip(" *_\n").endswith((":", "："))
    return traits


def plain(word: str) -> str:
    """Return a word in the form in which words are compared."""
    return word.lower().replace("ё", "е")
