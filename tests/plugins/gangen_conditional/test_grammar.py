"""The built-in grammar: each sentence has one translation, and that is right."""

import itertools
from random import Random

import pytest

from gangen_conditional.data import grammar

NUMBERS = {"singular": 0, "plural": 1}


def test_translations_are_as_a_latin_grammar_has_them():
    cases = {
        ("1", "regina", "regin"): "regina reginam reginae reginae reginae reginas reginarum reginis",
        ("2", "servus", "serv"): "servus servum servi servo servi servos servorum servis",
        ("2r", "ager", "agr"): "ager agrum agri agro agri agros agrorum agris",
        ("2n", "donum", "don"): "donum donum doni dono dona dona donorum donis",
        ("3", "rex", "reg"): "rex regem regis regi reges reges regum regibus",
        ("3n", "carmen", "carmin"): "carmen carmen carminis carmini carmina carmina carminum carminibus",
    }
    for (declension, nominative, stem), forms in cases.items():
        places = itertools.product(range(2), range(4))
        made = [grammar.inflected(nominative, stem, declension, case, number) for number, case in places]
        assert made == forms.split()


@pytest.mark.parametrize(
    ("masculine", "stem", "gender", "forms"),
    [
        ("bonus", "bon", "m", "bonus bonum bonos"),
        ("pulcher", "pulchr", "m", "pulcher pulchrum pulchros"),
        ("pulcher", "pulchr", "f", "pulchra pulchram pulchras"),
        ("sacer", "sacr", "n", "sacrum sacrum sacra"),
        ("fortis", "fort", "f", "fortis fortem fortes"),
        ("gravis", "grav", "n", "grave grave gravia"),
    ],
)
def test_adjectives_agree_in_gender_case_and_number(masculine, stem, gender, forms):
    places = ((grammar.NOMINATIVE, 0), (grammar.ACCUSATIVE, 0), (grammar.ACCUSATIVE, 1))
    made = [grammar.agreeing(masculine, stem, gender, case, number) for case, number in places]
    assert made == forms.split()


def test_no_two_sentences_have_one_translation_and_none_has_two():
    pairs = [grammar.sentence(chance) for chance in [Random(3)] for _ in range(5000)]
    assert len(set(pairs)) == len({english for english, _ in pairs}) == len({latin for _, latin in pairs}) > 4500


def test_verbs_end_their_sentences_adverbs_begin_them_and_adjectives_follow_their_nouns():
    latin = dict(grammar.sentences(3000, seed=1))
    verbs = {part for table in grammar.VERBS for entry in table for part in (entry[3], entry[5])}
    for english, translation in latin.items():
        *_, last = words = translation.split()
        assert any(last.startswith(stem) for stem in verbs)
        adverb = dict(grammar.ADVERBS).get(english.split()[-1])
        assert (words[0] == adverb) if adverb else (words[0] not in dict(grammar.ADVERBS).values())
        assert ("non" in words) >= (" not " in english and "who" not in english)
    assert any("puella bona" in translation for translation in latin.values())
    assert not any("bona puella" in translation for translation in latin.values())


def test_the_seed_decides_which_sentences_there_are():
    first, again, other = (grammar.sentences(200, seed) for seed in (0, 0, 1))
    assert first == again != other
    assert len({english for english, _ in first}) == 200
