"""Compiled games against plain ones, with torch's tracing but without its code generation, which takes long."""

import copy
import shutil

import pytest
import torch
from torch import nn
from torch._dynamo.testing import CompileCounterWithBackend
from torch.nn.utils.parametrizations import spectral_norm

from gangen import compilation, noise
from gangen.compilation import check_compiler, compile_game, explaining
from gangen.contracts import Clock
from gangen.errors import RunError, UsageError
from gangen.penalties import R1, R2, GradientPenalty, LeCam, Penalty, VirtualAdversarial
from gangen.players import Player
from gangen.recipe import OptimizerRecipe
from gangen.schedules import Schedule

REAL = torch.randn(6, 2, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
FAKE = torch.randn(6, 2, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
CLOCK = Clock("adversarial", 0, 10)


class Judge(nn.Module):
    """A discriminator with a buffer that every forward in training mode moves on."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.hidden = spectral_norm(nn.Linear(2, 8, dtype=torch.float64))
        self.output = nn.Linear(8, 1, dtype=torch.float64)

    def forward(self, samples):
        return self.output(self.hidden(samples).tanh()).squeeze(1)


class Noisy(Judge):
    def forward(self, samples):
        return super().forward(samples + noise.normal(*samples.shape, dtype=samples.dtype))


class Eager(Penalty):
    """A penalty that differentiates twice by itself."""

    def size(self, discriminator, real, fake):
        real.requires_grad_()
        (slope,) = torch.autograd.grad(discriminator(real).sum(), real, create_graph=True)
        return slope.square().sum()


@pytest.fixture(autouse=True)
def counter(monkeypatch):
    """Compilation without code generation; ``frame_count`` counts graphs."""
    torch._dynamo.reset()
    counter = CompileCounterWithBackend("aot_eager")
    settings = {name: value for name, value in compilation.SETTINGS.items() if name != "options"}
    monkeypatch.setattr(compilation, "SETTINGS", settings | {"backend": counter})
    return counter


def player(net):
    return Player("discriminator", net.train(), OptimizerRecipe(use="sgd", lr=Schedule(0.1)))


def compiled(net, *penalties):
    """The network and its penalties, compiled in place, and what was said on the way."""
    said = []
    compile_game({"discriminator": player(net)}, nn.ModuleList(penalties), said.append)
    return said


def gradients(net, penalties, *, seed=3):
    """Of two steps' sums of penalties, by the weights; and the network's buffers afterwards."""
    net.zero_grad()
    for step in (0, 1):
        with noise.shared(seed + step):
            clock = Clock("adversarial", step, 2)
            sum(penalty(lambda samples: net(samples), REAL, FAKE, clock) for penalty in penalties).backward()
    return [parameter.grad for parameter in net.parameters()] + list(net.buffers())


def test_a_compiled_penalty_has_the_gradient_of_the_plain_one_and_moves_the_same_buffers(counter):
    def penalties():
        return R1(weight=2.0), R2(), GradientPenalty(), LeCam().double(), VirtualAdversarial()

    net, plain = Judge(), Judge().train()
    parts = penalties()
    assert compiled(net, *parts) == []
    for found, expected in zip(gradients(net, parts), gradients(plain, penalties()), strict=True):
        assert torch.allclose(found, expected, rtol=1e-10, atol=1e-12)
    assert counter.frame_count > 0


def test_nothing_is_compiled_again_for_a_new_step_weight_or_judge(counter):
    net, penalty = Judge(), R1(weight=Schedule(8.0, 2.0))
    compiled(net, penalty)
    sizes, counts = [], []
    for step in range(5):
        clock = Clock("adversarial", step, 5)
        sizes.append(penalty(lambda samples: net(samples), REAL, FAKE, clock).item())
        counts.append(counter.frame_count)
    assert counts == [1] * 5
    assert sizes[0] == pytest.approx(4 * sizes[-1], rel=1e-2)  # not quite, since the spectral norm's estimate moves on


@pytest.mark.parametrize("net", [Noisy, Judge], ids=["in the network", "around it"])
def test_what_draws_noise_runs_as_it_is_draws_the_same_and_says_so(net, counter):
    def judge(net):
        return lambda samples: net(samples + noise.normal(*samples.shape, dtype=samples.dtype))

    network, plain, penalty = net(), net().train(), R1()
    said = compiled(network, penalty)
    for seed in (1, 2):
        with noise.shared(seed):
            found, following = penalty(judge(network), REAL, FAKE, CLOCK), noise.uniform(3)
        with noise.shared(seed):
            expected, expected_following = R1()(judge(plain), REAL, FAKE, CLOCK), noise.uniform(3)
        assert torch.equal(found, expected)
        assert torch.equal(following, expected_following)
    assert said == [
        "compile: the gradient in R1 runs uncompiled: gangen.noise draws outside of compiled graphs",
    ]


def test_a_network_that_cannot_be_compiled_runs_as_it_is_and_says_so():
    net, plain = Noisy(), Noisy().train()
    said = compiled(net)
    for seed in (1, 2):
        with noise.shared(seed):
            found = net(REAL)
        with noise.shared(seed):
            assert torch.equal(found, plain(REAL))
    assert said == [
        "compile: forward() of the discriminator runs uncompiled: gangen.noise draws outside of compiled graphs"
    ]


def test_a_network_without_forward_is_named():
    class Recurrent(nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = nn.Parameter(torch.zeros(2))

    assert compiled(Recurrent()) == ["compile: Recurrent, the discriminator, has no forward() to compile"]


def test_evaluation_is_not_compiled_whatever_its_size(counter):
    net = Judge()
    compiled(net)
    net(REAL)
    assert counter.frame_count == 1
    net.eval()
    for count in (1, 2, 5):
        assert torch.equal(net(REAL[:count]), Judge().eval()(REAL[:count])) or net.hidden is not None
    assert counter.frame_count == 1


def test_weights_keep_their_names_and_a_copy_of_the_network_uses_its_own():
    net = Judge()
    names = list(net.state_dict())
    compiled(net)
    assert list(net.state_dict()) == names
    other = copy.deepcopy(net)
    with torch.no_grad():
        other.output.bias.add_(1.0)
        for mode in (True, False):
            assert torch.allclose(other.train(mode)(REAL), net.train(mode)(REAL) + 1)


def test_an_error_of_the_network_itself_stays_what_it_is():
    class Strict(Judge):
        def forward(self, samples):
            if len(samples) == 6:
                raise UsageError("six is one too many")
            return super().forward(samples)

    net = Strict()
    compiled(net)
    with pytest.raises(UsageError, match="six is one too many"):
        net(REAL)


def test_differentiating_a_compiled_network_twice_is_refused_with_a_way_out():
    net, penalty = Judge(), Eager(weight=1.0)
    compiled(net, penalty)
    with pytest.raises(RunError, match="cannot be differentiated twice.*\n.*Penalty.gradient, or take 'compile' out"):
        with explaining():
            penalty(net, REAL, FAKE, CLOCK).backward()


def test_a_compiler_that_fails_is_one_line(monkeypatch):
    def broken(graph, inputs):
        raise RuntimeError("no compiler found\nand a page of details")

    monkeypatch.setitem(compilation.SETTINGS, "backend", broken)
    with pytest.raises(UsageError) as caught:
        check_compiler(torch.device("cpu"))
    first, second = str(caught.value).splitlines()
    assert first == "compile: torch.compile does not work here: RuntimeError: no compiler found"
    assert "install what is missing, or take 'compile' out" in second
    with pytest.raises(RunError, match="compile: torch.compile fails: RuntimeError: no compiler found\n"), explaining():
        torch.compile(torch.sin, backend=broken)(REAL)


@pytest.mark.skipif(not shutil.which("g++"), reason="there is no C++ compiler")
def test_generated_code_agrees_too(monkeypatch):
    monkeypatch.undo()
    net, plain, penalty = Judge(), Judge().train(), R1()
    assert compiled(net, penalty) == []
    for found, expected in zip(gradients(net, [penalty]), gradients(plain, [R1()]), strict=True):
        assert torch.allclose(found, expected, rtol=1e-10, atol=1e-12)
