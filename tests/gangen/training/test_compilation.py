"""Compiled games against plain ones: traced by torch, mostly without its code generation, which takes long."""

import copy
import shutil

import pytest
import torch
from torch import nn
from torch._dynamo.testing import CompileCounterWithBackend
from torch.nn.utils.parametrizations import spectral_norm

from gangen import noise
from gangen.contracts import Clock
from gangen.errors import RunError, UsageError
from gangen.optimizers import Learning, sgd
from gangen.penalties import R1, R2, GradientPenalty, LeCam, Penalty, VirtualAdversarial
from gangen.schedules import Schedule
from gangen.training import compilation
from gangen.training.compilation import check_compiler, compile_game, explaining
from gangen.training.players import Player

REAL = torch.randn(6, 2, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
FAKE = torch.randn(6, 2, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
CLOCK = Clock("adversarial", 0, 10)
NOISE = "gangen.noise draws outside of compiled graphs"
LATE = "it writes to buffers, which its compiled backward pass would read too late"


class Judge(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.hidden = nn.Linear(2, 8, dtype=torch.float64)
        self.output = nn.Linear(8, 1, dtype=torch.float64)

    def forward(self, samples):
        return self.output(self.hidden(samples).tanh()).squeeze(1)


class Noisy(Judge):
    def forward(self, samples):
        return super().forward(samples + noise.normal(*samples.shape, dtype=samples.dtype))


class Normalized(Judge):
    """Every forward in training mode moves its buffers on, and its gradient depends on what they were before."""

    def __init__(self) -> None:
        super().__init__()
        spectral_norm(self.hidden)
        nn.init.normal_(self.hidden.parametrizations.weight.original)


class Dropping(Judge):
    def forward(self, samples):
        return super().forward(nn.functional.dropout(samples, 0.3, self.training))


class Twice(Penalty):
    """A penalty that differentiates twice by itself."""

    def size(self, discriminator, real, fake):
        real.requires_grad_()
        (slope,) = torch.autograd.grad(discriminator(real).sum(), real, create_graph=True)
        return slope.square().sum()


@pytest.fixture(autouse=True)
def counter(monkeypatch):
    """Graphs that run as they were traced; ``frame_count`` counts them."""
    torch._dynamo.reset()
    counter = CompileCounterWithBackend("aot_eager")
    monkeypatch.setattr(compilation, "generate_code", counter)
    return counter


def compiled(net, *penalties):
    """Compiles a network and its penalties in place; returns the list of what is said about it."""
    said = []
    player = Player("discriminator", net.train(), Learning(sgd, {"lr": Schedule(0.1)}))
    compile_game({"discriminator": player}, nn.ModuleList(penalties), said.append)
    return said


def gradients(net, *penalties):
    """Of two steps' logits and penalties, by the weights; and what the network remembers afterwards."""
    torch.manual_seed(0)
    for step in (0, 1):
        with noise.shared(step):
            loss = net(REAL).mean() - net(FAKE).mean()
            for penalty in penalties:
                loss = loss + penalty(lambda samples: net(samples), REAL, FAKE, Clock("adversarial", step, 2))
        loss.backward()
    return [parameter.grad for parameter in net.parameters()] + list(net.buffers())


def assert_agreement(network, *penalties):
    """Compiled and plain are the same to the last digits; returns what was said."""
    net, parts = network(), [penalty() for penalty in penalties]
    said = compiled(net, *parts)
    expected = gradients(network().train(), *(penalty() for penalty in penalties))
    for found, plain in zip(gradients(net, *parts), expected, strict=True):
        assert torch.allclose(found, plain, rtol=1e-12, atol=1e-12)
    return said


def test_compiled_networks_and_penalties_have_the_gradients_of_plain_ones(counter):
    penalties = [R1, R2, GradientPenalty, lambda: LeCam(weight=0.3).double(), VirtualAdversarial]
    assert assert_agreement(Judge, *penalties) == []
    assert counter.frame_count > 1


def test_dropout_draws_what_it_draws_uncompiled():
    assert assert_agreement(Dropping) == []


def test_nothing_is_compiled_again_for_another_step_weight_or_condition(counter):
    net, penalty = Judge(), R1(weight=Schedule(8.0, 2.0))
    compiled(net, penalty)
    sizes, counts = [], []
    for step in range(5):
        shift = torch.full((2,), float(step), dtype=torch.float64)
        clock = Clock("adversarial", step, 5)
        sizes.append(penalty(lambda samples, shift=shift: net(samples + shift - shift), REAL, FAKE, clock).item())
        counts.append(counter.frame_count)
    assert counts == [1] * 5
    assert sizes[0] == pytest.approx(4 * sizes[-1])


@pytest.mark.parametrize(("network", "why"), [(Noisy, NOISE), (Normalized, LATE)])
def test_what_cannot_be_compiled_to_the_same_result_runs_as_it_is_and_says_so(network, why, counter):
    assert assert_agreement(network, R1) == [
        f"compile: forward() of the discriminator runs uncompiled: {why}",
        f"compile: the gradient in penalties runs uncompiled: {why}",
    ]
    assert counter.frame_count == 0


def test_noise_around_a_network_leaves_its_own_forward_compiled(counter):
    def penalty_and_next_draw(net, penalty):
        with noise.shared(7):
            size = penalty(lambda x: net(x + noise.normal(*x.shape, dtype=x.dtype)), REAL, FAKE, CLOCK)
            return size, noise.uniform(3)

    net, penalty = Judge(), R1()
    said = compiled(net, penalty)
    found, expected = penalty_and_next_draw(net, penalty), penalty_and_next_draw(Judge(), R1())
    assert all(torch.equal(*pair) for pair in zip(found, expected, strict=True))
    net(REAL)
    assert said == [f"compile: the gradient in penalties runs uncompiled: {NOISE}"]
    assert counter.frame_count == 1


def test_code_that_fails_where_it_is_first_run_is_left_for_the_plain_network(monkeypatch):
    def generate(graph, inputs):
        def code(*arguments):
            raise AssertionError("expected stride 1")

        return code

    monkeypatch.setattr(compilation, "generate_code", generate)
    assert assert_agreement(Judge, R1) == [
        "compile: forward() of the discriminator runs uncompiled: expected stride 1",
        "compile: the gradient in penalties runs uncompiled: expected stride 1",
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
    net.eval()
    for count in (1, 2, 5):
        assert torch.equal(net(REAL[:count]), Judge()(REAL[:count]))
    assert counter.frame_count == 1


def test_weights_keep_their_names_and_a_copy_of_the_network_uses_its_own():
    net = Judge()
    compiled(net)
    assert list(net.state_dict()) == list(Judge().state_dict())
    other = copy.deepcopy(net)
    with torch.no_grad():
        other.output.bias.add_(1.0)
        for training in (True, False):
            assert torch.allclose(other.train(training)(REAL), net.train(training)(REAL) + 1)


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
    net, penalty = Judge(), Twice(weight=1.0)
    compiled(net, penalty)
    with pytest.raises(RunError, match="cannot be differentiated twice") as caught, explaining():
        penalty(net, REAL, FAKE, CLOCK).backward()
    assert "Penalty.gradient, or take 'compile' out of the recipe's trainer section" in str(caught.value)


def test_a_machine_without_a_compiler_is_told_what_to_install(monkeypatch):
    def generate(graph, inputs):
        raise RuntimeError("no compiler found\nand a page of details")

    monkeypatch.setattr(compilation, "generate_code", generate)
    with pytest.raises(UsageError) as caught:
        check_compiler(torch.device("cpu"))
    first, second = str(caught.value).splitlines()
    assert first == "compile: torch.compile does not work here: RuntimeError: no compiler found"
    assert "such as g++" in second
    assert "take 'compile' out of the recipe's trainer section" in second


@pytest.mark.skipif(not shutil.which("g++"), reason="there is no C++ compiler")
def test_generated_code_agrees_too(monkeypatch):
    monkeypatch.undo()
    net, penalty = Judge(), R1()
    said = compiled(net, penalty)
    for module, part in ((net, penalty), (plain := Judge(), R1())):
        part(lambda samples, module=module: module(samples), REAL, FAKE, CLOCK).backward()
    for found, expected in zip(net.parameters(), plain.parameters(), strict=True):
        if expected.grad is not None:
            assert torch.allclose(found.grad, expected.grad, rtol=1e-12, atol=1e-12)
    assert said == []
