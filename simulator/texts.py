"""The words of the models: own answers in three languages, and answers files."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import orjson

_HAN = re.compile("[\u3400-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]")
_CYRILLIC = re.compile("[\u0400-\u052f]")


@dataclass(frozen=True, slots=True)
class Answer:
    """The draft model's and the full model's answer to one prompt."""

    draft: str
    full: str


ENGLISH = Answer(
    draft=(
        "Good question, let me look at that for you. "
        "I want to be sure that the answer holds, so I am going through it step by step. "
        "There are a few sides to this, and I will begin with the one that matters most. "
        "Here is what I can say."
    ),
    full=(
        "The best way to understand this is to begin with the purpose and to come to the details later. "
        "First, say in one sentence what the thing is for and who needs it. "
        "Then look at the parts it is made of, and at what each of them hands to the next. "
        "A small example helps here: follow a single case from the beginning to the end, "
        "and write down what changes at every step. "
        "After that, ask what happens when one part is slow or missing, "
        "because the limits of a thing explain it better than its ordinary days. "
        "Compare it with something you know well, and note where the comparison stops being true. "
        "Finally, explain it to somebody else in your own words; "
        "where you hesitate, there is something left to learn."
    ),
)

CHINESE = Answer(
    draft=(
        "这是个好问题，让我来看一看。"
        "我想先把思路理清楚，再给您一个可靠的回答。"
        "这件事有好几个方面，我会从最要紧的那一个讲起。"
        "下面是我的看法。"
    ),
    full=(
        "要理解这件事，最好先看它的目的，再看细节。"
        "首先，用一句话说明它是做什么的，谁会需要它。"
        "然后看它由哪些部分组成，每一部分又把什么交给下一部分。"
        "举一个小例子会很有帮助：从头到尾跟着一个具体的情况走，记下每一步发生的变化。"
        "接着想一想，如果其中一部分变慢了或者不见了，会出现什么结果，因为了解界限往往比了解平常的情形更有用。"
        "再把它和您熟悉的东西比较，并留意这个比较在哪里不再成立。"
        "最后，用自己的话讲给别人听；讲到犹豫的地方，就是还需要学习的地方。"
    ),
)

RUSSIAN = Answer(
    draft=(
        "Хороший вопрос, сейчас посмотрю. "
        "Мне важно, чтобы ответ был надёжным, поэтому я разбираю всё по порядку. "
        "Здесь есть несколько сторон, и я начну с самой важной. "
        "Вот что можно сказать."
    ),
    full=(
        "Понять это проще всего, если начать с цели, а к подробностям перейти потом. "
        "Сначала скажите одной фразой, для чего это нужно и кому. "
        "Затем посмотрите, из каких частей оно состоит и что каждая часть передаёт следующей. "
        "Помогает небольшой пример: проследите один случай от начала до конца "
        "и запишите, что меняется на каждом шаге. "
        "После этого спросите себя, что будет, если одна из частей замедлится или пропадёт, "
        "ведь границы объясняют вещь лучше, чем её обычная работа. "
        "Сравните её с чем-то хорошо знакомым и отметьте, где сравнение перестаёт быть верным. "
        "И наконец, расскажите об этом другому своими словами; "
        "там, где вы запнётесь, ещё есть чему учиться."
    ),
)


def own_answer(prompt: str) -> Answer:
    """The built-in answer in the language whose script the prompt is written in."""
    if _HAN.search(prompt):
        return CHINESE
    return RUSSIAN if _CYRILLIC.search(prompt) else ENGLISH


class Answers:
    """Answers by prompt, with the built-in ones for all other prompts."""

    def __init__(self, by_prompt: Mapping[str, Answer] = MappingProxyType({})) -> None:
        self._exact = dict(by_prompt)
        self._stripped = {prompt.strip(): answer for prompt, answer in by_prompt.items()}

    @classmethod
    def from_files(cls, paths: Iterable[Path]) -> "Answers":
        """Read JSONL rows {prompt, draft, full}; a later row wins. Raises ValueError naming a bad line."""
        by_prompt: dict[str, Answer] = {}
        for path in paths:
            for number, line in enumerate(path.read_bytes().split(b"\n"), start=1):
                if line.strip():
                    prompt, answer = _read_row(line, f"{path}:{number}")
                    by_prompt[prompt] = answer
        return cls(by_prompt)

    def find(self, prompt: str) -> Answer:
        """The answer to this very prompt, else to the stripped prompt, else a built-in one."""
        return self._exact.get(prompt) or self._stripped.get(prompt.strip()) or own_answer(prompt)


def _read_row(line: bytes, place: str) -> tuple[str, Answer]:
    try:
        row = orjson.loads(line)
    except orjson.JSONDecodeError as error:
        raise ValueError(f"{place}: {error}") from None
    match row:
        case {"prompt": str(prompt), "draft": str(draft), "full": str(full)}:
            return prompt, Answer(draft, full)
    raise ValueError(f"{place}: needs the texts prompt, draft and full")
