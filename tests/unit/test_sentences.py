"""Sentence ends of streamed text. In the tables ¦ stands between two sentences and ⏎ for a new line."""

import re
import unicodedata

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from common.text.sentences import Sentences, rests_at_end, split_sentences

ENGLISH = """
Hello there. ¦How are you? ¦Fine!
Mr. Smith met Mrs. Jones and Ms. Lee. ¦Dr. Who came.
Prof. Brown lives on St. James Street. ¦Capt. Green does not.
Gen. Lee met Sen. Warren and Gov. Hale. ¦Col. Mustard was late.
She has cats, e.g. Persians, i.e. long ones. ¦He has none.
See e.g. The Times, cf. The Post, vs. The Sun.
Apples, pears, etc. are fruit. ¦Bring nuts, etc. ¦The rest is here.
Smith et al. found it. ¦It was found by Smith et al. ¦They were glad.
He works at Acme Inc. and likes it. ¦She left Acme Inc. ¦She was tired.
Acme Inc. Chairman Bob Hope Jr. spoke. ¦Globex Ltd. did not.
I live in the U.S. and love it. ¦He left the U.S. ¦It was cold.
The U.S. Army and the U.K. Government agreed. ¦D.C. did not.
She has a Ph.D. in physics. ¦He has a Ph.D. ¦They are proud.
We meet at 5 p.m. today. ¦We met at 10 a.m. ¦Then we ate. ¦It was 5 p.m. Monday.
Come at 5 p.m.! ¦Or at 6 a.m.? ¦Either is fine.
Call No. 5 or no. 7. ¦Did he call? ¦No. ¦He wrote.
See fig. 3, Fig. A, vol. II, pp. 3 and p. 5. ¦Done.
It takes approx. 5 minutes, est. 1990, dept. of tea.
Born Jan. 5, Feb. 3 or Sept. 2. ¦In Dec. ¦The snow fell.
We met on Mon. and Tues. and he sat. ¦Then he left.
It costs $5.99. ¦That is 1.000,5 in euros. ¦Pi is 3.14. ¦Fine.
Use v2.0.1. ¦Then update. ¦Python 3.11 is out.
In 2019. ¦The year was long. ¦It is in 2020. 5 of them left.
Visit example.com. ¦It is good. ¦Write to a.b@example.org! ¦Please.
Go to https://example.com/page?id=1&x=2. ¦Then https://a.b/c?D=4 too.
Use Node.js and main.py. ¦They work. ¦So does e-mail.
J. R. R. Tolkien wrote it. ¦So did J.K. Rowling and George W. Bush.
Plan B. ¦It failed. ¦Vitamin C. ¦The end. ¦Heat to 200°C. ¦Wait.
Well... maybe. ¦Wait... ¦The end. ¦Hm… yes. ¦Oh… ¦So be it.
Wait . . . what? ¦Yes.
What?! ¦No way!!! ¦Really?.. ¦Yes.
Yahoo! is big. ¦So was "Help!" in 1965.
"Go away!" she said. ¦"Really?" ¦Tom asked. ¦"Yes." ¦He went.
He said “go.” ¦Then he left. ¦“Stop!” he cried. ¦‘Fine.’ ¦OK.
He said "yes." ¦She said 'no.' ¦They left.
"Yes", he said. ¦It was a "maybe". ¦It was.
He left (she stayed). ¦They met (see below). ¦(They parted.) ¦Good.
He came (really? yes!) and left. ¦[Applause.] ¦Thanks.
**Note.** ¦This is *it.* ¦And `foo.bar()` too. ¦_Well._ ¦Yes!
**Bold** text. ¦***Both.*** ¦~~Gone.~~ ¦Here.
2 * 3 is 6. ¦So is 3*2. ¦And snake_case too. ¦Yes.
# 1. Title⏎¦Text. ¦More text⏎⏎⏎¦## Heading⏎¦text
1. First item.⏎¦2. Second. ¦Item⏎¦10. Tenth.
1. First. ¦Second.⏎¦a) third. ¦Fourth⏎¦(b) fifth⏎¦A. Sixth⏎¦IV. Seventh⏎¦1.2. Eighth
- One. ¦Two⏎¦* three⏎¦• Four! ¦Five⏎¦– six
**1. Title.** ¦Text.
1.⏎First.⏎¦-⏎Second.
Step 1. Open it. ¦Step 2. Close it. ¦That was step 2. ¦Good.
Do this: 1. Open it. ¦2. Close it.
| A. B | c. |⏎¦|---|---|⏎¦| Good choice. Yes! | No. |⏎¦Text. ¦More.
```⏎¦foo. Bar⏎¦```⏎¦Well. ¦Done.
The rose is red⏎¦the violet's blue,⏎⏎¦sugar is sweet
Great! ¦😊 Let's go. ¦Bye 👋! ¦See you.
Great!¦😊 Let's go.
:( No. ¦Yes :). ¦Good.
one moment please. ¦i will check. ¦thank you
Wow!¦Great. ¦What?¦Really!
He left - she stayed. ¦- Really? ¦— Yes! ¦"No." - he said.
Don't! ¦It's mine. ¦The cats'. ¦'Twas so.
A 5" pipe. ¦It's 6' long. ¦The '90s. ¦OK.
50%. ¦C++. ¦C#. ¦Done.
P.S. Write soon. ¦To be, or not. ¦I am. ¦It is I. ¦He knew.
Wait!—he cried. ¦Stop!¦—They ran.
Well. . . ¦Yes
"""

CHINESE = """
好的。¦我们走。¦再见
你好！¦再见？¦是的。
好的！！！¦走吧！？¦真的？！¦不。
好！!¦走？?¦是。
“好。”¦他说。¦“好！”¦她说。¦“好？”¦他问。
他说：“好。”¦她走了。
他说“好”。¦她走了。
他说：“你好。¦我是王。”¦然后走了。
「好。」¦他说。¦『好！』¦她说。¦「好」。¦走。
他说：‘好。’¦走了。
（他来了。）¦我走。¦我走（他来）。¦好。
(他来了。)¦我走。
【注意！】¦好。¦《你好。》¦书。
“他说‘好。’”¦走了。
她问：“去哪？”¦“去北京。”¦好。
他说:"好。"¦然后走了。¦"走!"¦他说。
我……不知道。¦好。
等等……⏎¦好。
“等等……”他说。¦好。
我…… ¦走。
他走了……¦（笑）。
……好。
什么……？¦好。
好的；我们走，好吗：是、的。¦走。
价格是3.14元。¦版本2.0。¦见3.5节。
一共1,000.5元！¦便宜100.5%。
好的!¦我们走?¦是的.¦然后走。
好的. ¦好的! ¦OK
好的!!¦真的?!¦走。
使用Python.¦然后走。
使用file.txt。¦访问example.com。¦好。
网址是https://a.b/c?d=1。¦好。
文件.txt在这里。
1. 第一。¦第二。⏎¦2. 第三。
1.第一。¦第二。⏎¦2.第三
1、第一。⏎¦2、第二
一、第一。⏎¦二、第二。
（一）⏎第一。⏎¦1.⏎第二
(1) 第一！¦好⏎¦1) 第二
- 第一⏎¦- 第二。¦好⏎¦* 第三⏎¦• 第四
标题⏎⏎¦正文。¦正文⏎¦正文
## 1. 标题⏎¦正文
床前明月光，⏎¦疑是地上霜。⏎¦举头望明月，⏎¦低头思故乡。
**好的。**¦下一句。¦*好。*¦走。
**好的**。¦下一句。¦**注意！**¦走。
`好。`¦走。¦~~好。~~¦走。
**第一：**好。¦走。
第一。¦**第二。**¦第三。
好的。¦😊我们走。¦好😊。¦走。
好的！¦😊我们走！¦👍
| 好。坏 | 走！是 |⏎¦| 好。 | 不。 |⏎¦好。¦走。
Hello。¦World！¦好。
我说 hello. ¦她说 Bye。
他叫Dr. 王，Mr. 李。¦好。
苹果、梨等等etc. ¦好。
约翰·史密斯。¦J. K. 罗琳。
哇！，好。¦是吗？，好。
他说。¦）好。
好！）¦走。
共5个.¦好。
如下：1.第一步2.第二步。¦好。
２．第二。¦３．１４。
好。 ¦走。 ¦好
"""

RUSSIAN = """
Привет. ¦Как дела? ¦Хорошо!
Да. ¦Нет. ¦Он. ¦Мы. ¦Это был я. ¦Он ушёл.
Это т.е. то, т.к. Иван пришёл, т.е. Он.
Яблоки, груши и т.д. лежат. ¦Яблоки и т.д. ¦Затем груши.
Яблоки и т. д. и т. п. ¦Потом груши, т. е. фрукты.
Пушкин и др. писали. ¦Пушкин и др. ¦Они писали. ¦Столы и пр. ¦Затем стулья.
В 2019 г. он ушёл. ¦В 2020 г. ¦Она пришла. ¦В 1990-х гг. ¦Россия росла.
Он из г. Москва. ¦В г. Омск холодно.
В XX в. было так. ¦Это XIX в. ¦Потом иначе. ¦В V в. до н.э. ¦Они жили.
На ул. Ленина, д. 5, кв. 10. ¦Дом на пл. Победы.
Театр им. Пушкина. ¦Он помог им. ¦Потом ушёл.
Это 5 руб. за штуку. ¦Всего 10 тыс. руб. ¦Затем 5 коп. ¦Он заплатил.
Там 3 млн. человек. ¦Там 2 млрд. ¦Затем больше. ¦Это 5 долл. США.
Вес 5 кг. ¦Потом 200 г муки. ¦Длина 5 м. ¦Это много.
А. С. Пушкин и Л.Н. Толстой. ¦Пушкин А. С. родился. ¦М.Ю. Лермонтов тоже.
Ж.-Ж. Руссо и Д. И. Менделеев. ¦Ваш И. И. Иванов.
Витамин С. ¦Он полезен. ¦Группа А. ¦Это важно.
См. рис. 5 и стр. 10, напр. Рис. 3. ¦Да.
Проф. Иванов и акад. Павлов, доц. Петров. ¦Все тут.
По ст. 5 и п. 3, гл. 2. ¦Верно.
Г-н Иванов и г-жа Петрова. ¦Тов. Сухов.
Слово от лат. Homo, англ. Man. ¦Ясно.
Неужели?.. ¦Да. ¦Неужели?.. да. ¦Ого!.. ¦И всё.
Ну... ладно. ¦Ну... ¦Ладно. ¦Ну… да. ¦Ну… ¦Да.
Что?! ¦Как!!! ¦Вот!
«Куда?» — спросил он. ¦«Домой!» — крикнул я. ¦Всё.
— Куда? — спросил он. ¦— Домой! ¦— Хорошо. ¦— Пойдём.
– Да! – сказал он. ¦– Пойдём.
«Да.» ¦Он ушёл. ¦«Да». ¦Он ушёл. ¦«Да!» ¦Он ушёл.
Он сказал: «Привет!» и ушёл. ¦Он сказал: «Нет». ¦Потом ушёл.
Он сказал: "Привет!" и ушёл. ¦"Да." ¦Он ушёл.
„Кто?“ ¦Он. ¦«Он сказал: „Да!“» ¦Потом ушёл.
«Он ушёл. ¦Она осталась.» ¦Конец.
Он (тогда!) ушёл. ¦Он ушёл (см. выше). ¦(Она осталась.) ¦Всё.
Цена 3.14 руб. за штуку. ¦Версия 2.0. ¦Новая 3.1 вышла.
Сайт example.ru. ¦Он хорош. ¦Почта a.b@example.ru! ¦Пишите.
Ссылка https://example.ru/a?b=1. ¦Откройте её.
Это было 01.02.2024. ¦Потом в 18.00. ¦Да.
В 2020. 5 человек ушли. ¦Осталось 5. ¦Они ждут.
1. Первый. ¦Второй.⏎¦2. Третий.
а) первый. ¦Второй⏎¦б) третий⏎¦в. четвёртый
- Первый. ¦Второй⏎¦* третий⏎¦• Четвёртый! ¦Пятый
1.⏎Первый.⏎¦-⏎Второй.
Шаг 1. Откройте. ¦Шаг 2. Закройте. ¦Это был шаг 2. ¦Всё.
Вот шаги: 1. Откройте. ¦2. Закройте.
Глава 5. Начало
# Заголовок⏎¦Текст. ¦Текст⏎⏎⏎¦Текст
Мороз и солнце;⏎¦день чудесный!⏎¦Ещё ты дремлешь,⏎¦друг прелестный
**Важно.** ¦Текст. ¦**Важно!** ¦Текст. ¦*Да.* ¦Нет.
**1. Раз.** ¦Два. `код.ру` тут. ¦«**Да.**» ¦Он.
| Да. Нет | Ой! Ай |⏎¦| Хорошо. Да | Нет. |⏎¦Всё. ¦Да.
Привет!¦Как дела? ¦Да!да
Ура! ¦🎉 Победа. ¦Да 😊. ¦Нет.
США. ¦Он уехал. ¦ООН. ¦НАТО. ¦СССР. ¦Затем Россия.
Добавьте 1 ч. л. соли и 1 ст. л. масла. ¦Готово.
Это и.о. директора и т.н. Эксперт. ¦Да.
Это с.-х. Работы. ¦Да.
Хорошо. ¦5 человек. ¦Хорошо! ¦5 человек. ¦Ну... ¦5 человек.
Он пришёл; она ушла: всё. ¦Да.
Сколько? ¦5 ч. ¦Он ждал. ¦В 5 ч. утра. ¦Спасибо.
Температура 20°C. ¦Тепло. ¦50%. ¦Да.
Примеч. автора. ¦Это англ. слово. ¦Готово.
"""

OTHERS = """
本当？¦はい。¦すごい！¦ね。
「はい。」¦と彼。¦「いいえ」。¦終わり。
ﾃｽﾄ｡¦次ﾃﾞｽ｡
テスト．¦次。
नमस्ते। ¦आप कैसे हैं? ¦ठीक हूँ॥ ¦हाँ! ¦अच्छा
مرحبا؟ ¦نعم. ¦لا! ¦حسنا، نعم۔ ¦ہاں
שלום. ¦מה שלומך? ¦טוב!
¿Qué tal? ¦¡Bien! ¦¿y tú? ¦Sí. ¦Sr. López.
¡Hola! ¦¿Cómo? ¦«Sí.» ¦No.
Bonjour ! ¦Ça va ? ¦Oui. ¦« Non ! » dit-il.
„Ja.“ ¦Er ging. ¦Straße 5. ¦Haus.
Γεια σου. ¦Καλά! ¦Ναι.
გამარჯობა. ¦როგორ! ¦კარგად? ¦დიახ.
안녕하세요. ¦반갑습니다! ¦네? ¦좋아요.
Բարեւ։ ¦Այո։ ¦Ոչ։
สวัสดี! ¦ครับ? ¦ดี
ሰላም። ¦እሺ። ¦አዎ
Wow‼ ¦Yes. ¦Really⁉ ¦No.
"""


def cases(table: str) -> list[str]:
    return table.strip().splitlines()


def at_once(text: str) -> Sentences:
    sentences = Sentences()
    sentences.feed(text)
    return sentences


@pytest.mark.parametrize("case", cases(ENGLISH) + cases(CHINESE) + cases(RUSSIAN) + cases(OTHERS))
def test_a_text_falls_into_its_sentences(case: str) -> None:
    expected = case.replace("⏎", "\n").split("¦")
    assert split_sentences("".join(expected)) == expected


@pytest.mark.parametrize("table", [ENGLISH, CHINESE, RUSSIAN])
def test_each_language_has_its_cases(table: str) -> None:
    assert len(cases(table)) >= 60


@pytest.mark.parametrize(
    "case",
    [
        "好的。¦", "他说：“好。", "他说：“好。”¦", "（说：“好。”", "（说：“好。”）¦", "**好。", "**好。**",
        "**好。**¦我", "好！", "好！！", "好！！¦我", "好!¦我", "等等……", "标题¦\n", "Sure.", "Sure.¦ I",
        "Certainly.¦ ", "Certainly!", "Certainly! ", "Certainly!¦ I", '"Certainly." ', '"Certainly."¦ I',
        "Nuts, etc. ", "Nuts, etc.¦ T", "Dr. The man", "The U.S. The", "The U.S.¦ The ", "The U.S. Army ",
        "Hello¦\n", "Hello¦ \r", "1.\n", "Привет.¦ ", "Куда? ", "Куда?¦ Т", "«Куда?» — с", "В 2019 г. ",
        "В 2019 г.¦ О", "ठीक।", "ठीक।¦ ", "Great!¦😊", "Wait... ", "Wait...¦ T",
    ],
)  # fmt: skip
def test_an_end_is_certain_as_soon_as_it_can_be(case: str) -> None:
    *before, _ = case.split("¦")
    assert at_once(case.replace("¦", "")).ends == [len(part) for part in before]


@pytest.mark.parametrize(
    "text",
    [
        "Sure.", "Sure!", "Sure?", "Yes. ", "好的。", "好的！", "“好。”", "他走了……", "Да.", "«Да.»", "Да!..",
        "...", "Well...", "Well…", "He left\n", "# Title\n", 'He said "yes."', "(He left.)", "**Sure.**",
        "No.", "Great! 😊", "I am.", "See example.com.", "Это был я.", "ठीक।", "Hi!\n\n", "1. First.",
    ],
)  # fmt: skip
def test_a_text_rests_where_a_sentence_ends(text: str) -> None:
    assert rests_at_end(text)


@pytest.mark.parametrize(
    "text",
    [
        "", " ", "\n", "Sure", "Sure,", "Sure:", "Dr.", "It costs 3.", "In 2019.", "e.g.", "1.", "- ", "1.\n",
        "A.", "Sure. The", "Hello, ", 'He said "yes.', "他说：“好。", "(He left.", "**Sure.", "好的，",
        "好的", "т.е.", "Nuts, etc.", "Great! 😊 a", "The U.S.", "😊", "| Sure. |", "```\nfoo.", "“Wait...",
    ],
)  # fmt: skip
def test_a_text_does_not_rest_within_a_sentence(text: str) -> None:
    assert not rests_at_end(text)


SIGNS = """.!?…。｡！？।؟"'*_`~|()[]“”„«»「」『』（）‘’-—•#¿¡,;:，；、"""
WORDS = "... …… ** ``` ?! 1. 2) 3.14 No. U.S. The etc. Dr. p.m. Word word A i http://a?b г. т.д. Он слово"
OTHER_WORDS = "好 我们 はい हाँ نعم ა 한국 😊 👍🏽 👨‍👩‍👧 🇩🇪 🇩 ‼"
BLANKS = [" ", "  ", "\n", "\r\n", "\t", "\u2028", "\xa0"]
ODD = ["\u0301", "\u200d", "\ufe0f", "\u20e3", "\u0e33", "\x00", "\ud800", "\u200b", "\U0001f3fd"]
PIECES = st.one_of(
    st.sampled_from([*SIGNS, *WORDS.split(), *OTHER_WORDS.split(), *BLANKS, *ODD]),
    st.text(st.characters(exclude_categories=()), max_size=3),
)
TEXTS = st.lists(PIECES, max_size=30).map("".join)


@given(st.lists(PIECES, max_size=30))
def test_the_ends_do_not_depend_on_the_pieces(pieces: list[str]) -> None:
    grown = Sentences()
    text = ""
    for piece in pieces:
        text += piece
        grown.feed(piece)
        assert grown.ends == at_once(text).ends
        assert grown.rests == rests_at_end(text)
        assert grown.text == text
        assert grown.rests or not grown.ends or grown.ends[-1] != len(text.rstrip())


@given(TEXTS)
def test_what_was_certain_stays(text: str) -> None:
    grown = Sentences()
    for character in text:
        before = grown.ends.copy()
        grown.feed(character)
        assert grown.ends[: len(before)] == before
    assert grown.ends == at_once(text).ends
    before = grown.ends.copy()
    grown.close()
    assert grown.ends[: len(before)] == before
    assert len(grown.ends) <= len(before) + 2


@given(TEXTS)
@example("It ended.\u0301 And")
@example("Yes!\ufe0f No")
@example("Yes‼\u200d😊 No")
@example("Yes! 🇩🇪 No")
@example("好。\u0301好")
def test_an_end_is_a_place_to_stop(text: str) -> None:
    sentences = at_once(text)
    sentences.close()
    assert sentences.ends == sorted(set(sentences.ends))
    for end in sentences.ends:
        assert 0 < end <= len(text)
        assert not text[end - 1].isspace()
        # A mark comes too late for an end that was certain without waiting for it.
        assert not is_inside_cluster(text, end) or (
            end in at_once(text[:end]).ends and CERTAIN.search(text[:end])
        )
    if text.strip():
        assert sentences.ends[-1] == len(text.rstrip())
    else:
        assert not sentences.ends


CERTAIN = re.compile(r"[。｡\"”’」』）)\]】》〉»›}］｝〕〖〗｣“〞〟＂]\Z")


def is_inside_cluster(text: str, place: int) -> bool:
    """Whether a place lies within what a reader sees as one character."""
    before, after = text[place - 1], text[place : place + 1]
    if not after:
        return False
    if unicodedata.category(after)[0] == "M" or after in "\u200c\u200d\uff9e\uff9f\u0e33\u0eb3":
        return True
    if "\U0001f3fb" <= after <= "\U0001f3ff" or "\U000e0020" <= after <= "\U000e007f":
        return True
    flags = len(text[:place]) - len(text[:place].rstrip("🇦🇧🇨🇩🇪🇫🇬🇭🇮🇯🇰🇱🇲🇳🇴🇵🇶🇷🇸🇹🇺🇻🇼🇽🇾🇿"))
    if "🇦" <= after <= "🇿" and flags % 2:
        return True
    return (before == "\u200d" and "\U0001f000" <= after <= "\U0001fbff") or before + after == "\r\n"


@given(TEXTS)
def test_splitting_loses_nothing(text: str) -> None:
    parts = split_sentences(text)
    assert "".join(parts) == text
    assert all(parts)
    assert all(part.strip() for part in parts) or len(parts) == 1


@pytest.mark.parametrize(
    "unit", ["a", "a. ", "(", "“。", " \n", "*", ".", "。", '"!', "etc. ", "😊", "\u0301", "```\n"]
)
def test_a_long_text_comes_one_character_at_a_time(unit: str) -> None:
    text = unit * (20_000 // len(unit))
    grown = Sentences()
    for character in text:
        grown.feed(character)
    assert grown.ends == at_once(text).ends
    assert grown.text == text


def test_a_closed_text_takes_no_more() -> None:
    sentences = at_once("Yes. No")
    sentences.close()
    sentences.close()
    assert sentences.ends == [4, 7]
    with pytest.raises(ValueError, match="closed"):
        sentences.feed("more")
