"""Text in the encodings that people have: a mark decides, a wrong name is told with the line, nothing is guessed."""

import bz2
import codecs
import gzip
import lzma

import pytest

from gangen.account import Account
from gangen.errors import DataError
from gangen.reading.encodings import opened

TEXT = "the café\nMüller, ñandú\n"


def read(path, encoding="utf-8"):
    account = Account(str(path))
    with opened(path, encoding, account) as file:
        return file.read(), account.warnings


def written(folder, content, name="a.txt"):
    path = folder / name
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("named", ["utf-8", "cp1252", "utf-16-le"])
@pytest.mark.parametrize(
    ("mark", "encoding"),
    [
        (codecs.BOM_UTF8, "utf-8"),
        (codecs.BOM_UTF16_LE, "utf-16-le"),
        (codecs.BOM_UTF16_BE, "utf-16-be"),
        (codecs.BOM_UTF32_LE, "utf-32-le"),
        (codecs.BOM_UTF32_BE, "utf-32-be"),
    ],
)
def test_a_byte_order_mark_has_the_last_word(mark, encoding, named, tmp_path):
    assert read(written(tmp_path, mark + TEXT.encode(encoding)), named) == (TEXT, [])


@pytest.mark.parametrize(
    ("encoding", "text"),
    [
        ("cp1252", "naïve café"),
        ("cp1252", "free entry £5"),
        ("cp1250", "Příliš žluťoučký kůň"),
        ("cp1251", "Привет мир"),
        ("koi8_r", "Привет мир"),
        ("cp866", "Привет мир"),
        ("cp1253", "Καλημέρα κόσμε"),
        ("cp1255", "שלום עולם"),
        ("cp1256", "مرحبا بالعالم"),
        ("shift_jis", "日本語のテキストです"),
        ("euc_jp", "日本語のテキストです"),
        ("gb18030", "白日依山尽"),
        ("big5", "白日依山盡"),
        ("euc_kr", "안녕하세요 세계"),
        ("utf-16-le", "白日依山尽0黄河入海流"),
    ],
)
def test_what_is_no_utf_8_is_shown_in_what_it_may_be(encoding, text, tmp_path):
    path = written(tmp_path, f"{text}\n{text}\n".encode(encoding))
    with pytest.raises(DataError, match=r"a\.txt:1 is not utf-8 text \(byte 0x..\)\ntake the encoding") as error:
        read(path)
    assert f"  encoding: {encoding:<10} {text}" in str(error.value).splitlines()
    assert read(path, encoding)[0] == f"{text}\n{text}\n"


@pytest.mark.parametrize(("suffix", "pack"), [("", bytes), (".gz", gzip.compress), (".xz", lzma.compress)])
def test_one_bad_byte_is_found_in_a_long_file(suffix, pack, tmp_path):
    lines = [b"line %d, as any" % number for number in range(1, 80_001)]
    lines[69_999] = b"line 70000, in a caf\xe9"
    path = written(tmp_path, pack(b"\n".join(lines)), f"long.txt{suffix}")
    with pytest.raises(DataError, match=r":70000 is not utf-8 text \(byte 0xe9\)") as error:
        read(path)
    assert "encoding: cp1252     line 70000, in a café" in str(error.value)


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be"])
def test_utf_16_without_a_mark_is_not_taken_for_text_of_zeros(encoding, tmp_path):
    with pytest.raises(DataError, match=rf"many of its bytes are zero\n.*\n  encoding: {encoding}  the café Müller"):
        read(written(tmp_path, TEXT.encode(encoding)))


@pytest.mark.parametrize("named", ["ascii", "utf-16"])
def test_utf_8_is_offered_where_another_was_named(named, tmp_path):
    with pytest.raises(DataError, match=r"is not \S+ text.*\n.*\n  encoding: utf-8      the café"):
        read(written(tmp_path, TEXT.encode()), named)


def test_where_utf_16_is_damaged_is_said(tmp_path):
    with pytest.raises(DataError, match=r"a\.txt:3 is not utf-16 text \(truncated data\)$"):
        read(written(tmp_path, TEXT.encode("utf-16") + b"x"))
    with pytest.raises(DataError, match=r"a\.txt is not utf-16 text \(it has no byte order mark\)\n.*\n.*utf-16-be"):
        read(written(tmp_path, TEXT.encode("utf-16-be")), "utf-16")


def test_a_warning_tells_of_an_encoding_that_was_named_by_mistake(tmp_path):
    text, (warning,) = read(written(tmp_path, TEXT.encode()), "latin-1")
    assert "cafÃ©" in text
    assert warning.endswith("a.txt is utf-8, as it seems, and not iso8859-1: 'café' is read as 'cafÃ©'")
    _, (warning,) = read(written(tmp_path, "the café\n“quoted”\n".encode("cp1252")), "latin-1")
    assert warning.endswith(r"a.txt is cp1252, as it seems, and not iso8859-1: '“quoted”' is read as '\x93quoted\x94'")
    assert not read(written(tmp_path, TEXT.encode("latin-1")), "latin-1")[1]
    assert not read(written(tmp_path, "“quoted”".encode("cp1252")), "cp1252")[1]
    assert not read(written(tmp_path, b"plain\n"), "latin-1")[1]


@pytest.mark.parametrize(
    ("name", "message"),
    [("utf-99", "unknown encoding: utf-99; did you mean 'utf-8'"), ("ansi", ": ansi"), ("hex", ": hex"), ("", ": ")],
)
def test_an_unknown_encoding_is_refused(name, message, tmp_path):
    with pytest.raises(DataError, match=message):
        read(written(tmp_path, b"plain\n"), name)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.txt", b"%PDF-1.4\n%\xe2\xe3\n", "is no text file but a PDF"),
        ("a.csv", b"PK\x03\x04\x14\0", "a zip archive, as those of Excel and Word are; save it as CSV"),
        ("a.csv", b"\xd0\xcf\x11\xe0\xa1\xb1", "of an old Excel or Word"),
        ("a.txt", b"{\\rtf1\\ansi\n", "RTF; save it as plain text"),
        ("a.csv", b"version https://git-lfs.github.com/spec/v1\noid x\n", r"fetch that \(git lfs pull\)"),
        ("a.txt", gzip.compress(b"text"), "packed by gzip; let its name end in .gz"),
        ("a.txt", bz2.compress(b"text"), "packed by bzip2; let its name end in .bz2"),
        ("a.txt", lzma.compress(b"text"), "packed by xz; let its name end in .xz"),
        ("a.txt.gz", b"plain\n", "a.txt.gz cannot be read: Not a gzipped file"),
        ("a.txt.bz2", b"plain\n", "a.txt.bz2 cannot be read: Invalid data stream"),
        ("a.txt.gz", gzip.compress(TEXT.encode() * 99)[:40], "a.txt.gz cannot be read: Compressed file ended before"),
        ("a.txt.xz", lzma.compress(TEXT.encode() * 99)[:60], "a.txt.xz cannot be read: Compressed file ended before"),
    ],
)
def test_what_is_no_text_file_is_said_to_be_what_it_is(name, content, message, tmp_path):
    with pytest.raises(DataError, match=message):
        read(written(tmp_path, content, name))


def test_a_single_zero_and_a_text_that_starts_like_a_packed_file_are_text(tmp_path):
    for content in (b"x,y\nab\0,1\n", b"BZh is no word\n"):
        (tmp_path / "t.txt").write_bytes(content)
        with opened(tmp_path / "t.txt", "utf-8", Account("x")) as file:
            assert file.read().encode() == content
