"""Texts come back from tokens as they were printed, in any script; long words cost little."""

# ruff: noqa: RUF001  the scripts are what is tested

import random
import unicodedata

import pytest

from gangen_text.codec import TextCodec
from gangen_text.data import tokenization
from gangen_text.data.corpus import make_codec
from gangen_text.data.tokenization import train

PRINTED = [
    "the 1st and 2nd of May",
    "in the 1980s and the ’90s",
    "a 4K film at 10:30, for $5 or 1,000.50 € (5 %)",
    "mp3 files, v2.0 and COVID-19",
    "a 2-year-old, 3.5mm wide",
    "1990-2000, 1990–2000 and 24/7",
    "the U.S. and the U.K.",
    "“Don’t go,” she said — and left…",
    '"Don\'t go," she said, "please."',
    "'Tis the dogs' bowl; rock 'n' roll!",
    "word—word and/or him/her",
    "mail @anna about #cats_and_dogs :-) ok",
    "see https://example.com/a?b=1&c=2, please",
    "wait... what?! No.",
    "a (very) [small] {thing} f(x) = x^2",
    "I love it 👍🏽👩‍👩‍👧‍👦 🇩🇪🇫🇷 ❤️ok 1️⃣!",
    "snake_case and __init__",
    "50% of 3/4 -- or +5 °C at 20°",
    "C++ & C# < Java",
    "co\N{SOFT HYPHEN}operate, o\N{MODIFIER LETTER APOSTROPHE}clock",
    "« Bonjour ! » dit-elle ; l’homme rit : oui ?",
    "«\N{NO-BREAK SPACE}Bonjour\N{NARROW NO-BREAK SPACE}!\N{NO-BREAK SPACE}» dit l'homme",
    "aujourd’hui, à 10\N{NARROW NO-BREAK SPACE}000\N{NO-BREAK SPACE}€",
    "„Ja“, sagte er; »nein« – ‚doch‘.",
    "Die 3-jährige kostet 5,50 €",
    "¿Qué tal? ¡Muy bien!",
    "Dijo: «¿Vienes?» —no lo sé—.",
    "Τι κάνεις; Καλά· ευχαριστώ.",
    "Τι κάνεις; «Ναι»",
    "«Привет», — сказал он…",
    "Об'єкт, м’ята і №5",
    "هل أنت بخير؟ نعم، شكراً؛ الحمد لله.",
    "المَدْرَسَةُ (الجديدة) ٣٫٥ كم",
    "می\N{ZERO WIDTH NON-JOINER}روم خانه\N{ZERO WIDTH NON-JOINER}ها، «سلام»!",
    "آپ کیسے ہیں؟ ٹھیک ہوں۔",
    "שָׁלוֹם, צה״ל וג׳ירפה.",
    'תל־אביב, "כן" \N{RIGHT-TO-LEFT MARK}ABC\N{RIGHT-TO-LEFT MARK}!',
    'ארה"ב',
    "यह किताब है। क्या हाल है?",
    "क्‍ष और ज़िंदगी॥",
    "আমি ভালো আছি। তুমি?",
    "நான் நலம், நன்றி!",
    "ภาษาไทย ไม่มีเว้นวรรค ๆ",
    "ราคา 50 บาท (ถูก)",
    "ខ្ញុំ\N{ZERO WIDTH SPACE}ស្រលាញ់\N{ZERO WIDTH SPACE}ភាសា\N{ZERO WIDTH SPACE}ខ្មែរ។",
    "春眠不覺曉，處處聞啼鳥。",
    "他说：“你好！”（真的）《红楼梦》、等……——好",
    "夜來風雨聲\N{IDEOGRAPHIC SPACE}花落知多少",
    "价格￥５０％，2020年5月",
    "「はい」と言った。ええ、そうです！",
    "カタカナ・テスト〜〜",
    '안녕하세요, 2주년입니다. "네!"',
    "Ինչպե՞ս ես։ Լավ եմ, շնորհակալ եմ։",
    "„გამარჯობა“, თქვა მან.",
    "ሰላም፡ነው። እንዴት፣ ነህ፧",
    "བོད་ཡིག་གི་སྐད། བཀྲ་ཤིས་",
    "မြန်မာ စာ၊ ကောင်းပါသည်။",
]
# What words and marks may be made of: no spaces but those that are marks, all that joins, and flags of two letters.
CHARACTERS = (
    "aé1b2ñ한漢かتاहि्ไท'’\"-—–.,;:!?%()[]«»“”‘„¿¡…/\\@#$€&*+=<>^~`|•।،؟。，「」🏽👍👩🇩🇪❤_٣٫½²①￭״׳·‐"
    "\N{NO-BREAK SPACE}\N{IDEOGRAPHIC SPACE}\N{ZERO WIDTH SPACE}\N{ZERO WIDTH NON-JOINER}\N{ZERO WIDTH JOINER}"
    "\N{SOFT HYPHEN}\N{RIGHT-TO-LEFT MARK}\N{VARIATION SELECTOR-16}\N{COMBINING ACUTE ACCENT}"
)


def words(texts, **options):
    return make_codec(texts, (), **{"tokenizer": "words", "vocab_size": 10**6, "max_length": 99, **options})


def there_and_back(codec, texts):
    return codec.tokenizer.decode_batch(codec.tokenize(texts), skip_special_tokens=False)


def tokens(codec, text):
    return [codec.tokenizer.id_to_token(token) for token in codec.tokenize([text])[0]]


@pytest.mark.parametrize("text", PRINTED)
def test_words_come_back_as_they_were_printed(text):
    assert there_and_back(words([text]), [text]) == [text]


def test_words_of_all_scripts_at_once_come_back():
    assert there_and_back(words(PRINTED), PRINTED) == PRINTED


def test_any_marks_come_back():
    draw = random.Random(0)
    texts = [
        " ".join("".join(draw.choices(CHARACTERS, k=draw.randint(1, 6))) for _ in range(draw.randint(1, 5)))
        for _ in range(3000)
    ]
    codec = words(texts)
    expected = [unicodedata.normalize("NFC", text).replace("￭", "■") for text in texts]
    assert there_and_back(codec, texts) == expected
    assert codec.tokenize(texts) == TextCodec(codec.tokenizer, codec.spec).tokenize(texts)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("the 1st, 1980s and 4K", ["the", "1st", ",", "1980s", "and", "4K"]),
        ("3.5mm at 10:30, 1,000.", ["3.5mm", "at", "10:30", ",", "1,000", "."]),
        ("a 2-year-old, COVID-19", ["a", "2-year-old", ",", "COVID-19"]),
        ("l'homme, o’clock", ["l'homme", ",", "o’clock"]),
        ("می\N{ZERO WIDTH NON-JOINER}روم", ["می\N{ZERO WIDTH NON-JOINER}روم"]),
        ("שָׁלוֹם צה״ל", ["שָׁלוֹם", "צה״ל"]),
        ("snake_case ज़िंदगी", ["snake_case", "ज़िंदगी"]),
        ("👍🏽👩‍👩‍👧 🇩🇪🇫🇷", ["👍🏽", "￭👩‍👩‍👧", "🇩🇪", "￭🇫🇷"]),
        ('"Go," he said', ['"￭', "Go", ",", '￭"', "he", "said"]),
        ("« Oui ! »", ["«￭", "Oui", "￭!", "￭»"]),
        ("f(x) = $5", ["f", "￭(", "x", ")", "=", "$￭", "5"]),
        ("yes, (no) — “go!”", ["yes", ",", "(", "no", ")", "—", "“", "go", "!", "”"]),
    ],
)
def test_words_are_what_people_take_for_words_and_marks_say_what_they_touch(text, expected):
    assert tokens(words([text]), text) == expected


def test_composed_and_decomposed_accents_are_the_same_word():
    codec = words(["naïve café"])
    assert there_and_back(codec, [unicodedata.normalize("NFD", "naïve café")]) == ["naïve café"]


def test_spaces_around_all_marks_say_nothing():
    texts = ["they ' re here , and it 's ( so ) good .", "well , no ! she 'll not say `` 1990s '' ."]
    expected = ["they're here, and it's (so) good.", "well, no! she'll not say `` 1990s ''."]
    assert there_and_back(words(texts), texts) == expected
    # Where only some marks have spaces, that is how they are printed.
    assert there_and_back(words(["Oui, oui !", "Non."]), ["Oui, oui !"]) == ["Oui, oui !"]


@pytest.mark.parametrize("kind", ["byte_bpe", "bpe"])
def test_byte_pairs_of_a_long_word_are_learnt_from_its_pieces(kind, monkeypatch):
    def longest(word):
        return max(map(len, train(kind, ["some words", word * 2], vocab_size=400).get_vocab()))

    monkeypatch.setattr(tokenization, "LONGEST_WORD", 12)
    assert longest("a" * 40) == 12
    assert train(kind, ["some words", "a" * 11], vocab_size=400).encode("a" * 11).tokens[-1].endswith("a" * 11)


@pytest.mark.parametrize("kind", ["byte_bpe", "bpe"])
def test_where_no_word_is_long_its_pieces_are_no_matter(kind, monkeypatch):
    usual = train(kind, PRINTED, vocab_size=1000).to_str()
    monkeypatch.setattr(tokenization, "LONGEST_WORD", 99_999)
    assert train(kind, PRINTED, vocab_size=1000).to_str() == usual


@pytest.mark.parametrize("kind", tokenization.KINDS)
def test_a_line_without_a_space_keeps_all_its_tokens(kind):
    letters = "".join(random.Random(0).choices("ACGT", k=20_000))
    codec = words(["a few words", letters], tokenizer=kind, vocab_size=300)
    assert there_and_back(codec, [letters]) == [letters]
