"""Abbreviations and ordinals end no sentence. ¦ stands between two sentences."""

import pytest

from common.text.sentences import Sentences, split_sentences

CASES = """
डॉ. शर्मा आए। ¦वे बैठे।
श्री. कुमार और प्रो. वर्मा मिले। ¦डा. राव नहीं।
ए. पी. जे. अब्दुल कलाम आए। ¦एम. एस. धोनी भी।
यह ठीक है. ¦वह आया. ¦रु. 500 दीजिए।
Am 3. Mai kommt er. ¦Dann geht er.
Es war am 3. ¦Dann ging er.
Wir treffen uns am 3. um acht. ¦Gut.
Dr. Müller und Hr. Schmidt, z. B. Anna, i. d. R. heute. ¦Gut.
Das ist z.B. Berlin, d.h. Deutschland, v. a. Ost. ¦Ja.
Der 1. FC Köln spielt im 2. Stock. ¦Gut.
Am 24. Dezember. ¦Dann ist Ruhe.
Vom 5. Juni bis zum 7. Juli, 3. August. ¦Danach nicht.
Er kam als 3. ¦Mike kam als 4. ¦Ende.
I am 3. ¦Mike is 5. ¦I have 2. ¦Marie has 7.
Nr. 5, Abs. 3, Art. 5 GG und Kap. 2. ¦Gut.
Von 9 Uhr bis ca. 18 Uhr. ¦Danach nicht.
Sehr geehrte Fr. Meier, bzw. Herr Kunz, usw. ¦Und so weiter.
Das kostet 5 Mio. Euro inkl. MwSt. und Versand. ¦Gut.
Er wohnt in der Hauptstr. 5. ¦Sie wohnt in der Ringstr. ¦Dort ist es schön.
Im XIX. Jahrhundert lebte Friedrich II. ¦Er war König.
Dipl.-Ing. Kunz und Ing. Bauer kamen. ¦Gut.
El Sr. López y la Sra. García y la Dra. Ruiz. ¦Bien.
El Dr. Pérez vive en la Av. Reforma, núm. 5. ¦Sí.
Gracias a Ud. ¦Luego hablamos con Uds. ¦También hoy.
Se fue a EE. UU. ¦Luego volvió. ¦EE. UU. Mexicanos no.
Compró pan, etc. ¦Luego volvió. ¦Viajó, p. ej. Madrid. ¦Bien.
Ing. Bedoya, Lic. Ruiz, Gral. Paz y cap. 3. ¦Fin.
Sto. Domingo y Sta. Cruz. ¦Bien. ¦Son las 3. ¦Luego no.
M. Dupont et Mme. Martin. ¦Oui. ¦M. Le Pen parle.
MM. Blanc et Noir, p. ex. Cinq. ¦Oui. ¦Voir p. 5, art. 3, chap. 2. ¦Merci.
Le 3 janv. Marie vient. ¦C'est le 5 févr. ¦Elle part.
Il sig. Rossi e la sig.ra Bianchi. ¦Il dott. Verdi e l'ing. Neri. ¦Bene.
L'avv. Conti, p. es. Lui, e la dott.ssa Riva. ¦Ecco. ¦Pane, ecc. ¦Poi basta.
O Sr. Silva e a Sra. Costa, o Exmo. Senhor Lima. ¦Bom.
Fica na Av. Paulista, nº. 5. ¦Sim. ¦Veja pág. 7. ¦Depois não.
De dhr. Jansen en mevr. Bakker, d.w.z. Jan. ¦Ja.
Bijv. Amsterdam, o.a. Utrecht, enz. ¦Dat is het. ¦Zie blz. 5. ¦Goed.
Dr hab. Kowalski, inż. Nowak i św. Jan, np. ja. ¦Tak.
Na ul. Długiej 5, tj. Polska, m.in. Warszawa, godz. 5. ¦Tak.
Książki itd. ¦Potem idę. ¦W 2020 r. ¦Potem nie.
Pan Ing. Novák, např. Praha, tzv. Morava, atd. ¦Potom jdu. ¦Dne 3. května přijde.
Sn. Yılmaz, örn. Ankara, bkz. Sayfa 3. ¦Evet. ¦Saat 5. ¦Sonra gitti.
На вул. Хрещатик, буд. 5, напр. Київ, т. зв. Львів. ¦Так.
У 2020 р. ¦Він пішов. ¦Коштує 5 грн. ¦Потім ще. ¦І т. д. ¦Далі.
T.ex. Stockholm, bl.a. Malmö, dvs. Sverige kl. 5, osv. ¦Det är bra.
Hr. Hansen, f.eks. København, bl.a. Odense. ¦Ja. ¦Den 3. maj. ¦Godt.
Klo 5. ¦Sitten lähden. ¦Se on 3. toukokuuta.
Dl. Popescu, str. Lungă, nr. 5. ¦Da.
Dr. Kovács, pl. Budapest, ifj. Nagy, stb. ¦Aztán elment.
Η κα. Παπά, π.χ. Αθήνα, δηλ. Ελλάδα. ¦Ναι.
Tôi ở TP. Hồ Chí Minh. ¦Đúng.
Bpk. Budi di Jl. Sudirman No. 5. ¦Ya.
ডা. রায় এলেন। ¦হ্যাঁ।
திரு. குமார் வந்தார். ¦ஆம்.
డా. రావు వచ్చారు. ¦అవును.
د. أحمد هنا. ¦نعم.
ดร. สมชาย อยู่ที่ กทม. ปี พ.ศ. 2567 ครับ
2024. 5. 3. 오후 3시입니다. ¦네.
My number is 3. ¦Mary has 7. ¦Take exit 9. ¦It is a gem. ¦Try it.
I need an eSIM. ¦Then call. ¦They lived in L.A. ¦He moved to CA. ¦Mike stayed.
It is 5 mm. ¦Mike has 6 mm. ¦So come. ¦Come sto. ¦Bene.
Il libro è mio. ¦Luca lo sa. ¦Quiero ir. ¦Mañana voy. ¦Two years ago. ¦Mike left.
"""


@pytest.mark.parametrize("case", CASES.strip().splitlines())
def test_a_text_falls_into_its_sentences(case: str) -> None:
    expected = case.split("¦")
    text = "".join(expected)
    assert split_sentences(text) == expected
    grown = Sentences()
    for char in text:
        before = list(grown.ends)
        grown.feed(char)
        assert grown.ends[: len(before)] == before
    grown.close()
    whole = Sentences()
    whole.feed(text)
    whole.close()
    assert grown.ends == whole.ends


@pytest.mark.parametrize(
    "text, ends",
    [
        ("Am 3. ", []),
        ("Am 3. Mai", []),
        ("Am 3. Mai ", []),
        ("Am 3. Dann", []),
        ("Am 3. Dann ", [5]),
        ("Exit 3. M", []),  # "Mai" may come
        ("Exit 3. My", [7]),
        ("Exit 3. T", [7]),
        ("Exit 3. Mai ", []),
        ("In 2019. M", [8]),
        ("डॉ. श", []),
        ("वह आया. व", [7]),
    ],
)
def test_an_end_is_certain_as_soon_as_it_can_be(text: str, ends: list[int]) -> None:
    sentences = Sentences()
    sentences.feed(text)
    assert sentences.ends == ends


@pytest.mark.parametrize("text, parts", [("Exit 3. M", 2), ("Exit 3. Mai", 1), ("Am 3. Er", 2)])
def test_the_last_word_settles_it_at_the_texts_end(text: str, parts: int) -> None:
    assert len(split_sentences(text)) == parts
