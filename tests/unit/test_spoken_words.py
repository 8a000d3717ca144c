"""What is read aloud: all that is content, none of Markdown's marks, and addresses to their end."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.text.speakable import speakable, spoken_part

SPOKEN = {
    "**Every** day, from _nine_ to `five`.": "Every day, from nine to five.",
    "See [our page](https://example.com/a?b=c).": "See our page.",
    "At https://www.example.org/x/y now": "At example.org now",
    "## Hours": "Hours",
    "- First item": "First item",
    "> quoted words": "quoted words",
    "Great! 🎉🎉": "Great!",
    "| Day | Hours |": "Day, Hours",
    "|---|:---:|": "",
    "---": "",
    "🙂": "",
    "```python": "",
    "a<br>b": "a b",
    "2 * 3 is 6, snake_case stays.": "2 * 3 is 6, snake_case stays.",
    "请**稍等**。": "请稍等。",
    "Стоит 5 €.": "Стоит 5 €.",
}


CONTENT = [
    "3~5个工作日",
    "价格￥100~200元",
    "50%~60%",
    "我~好的",
    "~100 people",
    "5*3 is 15",
    "5*3*2 = 30",
    "цена 5*3=15",
    "体积按长*宽*高计算。",
    "x**2 + y**2",
    "Press * to go back",
    "Нажмите * или #.",
    "按 * 键返回，按 # 键确认。",
    "Dial *67 or *100#.",
    "M*A*S*H",
    "#1 in Europe",
    "C# and F#",
    "C♯ minor",
    "№ 5 и §3",
    "snake_case",
    "2 > 1 and 1 < 2",
    "P(A|B) is 5",
    "+ 7 495 123",
    "1. First",
    "[1] says so",
    "a_b@x.com",
    "mail john_smith_jr@example.com.",
    "info@example.com，谢谢",
    "ждём по почте info@пример.рф, спасибо",
    "and/or his.her",
    "3.5/4.0 and 10:30/11",
    "AT&T (and co)",
    "क्‍ष",
]


@pytest.mark.parametrize("text", CONTENT)
def test_what_is_content_stays(text: str) -> None:
    assert speakable(text) == text


MARKS = {
    "**注意：**请稍等": "注意：请稍等",
    "**“重点”**是": "“重点”是",
    "共**20**个": "共20个",
    "Это *важно* и **очень важно**.": "Это важно и очень важно.",
    "***Both*** and __strong__ and ~~old~~ new": "Both and strong and old new",
    "**Bold one.": "Bold one.",
    "Two.**": "Two.",
    "*Hello there.": "Hello there.",
    "Another one.*": "Another one.",
    "use `pip install *args` now": "use pip install *args now",
    "例如：`a_b`、`c*d`": "例如：a_b、c*d",
    "```pip install x```": "pip install x",
    "~~~": "",
    r"\*not emphasis\* and 1\_000": "*not emphasis* and 1_000",
    "- [ ] Buy milk": "Buy milk",
    "- [x] Pay": "Pay",
    "* item": "item",
    "+ item": "item",
    ">> quoted": "quoted",
    "#### Часы работы": "Часы работы",
    "***": "",
    "Day | Hours": "Day, Hours",
    "| 周一 | 9~18 |": "周一, 9~18",
    '[our page](https://en.wikipedia.org/wiki/A_(b) "T") now': "our page now",
    "![a picture](a.png) there": "a picture there",
    "text](https://example.com/a) goes on": "text goes on",
    "[^1] footnote": "footnote",
    "<b>bold</b> and <br/>": "bold and",
    "Enter <your name> here": "Enter your name here",
    "AT&amp;T &lt;3": "AT&T <3",
    "Settings → Network → Wi-Fi": "Settings, Network, Wi-Fi",
    "1️⃣ first 👨‍👩‍👧 ok 🇩🇪": "1 first ok",
    "###": "",
    "- ": "",
    "": "",
}


ADDRESSES = {
    "请访问https://example.com/help，然后输入订单号": "请访问example.com，然后输入订单号",
    "请访问https://example.com/help然后输入订单号": "请访问example.com然后输入订单号",
    "（见https://example.com/a(b)c）谢谢": "（见example.com）谢谢",
    "「https://example.com/a」をご覧ください。": "「example.com」をご覧ください。",
    "https://example.com/도움말을 보세요": "example.com도움말을 보세요",
    "Visit https://example.com.": "Visit example.com.",
    "Is it https://example.com/a? Yes!": "Is it example.com? Yes!",
    "See https://example.com/a_(b), please": "See example.com, please",
    'See (https://x.io/y) or "https://z.org/q?a=b".': 'See (x.io) or "z.org".',
    "Откройте https://пример.рф/путь, затем нажмите.": "Откройте пример.рф, затем нажмите.",
    "сайт пример.рф/путь и gosuslugi.ru/help, да": "сайт пример.рф и gosuslugi.ru, да",
    "статья https://ru.wikipedia.org/wiki/Москва_(город) здесь": "статья ru.wikipedia.org здесь",
    "https://例子.中国查看订单": "例子.中国查看订单",
    "见 https://zh.wikipedia.org/wiki/北京，谢谢": "见 zh.wikipedia.org北京，谢谢",
    "see www.example.com/path now": "see example.com now",
    "see example.com/help, please": "see example.com, please",
    "bare example.com stays": "bare example.com stays",
    "**https://example.com/a**": "example.com",
    "`https://example.com/a`": "example.com",
    "<https://example.com/x> ok": "example.com ok",
    "https://user:word@host.example:8080/x?y": "host.example:8080",
    "http://localhost:8000/v1, say": "localhost:8000, say",
    "http://[::1]:80/x": "[::1]:80",
    "ссылка:https://example.com。谢谢": "ссылка:example.com。谢谢",
    "mailto:info@example.com": "info@example.com",
    "<info@example.com>": "info@example.com",
    "“https://example.com/q?x=1&y=2”，完成": "“example.com”，完成",
}


READ_ALOUD = {"words": SPOKEN, "marks": MARKS, "addresses": ADDRESSES}
CASES = [
    pytest.param(*case, id=f"{kind}: {case[0]}")
    for kind, cases in READ_ALOUD.items()
    for case in cases.items()
]


@pytest.mark.parametrize(("text", "spoken"), CASES)
def test_words_are_read_aloud_without_marks_and_addresses_to_their_end(text: str, spoken: str) -> None:
    assert speakable(text) == spoken


def test_a_mark_of_a_block_is_one_at_the_beginning_of_a_line() -> None:
    text = "Dial 5. # ends the call. > is more.\n# Hours\n> quoted"
    parts = [text[8:24], text[25:35], text[36:43], text[44:]]
    places = [text.index(part) for part in parts]
    said = [spoken_part(text, place, place + len(part)) for place, part in zip(places, parts, strict=True)]
    assert said == ["# ends the call.", "> is more.", "Hours", "quoted"]


@given(st.text(alphabet="ab字я *_`~#|<>[]()!\\/.:1\n&;-+@→🙂", max_size=80))
def test_no_word_is_lost_whatever_stands_around_it(text: str) -> None:
    said = speakable("начало " + text.replace("://", "").replace("/", "") + " конец")
    assert said.startswith("начало") and said.endswith("конец")
