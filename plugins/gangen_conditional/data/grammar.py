"""English sentences of a small grammar, each with its one translation into Latin.

English has its verb in the middle, Latin at the end; adjectives, possessives and owners follow their noun in Latin, and
agree with it in gender, number and case; adverbs move from the end to the beginning; "does not", "did not" and "will
not" become "non" and an ending. Articles have no translation, so that cases alone tell who did what to whom.
"""

from random import Random
from typing import NamedTuple

NOMINATIVE, ACCUSATIVE, GENITIVE, DATIVE = range(4)


def _table(words: str) -> list[list[str]]:
    return [entry.split() for entry in words.split(",")]


# Singular and plural, each nominative, accusative, genitive, dative; "*" is the nominative that a word is listed with.
ENDINGS = {
    "1": ("a am ae ae", "ae as arum is"),
    "2": ("us um i o", "i os orum is"),
    "2r": ("* um i o", "i os orum is"),
    "2n": ("um um i o", "a a orum is"),
    "3": ("* em is i", "es es um ibus"),
    "3n": ("* * is i", "a a um ibus"),
    "3i": ("is em is i", "es es ium ibus"),
    "3in": ("e e is i", "ia ia ium ibus"),
    "this m": ("hic hunc huius huic", "hi hos horum his"),
    "this f": ("haec hanc huius huic", "hae has harum his"),
    "this n": ("hoc hoc huius huic", "haec haec horum his"),
}
RELATIVE = {"m": ("qui", "qui"), "f": ("quae", "quae"), "n": ("quod", "quae")}

# Singular, plural, nominative, stem, declension, gender.
PEOPLE = """
    girl girls puella puell 1 f, queen queens regina regin 1 f, farmer farmers agricola agricol 1 m,
    sailor sailors nauta naut 1 m, poet poets poeta poet 1 m, servant servants servus serv 2 m,
    master masters dominus domin 2 m, friend friends amicus amic 2 m, boy boys puer puer 2r m, king kings rex reg 3 m,
    mother mothers mater matr 3 f, father fathers pater patr 3 m, sister sisters soror soror 3 f,
    soldier soldiers miles milit 3 m, leader leaders dux duc 3 m, wolf wolves lupus lup 2 m, dog dogs canis can 3 m
"""
THINGS = """
    letter letters epistula epistul 1 f, rose roses rosa ros 1 f, island islands insula insul 1 f,
    sword swords gladius gladi 2 m, field fields ager agr 2r m, book books liber libr 2r m, gift gifts donum don 2n n,
    temple temples templum templ 2n n, town towns oppidum oppid 2n n, river rivers flumen flumin 3n n,
    name names nomen nomin 3n n, song songs carmen carmin 3n n, law laws lex leg 3 f, voice voices vox voc 3 f
"""
# Nominative of the masculine, stem.
OF_ALL = "good bonus bon, big magnus magn, small parvus parv, beautiful pulcher pulchr, sad tristis trist"
OF_PEOPLE = "happy laetus laet, angry iratus irat, tired fessus fess, brave fortis fort"
OF_THINGS = "new novus nov, old antiquus antiqu, long longus long, sacred sacer sacr, heavy gravis grav"
POSSESSIVES = _table("my meus me, your tuus tu")

# Conjugation: present and future, singular and plural. The perfect of all has the same endings.
CONJUGATIONS = {"1": "at ant abit abunt", "2": "et ent ebit ebunt", "3": "it unt et ent", "4": "it iunt iet ient"}
PERFECT = "it erunt"
# Plain form, third person, past; stem, conjugation, stem of the perfect.
WITH_OBJECT = """
    love loves loved am 1 amav, see sees saw vid 2 vid, carry carries carried port 1 portav,
    praise praises praised laud 1 laudav, watch watches watched spect 1 spectav, fear fears feared tim 2 timu,
    have has had hab 2 habu, hold holds held ten 2 tenu, seek seeks sought quaer 3 quaesiv,
    guard guards guarded custod 4 custodiv, leave leaves left relinqu 3 reliqu, hear hears heard aud 4 audiv
"""
WITH_TWO = """
    give gives gave d 1 ded, show shows showed monstr 1 monstrav, send sends sent mitt 3 mis,
    sell sells sold vend 3 vendid
"""
WITH_NONE = """
    sleep sleeps slept dorm 4 dormiv, walk walks walked ambul 1 ambulav, laugh laughs laughed rid 2 ris,
    run runs ran curr 3 cucurr, sing sings sang cant 1 cantav, work works worked labor 1 laborav
"""
ADVERBS = _table("today hodie, often saepe, now nunc, always semper")


NOUNS = {"people": _table(PEOPLE), "things": _table(THINGS)}
ADJECTIVES = {"people": _table(OF_ALL) + _table(OF_PEOPLE), "things": _table(OF_ALL) + _table(OF_THINGS)}
VERBS = [_table(verbs) for verbs in (WITH_NONE, WITH_OBJECT, WITH_TWO)]


class Phrase(NamedTuple):
    """Words in both languages, and their number: 0 is the singular, 1 the plural."""

    english: str
    latin: str
    number: int


def sentences(count: int, seed: int) -> list[tuple[str, str]]:
    """``count`` different sentences with their translations, by ``seed``."""
    chance = Random(seed)
    found: dict[str, str] = {}
    while len(found) < count:
        english, latin = sentence(chance)
        found[english] = latin
    return list(found.items())


def sentence(chance: Random) -> tuple[str, str]:
    """A sentence and its translation: "this boy gives my dog to the girl", "hic puer puellae canem meum dat"."""
    objects = chance.choices(range(3), (1, 3, 2))[0]
    if chance.random() < 0.15:
        one, other = (noun(chance, "people", NOMINATIVE, plain=True) for _ in range(2))
        subject = Phrase(f"{one.english} and {other.english}", f"{one.latin} et {other.latin}", 1)
    else:
        subject = noun(chance, "people", NOMINATIVE)
    says, dicit = verb(chance, objects, subject.number)
    english, latin = [subject.english, says], [subject.latin]
    if objects:
        direct = noun(chance, "things" if objects == 2 else chance.choice(["people", "things"]), ACCUSATIVE)
        english.append(direct.english)
    if objects == 2:
        to = noun(chance, "people", DATIVE, plain=True)
        english.append(f"to {to.english}")
        latin.append(to.latin)
    if objects:
        latin.append(direct.latin)
    latin.append(dicit)
    if chance.random() < 0.25:
        when, quando = chance.choice(ADVERBS)
        english.append(when)
        latin.insert(0, quando)
    return " ".join(english), " ".join(latin)


def noun(chance: Random, kind: str, case: int, *, plain: bool = False) -> Phrase:
    """A noun with what goes with it; a ``plain`` one has neither an owner nor a relative clause."""
    number = chance.randrange(2)
    *forms, nominative, stem, declension, gender = chance.choice(NOUNS[kind])
    english, latin = [forms[number]], [inflected(nominative, stem, declension, case, number)]
    if chance.random() < 0.4:
        adjective, masculine, stem = chance.choice(ADJECTIVES[kind])
        english.insert(0, adjective)
        latin.append(agreeing(masculine, stem, gender, case, number))
    determiner = chance.choice(["the", "the", "this", "many" if number else "the", "whose"])
    if determiner == "whose":
        determiner, masculine, stem = chance.choice(POSSESSIVES)
        latin.insert(1, agreeing(masculine, stem, gender, case, number))
    elif determiner == "many":
        latin.insert(0, agreeing("multus", "mult", gender, case, number))
    elif determiner == "this":
        determiner = ("this", "these")[number]
        latin.insert(0, inflected("", "", f"this {gender}", case, number))
    english.insert(0, determiner)
    more = 1.0 if plain else chance.random()
    if more < 0.15:
        owner = noun(chance, "people", GENITIVE, plain=True)
        english.append(f"of {owner.english}")
        latin.append(owner.latin)
    elif more < 0.25 and kind == "people":
        says, dicit = verb(chance, 1, number)
        direct = noun(chance, chance.choice(["people", "things"]), ACCUSATIVE, plain=True)
        english.append(f"who {says} {direct.english}")
        latin.append(f"{RELATIVE[gender][number]} {direct.latin} {dicit}")
    return Phrase(" ".join(english), " ".join(latin), number)


def verb(chance: Random, objects: int, number: int) -> tuple[str, str]:
    """A verb with so many objects, in the present, the past or the future, or denied."""
    base, third, past, stem, conjugation, perfect = chance.choice(VERBS[objects])
    tense, denied = chance.randrange(3), chance.random() < 0.25
    says = ((base if number else third), past, f"will {base}")[tense]
    if denied:
        says = f"{('do' if number else 'does', 'did', 'will')[tense]} not {base}"
    present, future = CONJUGATIONS[conjugation].split()[number::2]
    dicit = (stem + present, perfect + PERFECT.split()[number], stem + future)[tense]
    return says, f"non {dicit}" if denied else dicit


def inflected(nominative: str, stem: str, declension: str, case: int, number: int) -> str:
    ending = ENDINGS[declension][number].split()[case]
    return nominative if ending == "*" else stem + ending


def agreeing(masculine: str, stem: str, gender: str, case: int, number: int) -> str:
    """The form of an adjective beside a noun of ``gender``, by its ``masculine`` nominative."""
    if masculine.endswith("is"):
        declension = "3in" if gender == "n" else "3i"
    else:
        declension = {"f": "1", "n": "2n", "m": "2r" if masculine.endswith("r") else "2"}[gender]
    return inflected(masculine, stem, declension, case, number)
