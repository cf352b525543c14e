"""Prompts with answers: tables, chat templates, tasks with a solver, and how often a model answers rightly."""

import json
from types import SimpleNamespace

import pytest
import torch

import gangen
from gangen import DataError, MetricContext, Players, UsageError
from gangen_text.data import tasks
from gangen_text.data.prompts import Prompts
from gangen_text.metrics.exact_match import ExactMatch
from gangen_text.prompts import PromptCodec

PAIRS = [(f"{verb} {word}", f"{word} {word}") for verb in ("say", "be") for word in "abcdefghij"]
TEMPLATE = (
    "{% for it in messages %}<|{{ it.role }}|>{{ it.content }}<end>{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)


@pytest.fixture
def table(tmp_path):
    def write(rows, name="prompts.jsonl"):
        path = tmp_path / name
        path.write_text("".join(json.dumps({"prompt": one, "answer": other}) + "\n" for one, other in rows))
        return str(path)

    return write


@pytest.fixture
def tokenizer(tmp_path):
    """A saved tokenizer, with a chat template or without."""
    from transformers import PreTrainedTokenizerFast

    from gangen_text.data.corpus import make_codec

    def make(template=None):
        codec = make_codec(["say a b c d e f g h i j be brief"], [], tokenizer="words", vocab_size=40, max_length=8)
        special = {"bos_token": "<start>", "eos_token": "<end>", "pad_token": "<pad>", "unk_token": "<unk>"}
        fast = PreTrainedTokenizerFast(tokenizer_object=codec.tokenizer, **special)
        roles = [f"<|{role}|>" for role in ("system", "user", "assistant")]
        fast.add_special_tokens({"additional_special_tokens": roles})
        fast.chat_template = template
        fast.save_pretrained(tmp_path / "tokenizer")
        return str(tmp_path / "tokenizer")

    return make


def read(data, split):
    rows = split.rows()
    return dict(zip(data.codec.input.decode(rows["input"]), data.codec.decode(rows["tokens"]), strict=True))


def ids(data, row=0):
    rows = data.train.rows()["input"][row]
    return [data.codec.tokenizer.id_to_token(token) for token in rows.tolist() if token != data.codec.spec.pad]


def test_a_table_is_read_and_prompts_end_where_answers_begin(table):
    data = Prompts(path=table(PAIRS))
    train, heldout = read(data, data.train), read(data, data.heldout)
    assert train | heldout == dict(PAIRS) and not train.keys() & heldout.keys() and heldout
    assert ids(data)[-2:] == ["<start>", "<end>"]
    assert str(data.accounts[0]).endswith("20 prompts: 18 to train on, 2 held out")


def test_chat_templates_frame_prompts_and_messages(table, tokenizer):
    messages = [{"role": "user", "content": "say a"}, {"role": "assistant", "content": "b"}]
    path = table([("say b", "b"), ([*messages, {"role": "user", "content": "c"}], "c"), ("say d", "d")])
    data = Prompts(path=path, tokenizer=tokenizer(TEMPLATE), system="be brief", heldout=0.3)
    both = [ids(data, row) for row in range(len(data.train))]
    say = ["<|system|>", "be", "brief", "<end>", "<|user|>", "say", "d", "<end>", "<|assistant|>", "<end>"]
    chat = [*say[:6], "a", "<end>", "<|assistant|>", "b", "<end>", "<|user|>", "c", "<end>", "<|assistant|>", "<end>"]
    assert say in both or chat in both
    assert [token for token in data.codec.encode("say d", 1)["input"][0].tolist() if token] == [
        data.codec.tokenizer.token_to_id(token) for token in say
    ]
    data = Prompts(path=table(PAIRS), tokenizer=tokenizer(TEMPLATE), chat=False)
    assert ids(data)[:2] == ["<start>", "say"] and ids(data)[-1] == "<end>"


def test_codecs_read_again_what_they_wrote(table, tokenizer, tmp_path):
    for options in ({}, {"tokenizer": tokenizer(TEMPLATE), "system": "be brief"}):
        codec = Prompts(path=table(PAIRS), **options).codec
        (tmp_path / "codec").mkdir(exist_ok=True)
        codec.save(tmp_path / "codec")
        again = PromptCodec.load(tmp_path / "codec")
        assert again.spec == codec.spec and again.takes == codec.takes
        assert torch.equal(again.encode("say a", 2)["input"], codec.encode("say a", 2)["input"])
    (tmp_path / "codec/prompts.json").write_text("{}")
    with pytest.raises(DataError, match=r"prompts.json"):
        PromptCodec.load(tmp_path / "codec")


def test_what_does_not_fit_is_counted_and_too_much_of_it_refused(table):
    long = [("say " * 9, "a"), ("say b", "b " * 9), ("", "a"), ("say x", " ")]
    data = Prompts(path=table([*PAIRS, *long]), max_length=6, max_prompt_length=8)
    said = str(data.accounts[0])
    assert "1 longer than 8 tokens (data.max_prompt_length)" in said
    assert "1 with an answer longer than 6 tokens (data.max_length)" in said and "2 with an empty cell" in said
    with pytest.raises(DataError, match=r"raise max_length or max_prompt_length, or allow it with max_left_out"):
        Prompts(path=table([*PAIRS, *long]), max_length=6, max_prompt_length=8, max_left_out=0.1)
    with pytest.raises(DataError, match=r"no prompt to train on fits .*\nraise max_prompt_length or max_length"):
        Prompts(path=table(PAIRS), max_length=2)


@pytest.mark.parametrize(
    ("rows", "options", "message"),
    [
        ([([{"role": "user", "content": "a"}], "b")], {}, "prompts.jsonl:1: messages are for a tokenizer with a chat"),
        (PAIRS, {"chat": True}, "chat is true, and tokenizer 'words' has no chat template; set chat: false"),
        (PAIRS, {"system": "be brief"}, "system goes with the chat template of a tokenizer"),
        (PAIRS, {"prompt_column": "promt"}, "has no column 'promt'; did you mean 'prompt'"),
        (PAIRS, {"tokenizer": "./nowhere"}, "no tokenizer './nowhere'"),
        ([(prompt, "") for prompt, _ in PAIRS], {}, "has no row with text in both of its columns, 'prompt' and 'ans"),
        (PAIRS, {"path": None, "heldout_path": "x.csv"}, "heldout_path goes with a path"),
    ],
)
def test_data_that_cannot_be_are_refused(rows, options, message, table):
    with pytest.raises(DataError, match=message):
        Prompts(**{"path": table(rows), **options})


def test_a_tokenizer_that_cannot_be_fetched_comes_with_the_local_way(table, monkeypatch):
    def no_route():
        raise OSError("no route to host")

    monkeypatch.setattr("huggingface_hub.get_session", no_route)
    with pytest.raises(DataError, match=r"not fetched before\n.*hf download nobody/nothing --local-dir FOLDER"):
        Prompts(path=table(PAIRS), tokenizer="nobody/nothing")


def test_messages_without_a_template_are_refused_by_their_row(table, tokenizer):
    with pytest.raises(DataError, match=r"prompts.jsonl:2: messages are for a tokenizer with a chat template"):
        Prompts(path=table([("say a", "a"), ([{"role": "user", "content": "a"}], "b")]), tokenizer=tokenizer())
    with pytest.raises(DataError, match=r"prompts.jsonl:1: messages are a list of {role, content}"):
        Prompts(path=table([([{"said": "a"}], "b")]), tokenizer=tokenizer(TEMPLATE))
    with pytest.raises(DataError, match=r"prompts.jsonl:1: the chat template cannot make a prompt of it"):
        Prompts(path=table(PAIRS), tokenizer=tokenizer("{{ nothing.at.all }}"))


def test_prompts_of_a_model_are_texts_that_it_knows(table):
    codec = Prompts(path=table(PAIRS), max_prompt_length=8).codec
    assert codec.input.decode(codec.encode("say a", 3)["input"]) == ["say a"] * 3
    with pytest.raises(UsageError, match="there is nothing to answer: this model takes a prompt, as 'be a'"):
        codec.encode(None, 1)
    with pytest.raises(UsageError, match="does not know 'sya'; did you mean 'say'"):
        codec.encode("sya a", 1)
    with pytest.raises(UsageError, match="has 11 tokens; this model reads 7 at most"):
        codec.encode("say a " * 5, 1)
    with pytest.raises(UsageError, match="messages are for a tokenizer with a chat template"):
        codec.encode([{"role": "user", "content": "say a"}], 1)


@pytest.mark.parametrize(
    ("prompt", "answer"),
    [
        ("nine plus four", "thirteen"),
        ("twenty four plus twenty four", "forty eight"),
        ("twenty minus twenty", "zero"),
        ("reverse red blue green", "green blue red"),
        ("sort red blue", "blue red"),
        ("repeat red blue", "red blue red blue"),
        ("first of red blue", "red"),
        ("last of red blue", "blue"),
        ("all but first of red blue pink", "blue pink"),
    ],
)
def test_tasks_have_one_right_answer(prompt, answer):
    assert tasks.solve(prompt) == answer


def test_built_in_tasks_are_a_function_of_the_seed_and_held_out_unseen():
    first, again, other = (Prompts(size=300, seed=seed) for seed in (0, 0, 1))
    heldout = read(first, first.heldout)
    assert heldout == read(again, again.heldout) != read(other, other.heldout)
    assert len(heldout) == 30 and not heldout.keys() & read(first, first.train).keys()
    assert all(tasks.solve(prompt) == answer for prompt, answer in heldout.items())
    assert {(row.beside["input"], row.beside["truth"]) for row in first.sheet()} <= set(heldout.items())


def test_no_more_tasks_can_be_asked_for_than_are_found():
    assert len(tasks.tasks(tasks.MOST, 0)) == tasks.MOST
    game = {"players": {"generator": "text/lstm"}, "objective": "text/sequence_kd", "phases": {}}
    with pytest.raises(gangen.RecipeError, match=f"data.size: .* {tasks.MOST}"):
        gangen.train({"data": {"use": "text/prompts", "size": tasks.MOST + 1}, **game})


def test_exact_match_counts_the_likeliest_answers_that_are_the_true_ones():
    data = Prompts(size=300)
    rows = data.heldout.rows()
    known = {tuple(it.tolist()): answer for it, answer in zip(rows["input"], rows["tokens"], strict=True)}

    class Solver(torch.nn.Module):
        def sample(self, n, condition=None, *, top_k: int = 0):
            return torch.stack([known[tuple(row.tolist())] for row in condition["input"]])

    context = MetricContext(Players({"generator": Solver()}), data, device=torch.device("cpu"), seed=3, batch_size=7)
    metric = ExactMatch()
    metric.check(context)
    assert metric(context)["exact_match"].value == 1
    with pytest.raises(UsageError, match="looks at texts that are made from texts"):
        metric.check(SimpleNamespace(data=SimpleNamespace(codec=SimpleNamespace(spec=data.codec.spec))))


RECIPE = """
data: {use: text/prompts, size: 60, max_length: 12, max_prompt_length: 12}
players:
  generator: {use: text/causal_lm, architecture: llama, hidden_size: 16, num_attention_heads: 2}
  discriminator: {use: conditional/joint, encoder: {use: conditional/words, hidden_dim: 4}}
objective: {use: conditional/translation, rollouts: 1, stride: 12, bleu: 0.5}
phases: {adversarial: {steps: 2, turns: {imitate: 1, discriminate: 1, policy: 1}}}
trainer: {batch_size: 8, threads: 1}
every: {evaluate: 2, checkpoint: 2}
metrics: [text/exact_match, text/nll, conditional/exact_match]
"""


def test_games_of_translation_play_with_prompts(tmp_path):
    (tmp_path / "game.yaml").write_text(RECIPE)
    run = gangen.train(tmp_path / "game.yaml", run=str(tmp_path / "run"))
    assert 0 <= run.metrics[-1]["exact_match"] <= 1
    (text,) = gangen.load(run).sample("nine plus four", seed=0)
    assert isinstance(text, str)
