"""Components of gangen and of plugins from elsewhere keep their contracts; of one that does not it is told which."""

import importlib
import time
from pathlib import Path

import pytest
import torch
from torch import nn

import gangen
from gangen import AdversarialGame, Penalty, TensorSplit, UsageError, noise, testing, updates

FIXTURES = Path(__file__).parents[2] / "fixtures"
FOREIGN = ("echo", "loop", "shade", "tones")


@pytest.fixture(autouse=True, scope="module")
def foreign():
    with pytest.MonkeyPatch.context() as patch:
        for name in FOREIGN:
            patch.syspath_prepend(str(FIXTURES / f"gangen-{name}"))
        modules = {name: importlib.import_module(f"gangen_{name}") for name in FOREIGN}
        with testing.installed(**modules) as registry:
            yield registry


ACROSS = {"micro_batches": False}
KEPT = [
    *((testing.check_loss, [name], {}) for name in ("minimax", "non_saturating", "least_squares", "wasserstein")),
    *((testing.check_loss, [name], {}) for name in ("hinge", "relativistic_paired", "relativistic_average")),
    *((testing.check_penalty, [name], {}) for name in ("approximate_r1", "approximate_r2", "gradient_penalty")),
    *((testing.check_penalty, [name], {}) for name in ("r1", "r2", "virtual_adversarial")),
    (testing.check_penalty, ["centring"], ACROSS),
    (testing.check_penalty, ["lecam"], {"weight": 1.0, **ACROSS}),
    (testing.check_penalty, ["image/consistency"], {"row_shape": (3, 8, 8)}),
    (testing.check_generator, ["echo/mlp", "echo/ring"], {"latent_dim": 3}),
    (testing.check_discriminator, ["echo/mlp", "echo/ring"], {}),
    (testing.check_generator, ["tones/perceptron", "tones/sines"], {}),
    (testing.check_discriminator, ["tones/perceptron", {"use": "tones/sines", "size": 64}], {}),
    (testing.check_generator, ["shade/tint", "shade/pairs"], {"real_column": "image"}),
    (testing.check_discriminator, ["shade/patches", "shade/pairs"], {"real_column": "image"}),
    (testing.check_generator, ["loop/noise", "loop/shapes"], {"heeds_condition": False}),
    (testing.check_discriminator, ["loop/critic", "loop/shapes"], {"heeds_condition": False}),
    (testing.check_encoder, ["loop/layers", "loop/shapes"], {}),
    (testing.check_discriminator, ["loop/critic", "loop/shapes"], {"heeds_condition": False, "encoder": "loop/layers"}),
    *((testing.check_data, [name], {}) for name in ("echo/ring", "tones/sines", "loop/shapes")),
    (testing.check_data, ["shade/pairs"], {"real_column": "image"}),
    *(
        (check, [recipe], {})
        for check in (testing.check_objective, testing.check_sampler, testing.play)
        for recipe in ("echo/tiny", "tones/pitch", "shade/tint", "loop/cycle", "loop/bigan")
    ),
    (testing.check_metric, ["echo/radius", "echo/tiny"], {"samples": 16}),
    (testing.check_metric, ["shade/distance", "shade/tint"], {}),
]


@pytest.mark.parametrize(("check", "what", "options"), KEPT, ids=[f"{it[0].__name__}-{it[1][0]}" for it in KEPT])
def test_contracts_that_are_kept(check, what, options):
    check(*what, **options)


class Generator(nn.Module):
    """What is broken below derives from it."""

    def __init__(self, spec):
        super().__init__()
        self.net = nn.Linear(4, 2)

    def draw(self, n):
        return noise.normal(n, 4)

    def sample(self, n, condition=None):
        return self.net(self.draw(n))


class DrawsByTorch(Generator):
    def draw(self, n):
        return torch.randn(n, 4)


class DrawsForTheBatch(Generator):
    def draw(self, n):
        return noise.normal(n, 4) + noise.normal(1, 4)


class LooksAcross(Generator):
    def sample(self, n, condition=None):
        return super().sample(n) - super().sample(n).mean(0)


class Forgetful(Generator):
    def __init__(self, spec):
        super().__init__(spec)
        self.directions = torch.randn(2, 2)

    def sample(self, n, condition=None):
        return super().sample(n) @ self.directions


class Idle(Generator):
    def __init__(self, spec):
        super().__init__(spec)
        self.spare = nn.Linear(2, 2)


class OneLess(Generator):
    def sample(self, n, condition=None):
        return super().sample(n - 1)


class Wide(Generator):
    def sample(self, n, condition=None):
        return super().sample(n).repeat(1, 2)


class Infinite(Generator):
    def sample(self, n, condition=None):
        return super().sample(n) / 0


class Discriminator(nn.Module):
    def __init__(self, spec):
        super().__init__()
        self.net = nn.Linear(64, 1)

    def forward(self, rows, condition):
        return self.net(rows).squeeze(1)


class Comparing(Discriminator):
    def forward(self, rows, condition):
        return super().forward(rows - rows.mean(0), condition)


class Averaging(Discriminator):
    def forward(self, rows, condition):
        return super().forward(rows, condition).mean(0, keepdim=True)


class Blind(Discriminator):
    def forward(self, rows, condition):
        return super().forward(0 * rows + 1, condition)


class Loss:
    relativistic = False
    log_ratio = True

    def discriminator(self, real, fake):
        return (1 - real).relu().mean() + (1 + fake).relu().mean()

    def generator(self, real, fake):
        return -fake.mean()


class Upside(Loss):
    def discriminator(self, real, fake):
        return super().discriminator(-real, -fake)


class PerRow(Loss):
    def generator(self, real, fake):
        return -fake


class Summed(Penalty):
    def __init__(self):
        super().__init__(weight=1.0)

    def size(self, discriminator, real, fake):
        return self.gradient(discriminator, real).square().sum()


class Remembering(Summed):
    def size(self, discriminator, real, fake):
        self.last = super().size(discriminator, real, fake)
        return self.last


class Pair(AdversarialGame):
    def judge(self, players, condition):
        return players.discriminator

    @updates("generator", "discriminator")
    def generate(self, players, batch, clock):
        return players.discriminator(self.fixed_fakes(players, batch, clock)).mean(), {}


class Counting(AdversarialGame):
    def judge(self, players, condition):
        return lambda rows: len(rows) * players.discriminator(rows)


class Keeping(AdversarialGame):
    def judge(self, players, condition):
        self.last = next(iter(condition.values()))
        return players.discriminator


class Codec:
    per_prompt = 2
    spec = None

    def prompts(self):
        return ["a"]

    def encode(self, prompt, n):
        if prompt != "a":
            raise UsageError("no")
        return {"label": torch.zeros(n)}

    def decode(self, samples):
        return [f"{row[0]:.3f}" for row in samples]

    def write(self, samples, path):
        path.write_text("\n".join(samples))

    def save(self, folder):
        (folder / "codec.json").write_text("{}")

    @classmethod
    def load(cls, folder):
        return cls()


class Dated(Codec):
    def save(self, folder):
        (folder / "codec.json").write_text(str(time.perf_counter_ns()))


class Mute(Codec):
    def encode(self, prompt, n):
        return {"label": torch.zeros(n)} if prompt == "a" else {}["nothing"]


class Short(Codec):
    def encode(self, prompt, n):
        return {"label": torch.zeros(1)}


def source(codec=Codec, split=TensorSplit, draw=None):
    """A data source of 40 points of which everything is right but what is given."""

    class Data:
        codec_class = codec

        def __init__(self):
            points = (draw or _points)()
            self.codec = codec()
            self.train, self.heldout = split(points=points[:30]), TensorSplit(points=points[30:])

    return Data


def _points():
    return torch.randn(40, 2, generator=torch.Generator().manual_seed(0))


class Restless(TensorSplit):
    def batch(self, counter, rows, size, *, seed, device):
        return super().batch(counter + time.perf_counter_ns(), rows, size, seed=seed, device=device)


class Local(TensorSplit):
    def batch(self, counter, rows, size, *, seed, device):
        return super().batch(counter, range(len(rows)), size, seed=seed, device=device)


class Chancy:
    def __call__(self, context):
        return {"chance": time.perf_counter_ns()}


class Trains:
    def __call__(self, context):
        with torch.no_grad():
            next(iter(context.players.generator.parameters())).add_(1)
        return {"nothing": 0.0}


class Centred:
    networks = ("generator",)

    def __init__(self, players):
        self.generator = players.generator

    def sample(self, n, condition=None):
        made = self.generator.sample(n)
        return made - made.mean(0)


GAME = {
    "data": "echo/ring",
    "players": {"generator": "echo/mlp", "discriminator": "echo/mlp"},
    "objective": "echo/gan",
    "phases": {"play": {"steps": 1, "turns": {"discriminate": 1, "generate": 1}}},
    "trainer": {"batch_size": 8, "threads": 1},
}
BROKEN = [
    (
        testing.check_generator,
        [OneLess, "echo/ring"],
        r"generator 'local/OneLess': .* n rows; found: \[7, 2\] for n = 8",
    ),
    (testing.check_generator, [Wide, "echo/ring"], r"form of real rows; found: \[4\] of .* real are \[2\]"),
    (testing.check_generator, [Infinite, "echo/ring"], "what it makes is finite"),
    (testing.check_generator, [DrawsByTorch, "echo/ring"], r"comes from gangen.noise\n.*torch.randn, at .*test_checks"),
    (testing.check_generator, [DrawsForTheBatch, "echo/ring"], "draws what these rows have in the whole"),
    (testing.check_generator, [LooksAcross, "echo/ring"], "whatever rows stand beside it"),
    (testing.check_generator, [Forgetful, "echo/ring"], "what it has learned is in its state_dict"),
    (testing.check_generator, [Idle, "echo/ring"], "reaches all weights that learn .*; found: none at spare.weight"),
    (testing.check_generator, ["loop/noise", "loop/shapes"], "what it makes depends on the condition"),
    (testing.check_discriminator, [Discriminator, "tones/sines"], "what it makes depends on the condition"),
    (testing.check_discriminator, [Comparing, "tones/sines"], "whatever rows stand beside it"),
    (testing.check_discriminator, [Averaging, "tones/sines"], r"one for each row, .*; found: \[1\] of .* for 8 rows"),
    (testing.check_discriminator, [Blind, "tones/sines"], "a gradient reaches the rows"),
    (testing.check_loss, [Loss], "with log_ratio the best logit is log p"),
    (testing.check_loss, [Upside], "less where real rows have the higher logits"),
    (testing.check_loss, [PerRow], r"generator\(real, fake\) .* is a finite scalar, the mean over all; found: \[8\]"),
    (testing.check_penalty, [Summed], "of two micro-batches the mean"),
    (testing.check_penalty, [Remembering], r"are buffers .*; found: \['last'\]"),
    (testing.check_objective, [GAME | {"objective": Pair}], "of turn 'generate' reaches 'generator', which @updates"),
    (testing.check_objective, [GAME | {"objective": Counting}], "two micro-batches have the gradient of one batch"),
    (testing.check_objective, [GAME | {"objective": Keeping}], r"are buffers of a module .*; found: \['last'\]"),
    (testing.check_data, [source(split=Restless)], "asked for again, it is the same"),
    (testing.check_data, [source(split=Local)], "which two processes ask for, are the batch"),
    (testing.check_data, [source(draw=lambda: torch.randn(40, 2))], "the same options give the same codec and rows"),
    (testing.check_data, [source(draw=lambda: _points() / 0)], "rows of floats are finite"),
    (testing.check_data, [source(Dated)], "the same"),
    (testing.check_codec, [source(Dated)], "writes the same bytes"),
    (testing.check_codec, [source(Mute)], "is a UsageError in words for its author; found: KeyError"),
    (testing.check_codec, [source(Short)], r"encode\('a', 3\), .* 3 rows in each tensor; found: \['label'\]"),
    (testing.check_metric, [Chancy, GAME], "taken again, they are the same"),
    (testing.check_metric, [Trains, GAME], r"leaves networks as they were; found: \['generator'\]"),
    (testing.check_sampler, [GAME | {"sampler": Centred}], "whatever others are drawn with it"),
]


@pytest.mark.parametrize(("check", "what", "contract"), BROKEN, ids=[it[2][:40] for it in BROKEN])
def test_what_breaks_a_contract_is_told_which(check, what, contract):
    with pytest.raises(AssertionError, match=contract):
        check(*what)


def test_what_is_installed_elsewhere_is_not_there_and_names_are_forgotten():
    with testing.installed() as registry:
        assert [plugin.name for plugin in registry.plugins()] == ["gangen", "conditional", "image", "text"]
        gangen.component(Chancy)
        with pytest.raises(UsageError, match="no generator is called 'echo/mlp'"):
            testing.check_generator("echo/mlp", source()())
    with pytest.raises(UsageError, match="no metric is called 'local/Chancy2'"):
        testing.check_metric("local/Chancy2", GAME)


def test_options_are_those_that_a_recipe_could_give():
    with pytest.raises(UsageError, match="unknown option 'latent' for generator 'echo/mlp'; did you mean 'latent_dim'"):
        testing.check_generator("echo/mlp", "echo/ring", latent=3)


APART = """
from gangen import AdversarialGame, hookimpl, updates

class Apart(AdversarialGame):
    def judge(self, players, condition):  # over the rows of one process, as if they were the batch
        return lambda rows: players.discriminator(rows - rows.mean(0), condition)

    @updates("generator")
    def generate(self, players, batch, clock):
        return self.fakes(players, batch, clock).square().mean(), {}

@hookimpl
def gangen_objectives(register):
    register("apart", f"{__name__}:Apart")
"""


def test_whoever_learns_otherwise_on_two_processes_is_named(tmp_path):
    (tmp_path / "apart.py").write_text(APART)
    networks = {name: {"use": "image/mlp", "hidden_dim": 8} for name in ("generator", "discriminator")}
    recipe = GAME | {"data": {"use": "image/points", "size": 64}, "players": networks}
    recipe |= {"objective": "local/apart", "code": [str(tmp_path / "apart.py")]}
    with pytest.raises(AssertionError, match=r"the same on one process and on 2: .*; found: not discriminator$"):
        testing.same_on_processes(recipe)
