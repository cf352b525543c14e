"""Prompts become conditions, samples become text, and a saved codec is opened by transformers too."""

import json

import pytest
import torch

from gangen.contracts import SheetRow
from gangen.errors import DataError, UsageError
from gangen_text.codec import TextCodec
from gangen_text.data.corpus import make_codec
from gangen_text.data.tokenization import numbers
from gangen_text.spec import TextSpec

TEXTS = [
    "The heavens declare the glory of God; and the firmament sheweth his handiwork.",
    "Day unto day uttereth speech, and night unto night sheweth knowledge.",
    "“Don't go,” she said (twice) — at 10:30, for 1,000.50 crowns!",
    "naïve café, 秦川雄帝宅, 🙂",
]
KINDS = ["byte_bpe", "bpe", "words", "characters"]
LABELS = ("law", "psalms", "song: of songs")


def codec(kind="byte_bpe", labels=(), max_length=80, vocab_size=600, **options):
    return make_codec(TEXTS, labels, tokenizer=kind, vocab_size=vocab_size, max_length=max_length, **options)


def sheet(**rows):
    return [SheetRow(title, samples=texts) for title, texts in rows.items()]


def there_and_back(codec, text):
    return codec.decode(codec.pack(codec.tokenize([text])))[0]


@pytest.mark.parametrize("kind", KINDS)
def test_training_texts_come_back_as_they_were(kind):
    made = codec(kind)
    assert [there_and_back(made, text) for text in TEXTS] == TEXTS


@pytest.mark.parametrize(
    "text", ["  odd   spaces ", "never seen: Ω≈ç√ \U0001d518 \t tabs", "<end> and <pad> spelt out"]
)
def test_bytes_lose_nothing(text):
    assert there_and_back(codec("byte_bpe"), text) == text


@pytest.mark.parametrize("kind", KINDS)
def test_special_tokens_come_first_and_frame_rows(kind):
    made = codec(kind, max_length=80)
    assert [made.tokenizer.token_to_id(token) for token in ("<pad>", "<start>", "<end>", "<unk>")] == [0, 1, 2, 3]
    tokens = made.tokenize(TEXTS[1:2])
    row = made.pack(tokens)[0].tolist()
    assert row == tokens[0] + [2] + [0] * (79 - len(tokens[0]))
    assert (made.spec.start, made.spec.end, made.spec.pad, made.spec.vocab_size) == (
        1,
        2,
        0,
        made.tokenizer.get_vocab_size(),
    )


@pytest.mark.parametrize("kind", KINDS)
def test_training_is_repeatable(kind):
    assert codec(kind).tokenizer.to_str() == codec(kind).tokenizer.to_str()


@pytest.mark.parametrize("kind", KINDS)
def test_word_by_word_gives_the_tokens_of_whole_texts(kind):
    made = codec(kind)
    whole = TextCodec(made.tokenizer, made.spec)
    texts = [*TEXTS, "two  spaces", " lead and trail ", "a\tb\n c", "unseen-words go 'here', (and) there", ""]
    assert made.word_by_word and made.tokenize(texts) == whole.tokenize(texts)


def test_words_are_words_and_marks():
    made = codec("words")
    tokens = [made.tokenizer.id_to_token(token) for token in made.tokenize([TEXTS[2]])[0]]
    assert tokens == [
        "“",
        "Don't",
        "go",
        ",",
        "”",
        "she",
        "said",
        "(",
        "twice",
        ")",
        "—",
        "at",
        "10:30",
        ",",
        "for",
        "1,000.50",
        "crowns",
        "!",
    ]


def test_tokenized_text_is_closed_up():
    text = "they ' re here , and it 's ( so ) good ."
    made = make_codec([text], (), tokenizer="words", vocab_size=100, max_length=30)
    assert there_and_back(made, text) == "they're here, and it's (so) good."


def test_rare_words_are_unknown_and_shown():
    made = make_codec(["a a b b c"], (), tokenizer="words", vocab_size=6, max_length=9)
    assert there_and_back(made, "a c b") == "a <unk> b"


def test_characters_can_drop_spaces_and_any_kind_lower_case():
    made = make_codec(["秦 川 雄 帝 宅"], (), tokenizer="characters", vocab_size=100, drop_spaces=True, max_length=9)
    assert there_and_back(made, "宅 川") == "宅川"
    assert there_and_back(codec("bpe", lowercase=True), "The Glory") == "the glory"


@pytest.mark.parametrize(("kind", "smallest"), [("byte_bpe", 260), ("characters", 5)])
def test_too_small_a_vocabulary_is_refused(kind, smallest):
    with pytest.raises(DataError, match=f"at least {smallest}"):
        codec(kind, vocab_size=smallest - 1)
    assert codec(kind, vocab_size=smallest).spec.vocab_size == smallest


def test_decoding_stops_at_the_first_end_and_leaves_out_special_tokens():
    made = codec("words")
    [[day], [night], [glory]] = made.tokenize(["day", "night", "glory"])
    rows = torch.tensor([[day, 2, night, 0], [1, night, 0, day], [day, night, glory, day], [2, 0, 0, 0]])
    assert made.decode(rows) == ["day", "night day", "day night glory day", ""]


def test_a_label_is_the_condition():
    made = codec(labels=LABELS)
    assert made.prompts() == list(LABELS)
    for prompt in ("psalms", " Psalms ", "PSALMS:"):
        condition = made.encode(prompt, 3)
        assert set(condition) == {"label"} and condition["label"].tolist() == [1, 1, 1]
    assert made.encode("song: of songs", 2)["label"].tolist() == [2, 2]


@pytest.mark.parametrize("prompt", [None, ""])
def test_no_prompt_lets_labels_take_turns(prompt):
    assert codec(labels=LABELS).encode(prompt, 7)["label"].tolist() == [0, 1, 2, 0, 1, 2, 0]
    assert codec().encode(prompt, 7) == {}
    assert codec().prompts() == [""]


def test_text_behind_a_label_is_continued():
    made = codec(labels=LABELS)
    condition = made.encode("psalms: Day unto: day", 2)
    assert condition["label"].tolist() == [1, 1]
    assert condition["prefix"].dtype == torch.int64
    assert condition["prefix"].tolist() == made.tokenize(["Day unto: day"]) * 2


def test_without_labels_a_prompt_is_continued():
    made = codec()
    assert made.encode("psalms: Day", 2)["prefix"].tolist() == made.tokenize(["psalms: Day"]) * 2


def test_an_unknown_label_is_refused_with_the_known_ones():
    with pytest.raises(UsageError, match="no label 'psalm'; did you mean 'psalms'") as refusal:
        codec(labels=LABELS).encode("psalm: Day unto day", 1)
    assert "law, psalms, song: of songs" in str(refusal.value)


@pytest.mark.parametrize(
    ("kind", "prompt", "said"),
    [
        ("words", "THE zebra", ["this model does not know 'THE' (it knows 'the'), 'zebra'"]),
        ("words", "The glory", []),
        ("characters", "glory Q", ["this model does not know 'Q'"]),
        ("byte_bpe", "zebra Ω", []),
        ("words", "naïve cafe\u0301", []),
    ],
)
def test_what_a_prompt_has_that_the_model_does_not_know_is_said_once(kind, prompt, said, caplog):
    made = codec(kind)
    for _ in range(2):
        made.encode(prompt, 2)
    assert [record.getMessage() for record in caplog.records] == said


def test_accents_of_a_prompt_may_be_composed_or_not():
    for kind in KINDS:
        composed, apart = (codec(kind).encode(text, 1)["prefix"] for text in ("café", "cafe\u0301"))
        assert composed.equal(apart)


def test_text_that_fills_a_row_is_refused():
    made = codec("words", max_length=4)
    assert made.encode("Day unto day", 1)["prefix"].shape == (1, 3)
    with pytest.raises(UsageError, match="has 4 tokens; this model writes 4"):
        made.encode("Day unto day unto", 1)


def test_sheets_are_text_files_with_headings(tmp_path):
    made = codec(labels=LABELS)
    path = made.render(sheet(law=["a", "b\nc"], psalms=["ä"]), tmp_path / "step-0.5")
    assert path == tmp_path / "step-0.5.txt"
    assert path.read_text(encoding="utf-8") == f"2 of {len(LABELS)} labels\n\n# law\na\nb c\n\n# psalms\nä\n"
    assert (
        codec().render([SheetRow("", samples=["a", "b"])], tmp_path / "plain").read_text(encoding="utf-8") == "a\nb\n"
    )
    everything = sheet(**{label: ["a"] for label in LABELS})
    assert made.render(everything, path).read_text(encoding="utf-8").startswith(f"# {LABELS[0]}\na\n")
    pair = SheetRow("", beside={"truth": "c", "input": "a"}, samples=["b"])
    assert made.render([pair], tmp_path / "pair").read_text(encoding="utf-8") == "input: a\nb\ntruth: c\n"
    made.write(["x", "y\nz"], tmp_path / "own.lst")
    assert (tmp_path / "own.lst").read_text(encoding="utf-8") == "x\ny z\n"


@pytest.mark.parametrize(
    ("name", "what"),
    [("o.png", "image/png"), ("o.csv", "text/csv"), ("o.txt.gz", "gzip"), ("o.JSON", "application/json")],
)
def test_texts_are_not_written_as_what_they_are_not(tmp_path, name, what):
    with pytest.raises(UsageError, match=f"cannot write texts to .*{name}: its suffix is that of {what}; use .txt"):
        codec().write(["x"], tmp_path / name)
    assert not any(tmp_path.iterdir())


def test_previews_are_short():
    made = codec(labels=LABELS)
    assert made.preview(sheet(law=["a", "b"], psalms=["c"])) == "law: a\npsalms: c"
    assert codec().preview([SheetRow("", samples=["a", "b"])]) == "a\nb"
    assert len(made.preview(sheet(law=["word " * 1000]))) <= 160


@pytest.mark.parametrize("kind", KINDS)
def test_a_saved_codec_is_the_same_codec(kind, tmp_path):
    made = codec(kind, labels=LABELS)
    made.save(tmp_path)
    loaded = TextCodec.load(tmp_path)
    assert loaded.spec == made.spec
    assert loaded.tokenize(TEXTS) == made.tokenize(TEXTS)
    assert loaded.decode(made.pack(made.tokenize(TEXTS))) == TEXTS
    assert {path.suffix for path in tmp_path.iterdir()} == {".json"}


@pytest.mark.parametrize("kind", ["byte_bpe", "words"])
def test_transformers_opens_a_saved_codec(kind, tmp_path):
    transformers = pytest.importorskip("transformers")
    made = codec(kind)
    made.save(tmp_path)
    tokenizer = transformers.AutoTokenizer.from_pretrained(tmp_path)
    assert (tokenizer.bos_token_id, tokenizer.eos_token_id, tokenizer.pad_token_id, tokenizer.unk_token_id) == (
        1,
        2,
        0,
        3,
    )
    assert len(tokenizer) == made.spec.vocab_size
    assert tokenizer(TEXTS, add_special_tokens=False)["input_ids"] == made.tokenize(TEXTS)
    assert tokenizer.decode(made.tokenize(TEXTS)[0], skip_special_tokens=True) == TEXTS[0]


def test_saved_tokenizers_can_be_used_for_other_data(tmp_path):
    made = codec("bpe")
    made.save(tmp_path)
    for name in (tmp_path, tmp_path / "tokenizer.json"):
        other = make_codec(["other text"], ("x",), tokenizer=str(name), vocab_size=1, max_length=12)
        assert other.tokenize(TEXTS) == made.tokenize(TEXTS)
        assert other.spec == TextSpec(made.spec.vocab_size, 12, 1, 2, 0, ("x",))


def test_a_pretrained_tokenizer_keeps_its_own_special_tokens(tmp_path):
    codec("byte_bpe").save(tmp_path)
    config = {"tokenizer_class": "PreTrainedTokenizerFast", "eos_token": "<end>"}
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(config))
    spec = make_codec([], (), tokenizer=str(tmp_path), vocab_size=1, max_length=12).spec
    assert (spec.start, spec.end, spec.pad) == (2, 2, 2)
    rows = spec.mask(torch.tensor([[9, 8, 2, 2]]))
    assert rows.tolist() == [[True, True, True, False]]
    assert spec.text(torch.tensor([[9, 8, 2, 9]])).tolist() == [[True, True, False, False]]


def test_a_missing_tokenizer_is_named(tmp_path):
    with pytest.raises(DataError, match="no tokenizer file"):
        codec(str(tmp_path / "tokenizer.json"))
    with pytest.raises(DataError, match=r"no tokenizer .*nowhere"):
        codec(str(tmp_path / "nowhere"))
    (tmp_path / "bad.json").write_text("{}")
    with pytest.raises(DataError, match=r"bad\.json is no tokenizer"):
        codec(str(tmp_path / "bad.json"))


@pytest.mark.parametrize("content", ["", "[]", '{"vocab_size": 3}', '{"labels": [], "unknown": 1}'])
def test_a_damaged_codec_is_refused(content, tmp_path):
    codec().save(tmp_path)
    (tmp_path / "codec.json").write_text(content)
    with pytest.raises(DataError, match=r"codec\.json cannot be read"):
        TextCodec.load(tmp_path)


def test_numbers_are_written_as_numbers(tmp_path):
    made = TextCodec(numbers(20), TextSpec(20, 4, 0))
    assert made.decode(torch.tensor([[0, 19, 3, 0]])) == ["0 19 3 0"]
    assert made.encode("7 0", 1)["prefix"].tolist() == [[7, 0]]
    with pytest.raises(UsageError, match="cannot be read by this model's tokenizer"):
        made.encode("20", 1)
    made.save(tmp_path)
    assert TextCodec.load(tmp_path).decode(torch.tensor([[5, 6, 7, 8]])) == ["5 6 7 8"]
