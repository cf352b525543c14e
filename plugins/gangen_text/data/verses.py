"""The built-in text: 31,086 Bible verses with the group of books, or the book, that each is from."""

from importlib import import_module
from typing import Any, Literal

from gangen import Account, DataError
from gangen_text.data.corpus import Corpus, Texts

# Last book of each run of books, in canonical order; Lamentations counts among the prophets, as it is placed there.
GROUPS = {
    "Deuteronomy": "law",
    "Esther": "history",
    "Job": "wisdom",
    "Psalms": "psalms",
    "Proverbs": "proverbs",
    "Song of Songs": "wisdom",
    "Malachi": "prophets",
    "John": "gospels",
    "Acts": "acts",
    "Jude": "epistles",
    "Revelation": "revelation",
}


class Verses(Corpus):
    """American Standard Version of 1901 (public domain), from the package ``pythonbible``.

    ``labels: groups`` are law, history, wisdom (Job, Ecclesiastes, Song of Songs), psalms, proverbs, prophets,
    gospels, acts, epistles and revelation; ``labels: books`` the 66 books. The brackets around words that the
    translators supplied are taken off. The other options are those of every corpus, see ``gangen_text.data.corpus``.

    Raises:
        DataError: the package is missing, or no verse fits ``max_length``.
    """

    license = "public domain"

    def __init__(self, *, labels: Literal["groups", "books"] = "groups", **options: Any) -> None:
        verses = read_verses(labels)
        super().__init__(verses, list(dict.fromkeys(verses.labels)), Account("text/verses", "verses"), **options)


def read_verses(labels: Literal["groups", "books"]) -> Texts:
    """All verses in canonical order, each with its label, in words as they are printed.

    Raises:
        DataError: ``pythonbible`` is not installed.
    """
    try:
        pythonbible = import_module("pythonbible")
        bible = pythonbible.get_bible(pythonbible.Version.AMERICAN_STANDARD, "plain_text_readers")
    except (ImportError, AttributeError) as error:
        raise DataError(f'text/verses needs the package pythonbible: pip install "gangen[demo]" ({error})') from None
    label_of = (
        _groups_by_book(pythonbible.Book)
        if labels == "groups"
        else {book.value: book.title for book in pythonbible.Book}
    )
    texts, names = [], []
    for verse in bible.get_verse_ids():
        # A verse that this version leaves out is empty; brackets mark words that the translators supplied.
        text = " ".join(bible.get_scripture(verse).replace("[", "").replace("]", "").split())
        if text:
            texts.append(text)
            names.append(label_of[verse // 1_000_000])  # a verse's number is book, chapter, verse: 19_023_001
    return Texts(texts, names)


def _groups_by_book(books: type) -> dict[int, str]:
    groups, upcoming = {}, []
    for book in sorted(books, key=lambda book: book.value):
        upcoming.append(book.value)
        if book.title in GROUPS:
            groups |= dict.fromkeys(upcoming, GROUPS[book.title])
            upcoming = []
    return groups
