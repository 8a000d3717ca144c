"""Words that a full stop may follow within a sentence, and words that start one, by language."""

import re


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


STARTERS = _words(
    """
    Der Die Das Er Sie Es Wir Ich Ihr Ein Eine Dann Danach Nun Jetzt Wenn Aber Und Oder Doch Auch Dort Hier
    Bitte
    Ja Nein Diese Dieser Dieses Für Mit Nach Vor Seit Sonst Außerdem Zudem Dabei Deshalb Daher Darum Kann
    Können
    Möchten Haben Hat Sind Ist War Waren Wird Was Wer Wie Wo Wann Welche Welcher Im Um Zum Zur Bei Beim Vom
    Auf Aus
    Als Ob Noch Nur Heute Morgen Gestern Später Zuerst Zunächst Schließlich Leider Gern Gerne Danke Guten
    Alle Ihre
    Unser Unsere Mein Meine Sein Seine Kein Keine Nicht Damit Dazu Dafür Jedoch Sobald Falls Weil Während Ab
    Bis
    Los Las Un Una Unos Él Ella Ellos Ellas Nosotros Yo Usted Ustedes Este Esta Estos Estas Eso Esto Ese Esa
    Pero Si
    Sí Luego Después Entonces Ahora También Además Hoy Mañana Ayer Cuando Donde Como Para Por Con Sin Según
    Desde
    Hasta Hay Es Está Están Puede Qué Quién Cuál Gracias Aquí Allí Sus Mi Nuestro Nuestra Se
    Les Il Elle Ils Elles Nous Vous Je Tu On Ce Cette Ces Cela Mais Et Ou Donc Alors Ensuite Puis Maintenant
    Ici
    Quand Pour Avec Sans Dans Depuis Oui Non Merci Voici Voilà Votre Notre Leur Une
    Lui Noi Voi Loro Io Questo Questa Questi Queste Ma Però Poi Dopo Quindi Adesso Ora Anche Inoltre Oggi
    Domani
    Ieri Quando Dove Come Per Senza Sì Grazie Qui È Sono Ecco Gli Uno Nel Nella
    Ele Ela Eles Elas Nós Eu Você Vocês Isso Isto Esse Essa Mas Depois Então Agora Também Além Hoje Amanhã
    Ontem
    Onde Com Sem Desde Até Sim Não Obrigado Obrigada Aqui Seu Sua Um Uma Os As Em No
    Het Hij Zij Ze Wij We Ik Jij U Een Dit Dat Deze Maar En Of Daarna Toen Nu Ook Vandaag Morgen Gisteren
    Wanneer
    Waar Hoe Met Zonder Voor Ja Nee Bedankt Uw Onze
    On Ona Oni One Ja My Wy To Ta Ale Lub Potem Wtedy Teraz Także Dzisiaj Jutro Wczoraj Kiedy Gdzie Jak
    Dla Bez Tak Nie Dziękuję Czy Proszę Jest Są W Z Pan Pani Następnie Dlatego
    Oni Já Ty Vy Tato Toto Pak Potom Nyní Teď Také Dnes Zítra Včera Když Kde Pro Ano Ne Děkuji Je Jsou Poté
    Bu Şu Biz Siz Onlar Ama Ve Veya Sonra Şimdi Bugün Yarın Dün Evet Hayır Teşekkürler Lütfen Bunun
    Він Вона Воно Вони Ми Ви Це Цей Ця Ці Але Або Та Потім Тепер Зараз Також Сьогодні Завтра Вчора Коли Де
    Як Що
    Так Ні Дякую Є Будь Тому Після Якщо З У В
    Hon Hun Det Vi Jag Jeg Ni Men Och Og Eller Sedan Så Nu Här Her Där Der Idag På Med För For Utan
    Ja Nej Nei Tack Tak Takk När Når Hvor Var Vad Hvad Hva
    Hän Se Me He Sinä Mutta Ja Tai Sitten Nyt Tänään Huomenna Kun Kyllä Ei Kiitos
    Ő Ez Mi Ti Ők És Vagy Aztán Majd Most Ma Holnap Igen Nem Köszönöm
    El Ei Ele Noi Voi Eu Dar Sau Apoi Acum Azi Mâine Nu Mulțumesc
    Αυτός Αυτή Αυτό Εμείς Εσείς Εγώ Αλλά Και Ή Μετά Τώρα Σήμερα Αύριο Ναι Όχι Ευχαριστώ Ο Η Το Οι Τα
    """
)
"""Words that often start a sentence and, unlike Le, De, Van, don't continue a name after an initial."""

NEVER = _words(
    """
    hrn frl bzw vgl inkl exkl zzgl evtl ggf sog ggü bspw dipl dipl.-ing z.b d.h v.a i.d.r d.r s.o geb
    sra srta sres sras dra dres dña avda pza ctra gral lic arq p.ej aprox excmo excma ilmo ilma exmo exma
    mme mmes mlle mlles mgr boul p.ex c.-à-d env
    sig sigg sig.ra sig.na sig.ri dott dott.ssa dr.ssa prof.ssa avv geom spett egr p.es p.zza v.le c.so
    dhr mevr drs bijv d.w.z o.a i.p.v t.o.v m.b.t m.a.w excl
    inż hab św godz m.in tzn tzw ks
    např tzv popř mudr judr phdr rndr nám tř čp sv
    örn bkz doç yrd
    вул буд див т.зв напр
    t.ex bl.a d.v.s dvs kl s.k fr.o.m t.o.m jfr jf f.eks ekskl tlf tfn
    klo puh
    κα κος δηλ π.χ
    ifj özv ún
    bpk sdr yth rp
    डॉ डा प्रो पं श्री श्रीमती सुश्री मो ए बी सी डी एफ एच जे एल एम एन ओ पी आर एस टी वी के यू
    ডা ড মো প্রো শ্রী திரு திருமதி டாக்டர் డా శ్రీ ప్రొ ડૉ ડો શ્રી પ્રો ਡਾ ਸ੍ਰੀ ಡಾ ಶ್ರೀ ಪ್ರೊ ഡോ ശ്രീ പ്രൊഫ
    """
)
"""Abbreviations that never end a sentence, in lower case."""

NEVER_SMALL = _words("ca tj ul pl im jl wg mj")
"""The same, but only in lower case: CA and PL are other words."""
NEVER_CAPITAL = _words("TP EE Jl MM Sn Sto Sta ThS PGS")
"""The same, but only as they are written here."""
NEVER_AS_WRITTEN = NEVER_SMALL | NEVER_CAPITAL

STARTER = _words(
    """
    ing av np kb dna bv esim mwst str bd jhd ud uds vd vds uu cía cia hnos ltda exa máx mín arch rag cav
    mons eng obs mw
    janv févr juill déc ene abr dic giu lug ott
    zł kč hod cad sok mah apt dk yy jud krt kec kab kel ім std sek dl
    """
)
"""Abbreviations that end a sentence if the next word starts one, in lower case."""
STARTER_CAPITALISED = _words("Fr Mo Mi Sa Mrz Okt Dez BS TS GS KS")

CAPITAL = _words(
    """
    nr gem usw usf u.dgl o.ä u.ä u.s.w abs abb kap aufl jh núm nº pág págs pag pagg cap art ecc chap ref blz
    enz
    itd itp atd apod vb
    रु क्र नं सं
    грн тис рр ін osv m.m mv m.v stk kr ym jne κτλ κλπ κ.λπ αρ τηλ stb dll dsb rozdz poz
    """
)
"""Abbreviations that end a sentence if a capital follows, as "etc.", and those that numbers follow."""

COUNTED = _words("mio mrd tsd tis mld тис mil mia")
"""Abbreviations for thousands, millions and the like, after a number."""

_THINGS = _words(
    """
    Januar Jänner Februar Feber März April Mai Juni Juli August September Oktober November Dezember Marts Maj
    December Montag Dienstag Mittwoch Donnerstag Freitag Samstag Sonntag
    Stock Stockwerk Etage Obergeschoss OG Jahrhundert Jahrtausend Quartal Semester Klasse Liga Bundesliga
    Weltkrieg
    Advent Geburtstag Mal
    """
)
_BEGINNINGS = frozenset(word[:length] for word in _THINGS for length in range(1, len(word) + 1))

_ORDINAL = re.compile(
    r"(?:(?<![^\W_])(?:am|vom|zum|zur|beim|im|der|die|das|den|dem|des|bis|ab|seit|jeden|jeder|jedem|jedes|dein|mein|"
    r"sein|ihr|unser|euer|kein)(?:e|en|em|er|es)?)[ \xa0\u202f]\Z",
    re.IGNORECASE,
)
_ENGLISH_AM = re.compile(r"(?<![^\W_])I am \Z")
_YEAR_MONTH = re.compile(r"\d{4}\. ?\d{1,2}\. ?\Z")
_ROMAN = re.compile(r"[IVXLC]{2,7}")
_DAY = re.compile(r"\d{1,2}")


def is_ordinal(before: str, number: str) -> bool:
    """Return True if a number with a full stop counts what follows: the German "am 3.", the Korean "2024.
    5. 3.".
    """
    if not (_DAY.fullmatch(number) or _ROMAN.fullmatch(number) or (number.isdecimal() and len(number) == 3)):
        return False
    if _YEAR_MONTH.search(before):
        return True
    return _ORDINAL.search(before) is not None and _ENGLISH_AM.search(before) is None


def may_be_day(number: str) -> bool:
    """Return True if a number may be that of a day, so that a month or another counted thing can follow."""
    return _DAY.fullmatch(number) is not None


def is_counted(word: str) -> bool:
    """Return True if a word after a number and a full stop is what the number counts: "3. Mai"."""
    return word in _THINGS


def may_be_counted(beginning: str) -> bool:
    """Return True if a word that begins like this may become one that a number counts."""
    return beginning in _BEGINNINGS
