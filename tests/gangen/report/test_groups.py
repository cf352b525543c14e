"""How what was measured, and how, is written in a report."""

from gangen.report.groups import settings


def test_settings_show_words_as_they_are():
    words = {"unit": r"matches of \w+", "unknown": '<a "b">', "wide": "中\u3000文", "empty": ""}
    assert dict(settings(words)) == words


def test_settings_that_could_be_taken_for_others_are_quoted():
    given = {"number": "1", "list": '["a"]', "lines": "a\nb", "none": None, "widths": [3, 4], "true": "true"}
    shown = {"number": '"1"', "list": '"[\\"a\\"]"', "lines": r'"a\nb"', "none": "null", "widths": "[3, 4]"}
    assert dict(settings(given)) == shown | {"true": '"true"'}
