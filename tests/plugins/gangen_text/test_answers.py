"""A teacher's answers: what the model says by itself, the same after a kill, and what is said of bad input."""

import json

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from gangen import cli
from gangen_text.commands.answers import Teacher

PROMPTS = ["a b", "c", "", "a b c d e", "d e f", "g", "b b", "e"]
FITTING = [PROMPTS[row] for row in (0, 1, 4, 5, 6, 7)]


@pytest.fixture
def ask(llama, tmp_path, monkeypatch, capsys):
    """``ask(*settings)``: exit code and what was said, of eight prompts one of which is empty and one too long."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "prompts.jsonl").write_text("".join(json.dumps({"prompt": it, "id": 1}) + "\n" for it in PROMPTS))

    def command(*settings, data="prompts.jsonl", output="answers.jsonl", length=8):
        lengths = ("max_prompt_length=5", f"max_length={length}")
        code = cli.main(["answers", str(llama), data, "-o", output, *lengths, *settings])
        told = capsys.readouterr()
        return code, told.out + told.err

    return command


def answers(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


@pytest.mark.parametrize("ends", [["<end>"], ["<end>", "b", "d"]])
def test_answers_are_what_the_model_says(ends, ask, llama, tmp_path):
    tokens = AutoTokenizer.from_pretrained(llama).convert_tokens_to_ids(ends)
    (llama / "generation_config.json").write_text(json.dumps({"eos_token_id": tokens}))
    code, told = ask("top_k=1", "batch_size=4")
    assert code == 0 and "1 with an empty cell: prompts.jsonl:3, 1 longer than 5 tokens" in told
    net, tokenizer = AutoModelForCausalLM.from_pretrained(llama), AutoTokenizer.from_pretrained(llama)
    expected = []
    for prompt in FITTING:
        ids = [tokenizer.bos_token_id, *tokenizer(prompt, add_special_tokens=False)["input_ids"]]
        start = len(ids)
        while len(ids) < start + 8 and (start == len(ids) or ids[-1] not in tokens):
            logits = net(input_ids=torch.tensor([ids])).logits[0, -1, : len(tokenizer)]
            logits[[tokenizer.bos_token_id, tokenizer.pad_token_id]] = -torch.inf
            ids.append(int(logits.argmax()))
        text = tokenizer.decode(ids[start:-1])
        if ids[-1] in tokens and text:
            expected.append({"prompt": prompt, "answer": text})
    assert answers(tmp_path / "answers.jsonl") == expected
    assert f"8 prompts: {len(expected)} answered" in told


def test_after_a_kill_the_same_call_goes_on(ask, tmp_path, monkeypatch):
    ask("seed=2", output="whole.jsonl")
    sample, calls = Teacher.sample, []

    def dying(self, *args, **settings):
        calls.append(1)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return sample(self, *args, **settings)

    monkeypatch.setattr(Teacher, "sample", dying)
    assert ask("seed=2", "batch_size=2")[0] == 130
    unfinished = tmp_path / "answers.jsonl.part"
    assert not (tmp_path / "answers.jsonl").exists() and len(answers(unfinished)) == 3
    with unfinished.open("a") as file:
        file.write('{"prompt": "d e')  # as where it was killed while it wrote
    code, told = ask("seed=3", "temperature=0.5")
    assert code and "answers.jsonl.part was begun with other settings: seed was 2, temperature was 1.0\n" in told
    assert ask("seed=2", "batch_size=3")[0] == 0 and len(calls) == 4
    assert (tmp_path / "answers.jsonl").read_bytes() == (tmp_path / "whole.jsonl").read_bytes()
    assert len(answers(tmp_path / "answers.jsonl")) > 1 and not unfinished.exists()


def test_two_calls_do_not_write_the_same_answers(ask, tmp_path, monkeypatch):
    sample, told = Teacher.sample, []

    def asking_again(self, *args, **settings):
        monkeypatch.setattr(Teacher, "sample", sample)
        told.append(ask("seed=2"))
        return sample(self, *args, **settings)

    monkeypatch.setattr(Teacher, "sample", asking_again)
    assert ask("seed=2")[0] == 0
    [(code, words)] = told
    assert code and "answers.jsonl.part is being written by another process\nwait until it is done, or stop it" in words
    assert answers(tmp_path / "answers.jsonl") and not (tmp_path / "answers.jsonl.part").exists()


def test_answers_that_were_begun_are_not_mixed_with_others(ask, tmp_path):
    part = tmp_path / "answers.jsonl.part"
    for text in ("{]\n", '{"prompt": "a b", "answer": "c"}\n', "3\n"):
        part.write_text(text)
        assert "answers.jsonl.part is damaged\ngo on with what" in ask()[1]
        assert part.read_text() == text


def test_bad_input_is_named(ask, llama, tmp_path):
    (tmp_path / "list.jsonl").write_text('{"prompt": "a"}\n{"prompt": [{"role": "user", "content": "b"}]}\n')
    (tmp_path / "long.jsonl").write_text('{"prompt": "a b c d e f"}\n')
    (tmp_path / "there.jsonl").write_text("mine")
    for given, message in (
        ({"data": "prompt.jsonl"}, "no file or folder prompt.jsonl; did you mean 'prompts.jsonl'?"),
        ({"data": "list.jsonl"}, "list.jsonl:2: messages are for a tokenizer with a chat template"),
        ({"data": "long.jsonl"}, "there is no prompt to answer; raise max_prompt_length"),
        ({"output": "there.jsonl"}, "there.jsonl is there already; name another file, or remove it"),
        ({"output": "answers.csv"}, "name a file that ends in .jsonl, not answers.csv"),
        (
            {"length": 9},
            "reads 12 tokens at most, and these data have up to 13; set max_length or max_prompt_length to",
        ),
        ({"output": "no/answers.jsonl"}, "cannot write no/answers.jsonl.part: No such file or directory"),
    ):
        code, told = ask(**given)
        assert code and told.startswith("gangen: error: ") and message in told
    for setting, message in (
        ("prompt_column=prompts", "prompts.jsonl has no column 'prompts'; did you mean 'prompt'?\nit has: prompt, id"),
        ("max_lenght=3", "unknown option 'max_lenght' for command 'text/answers'; did you mean 'max_length'?"),
        ("top_p=2", "top_p must be at most 1.0, got 2"),
        ("max_length=8", "'max_length' is given twice"),
        ("system=briefly", "system goes with the chat template of a tokenizer"),
        (f"seed={2**63}", f"seed must be less than {2**63}, got {2**63}"),
        ("device=nowhere", "device 'nowhere' cannot be used"),
        ("chat=true", f"chat is true, and tokenizer '{llama}' has no chat template"),
    ):
        code, told = ask(setting)
        assert code and told.startswith("gangen: error: ") and message in told
    code, told = ask(length=2)
    assert code and "0 answered" in told and "there is nothing to write; raise max_length" in told
    assert (tmp_path / "there.jsonl").read_text() == "mine" and not (tmp_path / "answers.jsonl").exists()


def test_messages_are_answered_by_a_chat_template(ask, llama, tmp_path):
    tokenizer = AutoTokenizer.from_pretrained(llama)
    tokenizer.chat_template = "{% for it in messages %}{{ it['content'] }} {% endfor %}g"
    tokenizer.save_pretrained(llama)
    messages = [{"role": "user", "content": "a"}]
    (tmp_path / "chat.jsonl").write_text((json.dumps({"prompt": messages}) + '\n{"prompt": "a"}\n') * 20)
    assert ask("temperature=3", data="chat.jsonl")[0] == 0
    found = [it["prompt"] for it in answers(tmp_path / "answers.jsonl")]
    assert messages in found and "a" in found
