"""Samples of a model follow from prompt and seed, however many are drawn at once."""

import pytest
import torch

from gangen import noise
from gangen.errors import PluginError, RunError, UsageError
from gangen.model import Model


def sampled_by(sampler, codec, name="it", **options):
    return Model(sampler, {}, codec, name, torch.device("cpu"), **options)


class Words:
    """A codec whose prompts are words, and whose samples are words with numbers."""

    takes = "a word"

    def encode(self, prompt, n):
        return {"word": torch.full((n, len(prompt or "")), len(prompt or ""))}

    def decode(self, samples):
        return [f"{word:g}" for word in samples.tolist()]


class Echoes:
    networks = ()

    def __init__(self):
        self.asked = []

    def sample(self, n, condition, *, scale: float = 1.0):
        self.asked.append((n, tuple(condition["word"].shape)))
        return condition["word"].float().sum(1) + scale * torch.randn(n)


def test_noise_of_torchs_own_generators_follows_the_seed_and_leaves_them_as_they_were():
    it = sampled_by(Echoes(), Words())
    before = torch.get_rng_state()
    assert it.sample("a", 3, seed=1) == it.sample("a", 3, seed=1) != it.sample("a", 3, seed=2)
    assert torch.equal(before, torch.get_rng_state())


def test_several_prompts_are_drawn_in_one_batch_where_they_are_alike_and_come_prompt_by_prompt():
    sampler = Echoes()
    it = sampled_by(sampler, Words())
    alike = it.sample(["ab", "cd"], 2, seed=0, scale=0.0)
    assert alike == ["4"] * 4 and sampler.asked == [(4, (4, 2))]
    unlike = it.sample(["a", "bcd"], 2, seed=0, scale=0.0)
    assert unlike == ["1", "1", "9", "9"] and sampler.asked[1:] == [(2, (2, 1)), (2, (2, 3))]
    assert it.sample([], 2) == []


def test_many_samples_are_drawn_in_chunks():
    sampler = Echoes()
    it = sampled_by(sampler, Words(), batch_size=4)
    assert len(it.sample("ab", 10)) == 10
    assert sampler.asked == [(4, (4, 2)), (4, (4, 2)), (2, (2, 2))]


class Noisy(Echoes):
    """Draws as networks do: some numbers a row, and later some more."""

    def sample(self, n, condition, *, start: torch.Tensor | None = None):
        self.asked.append(n)
        first = noise.normal(n, 3).sum(1) if start is None else start
        return first + noise.uniform(n) + condition["word"].sum(1)

    def interpolate(self, rows, n, condition, *, start: torch.Tensor | None = None):
        self.asked.append(rows)
        first = noise.normal(rows) if start is None else start
        return (first[:, None] + torch.arange(n)).flatten()


def test_a_sample_is_the_same_however_many_are_drawn_and_whatever_prompts_follow():
    it = sampled_by(Noisy(), Words())
    many = it.sample("a", 40, seed=5)
    assert len(set(many)) == 40
    for n in (1, 2, 9):
        assert it.sample("a", n, seed=5) == many[:n]
    in_parts = sampled_by(Noisy(), Words(), batch_size=3)
    assert in_parts.sample("a", 40, seed=5) == many
    for other in ("b", "bcd"):  # drawn with the first, and apart from it
        both = it.sample(["a", other], 7, seed=5)
        assert both[:7] == many[:7] and both[7:] != many[:7]
        assert in_parts.sample(["a", other, "e"], 7, seed=5)[:14] == both


@pytest.mark.parametrize("sampler", [Echoes, Noisy])
def test_a_stream_is_what_sample_gives_and_is_drawn_as_it_is_taken(sampler):
    it, before = sampled_by(sampler(), Words(), batch_size=3), torch.get_rng_state()
    stream = it.stream(["a", "bc"], 4, seed=5)
    found = [next(stream)]
    assert len(it.sampler.asked) == 1 and torch.equal(before, torch.get_rng_state())
    for sample in stream:  # whoever takes them may draw, and sample
        torch.rand(7), noise.uniform(3), it.sample("a", seed=9)
        found.append(sample)
    assert found == it.sample(["a", "bc"], 4, seed=5)
    with pytest.raises(UsageError, match="no use for a prompt of type int"):
        it.stream(7)


def test_the_labels_of_samples_are_those_that_they_were_drawn_for():
    class Labelled(Words):
        def prompts(self):
            return ["cat", "dog"]

        def encode(self, prompt, n):
            both = torch.arange(n) % 2
            return {} if prompt == "any" else {"label": both if prompt is None else both * 0 + 1}

    it = sampled_by(Noisy(), Labelled())
    assert it.labels_of(n=3) == ["cat", "dog", "cat"]
    assert it.labels_of(["dog", "any"], 2) == ["dog", "dog", None, None]


def test_what_several_ask_for_is_drawn_at_once_and_each_has_what_it_would_have_alone():
    it = sampled_by(Noisy(), Words())
    asked = [("a", 3, 1), ("b", 1, 1), ("a", 2, 8)]
    together = it.sample_each(asked)
    assert it.sampler.asked == [6]
    assert together == [it.sample(prompt, n, seed=seed) for prompt, n, seed in asked]
    unlike = [("a", 3, 1), ("bcd", 2, 4)]
    assert it.sample_each(unlike) == [it.sample(prompt, n, seed=seed) for prompt, n, seed in unlike]
    assert it.sample_each([]) == []


def test_a_way_is_the_same_however_many_there_are():
    it = sampled_by(Noisy(), Words())
    ways = it.interpolate("a", 3, rows=20, seed=5)
    assert len(set(ways)) == 60
    assert it.interpolate("a", 3, rows=2, seed=5) == ways[:6]


def test_large_samples_are_drawn_few_at_a_time():
    class Large(Echoes):
        size = 2**17

        def sample(self, n, condition):
            self.asked.append(n)
            return torch.zeros(1, 1, dtype=torch.int8).expand(n, self.size)

    class Sizes(Words):
        def decode(self, samples):
            return [len(sample) for sample in samples]

    sampler = Large()
    it = sampled_by(sampler, Sizes())
    assert it.sample("a", 13) == [2**17] * 13 and sampler.asked == [8, 2, 2, 1]
    sampler.asked, sampler.size = [], 2**30
    it.sample("a", 10)
    assert sampler.asked == [8, 1, 1]
    sampler.asked, sampler.size = [], 3
    it.sample("a", 1_200)
    assert sampler.asked == [8, 500, 500, 192]


def test_a_tensor_among_settings_has_a_row_for_each_sample():
    it = sampled_by(Noisy(), Words(), batch_size=3)
    start = 10.0 * torch.arange(8)
    for prompts, n in ((["", ""], 4), (["", "b"], 4), ("", 8)):
        found = [float(word) for word in it.sample(prompts, n, seed=1, start=start)]
        assert [int(value / 10) for value in found] == list(range(8))
    assert it.interpolate("", 2, rows=8, start=start) == [f"{x + y:g}" for x in start.tolist() for y in (0, 1)]
    with pytest.raises(UsageError, match=r"'start' has a row for each of 5 samples, got shape \[8\]"):
        it.sample("a", 5, start=start)


def test_what_cannot_be_written_down_is_not_offered_on_a_command_line():
    it = sampled_by(Noisy(), Words())
    with pytest.raises(UsageError, match=r"no sampling setting 'psi'\nin Python alone: start$"):
        it.sample("a", psi=1)
    with pytest.raises(UsageError, match=r"'start' must be a Tensor.*, got 5\nit can be given in Python alone"):
        it.sample("a", start=5)


def test_a_sampler_that_makes_fewer_rows_than_asked_for_is_an_error():
    class Picky:
        networks = ()

        def sample(self, n, condition=None):
            return torch.zeros(n - 1, 2)

    with pytest.raises(PluginError, match=r"Picky.sample\(\) was asked for 3 samples and returned shape \[2, 2\]"):
        sampled_by(Picky(), Words()).sample(n=3)


def test_samples_that_are_not_finite_are_no_samples():
    class Exploded:
        networks = ()

        def sample(self, n, condition=None):
            return torch.full((n, 2), torch.nan)

    with pytest.raises(RunError, match="it makes samples that are not finite: its weights have grown"):
        sampled_by(Exploded(), Words()).sample(n=3)


def test_a_prompt_of_another_kind_is_refused_with_what_is_taken():
    with pytest.raises(UsageError, match="it has no use for a prompt of type int: it takes a word"):
        sampled_by(Echoes(), Words()).sample(7)
    with pytest.raises(UsageError, match="has half of a character, or bytes that are no UTF-8"):
        sampled_by(Echoes(), Words()).sample("a\udcff")


def test_further_verbs_go_by_their_names():
    class Doubles(Echoes):
        def double(self, n, condition):
            return 2 * condition["word"].float().sum(1)

    it = sampled_by(Doubles(), Words())
    assert it.draw("double", "abc", 2) == ["18", "18"]
    for verb in ("halve", "asked", "__init__"):
        with pytest.raises(UsageError, match=f"it cannot {verb}"):
            it.draw(verb, "abc")
