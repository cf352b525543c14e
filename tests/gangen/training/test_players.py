"""What a turn may change, and what an optimizer, an average and clipping make of a gradient."""

import math

import pytest
import torch
from torch import nn

from gangen import optimizers
from gangen.contracts import Clock
from gangen.networks import Players, evaluating, load_state, state_of
from gangen.optimizers import Learning, adam, sgd
from gangen.recipe.players import HalfLife
from gangen.schedules import Schedule
from gangen.training.players import Player, learning, networks_of

CLOCK = Clock("phase", 0, 10)


def descent(lr=0.1):
    return Learning(sgd, {"lr": Schedule.of(lr)})


def linear():
    net = nn.Linear(2, 1, bias=False)
    with torch.no_grad():
        net.weight.copy_(torch.tensor([[1.0, 2.0]]))
    return net


def with_gradient(player, values):
    player.net.weight.grad = torch.tensor([values])
    return player


def test_everybody_but_the_learners_is_frozen_and_gradients_flow_through_them():
    nets = Players({"generator": linear(), "discriminator": nn.Linear(1, 1)})
    with learning({name: Player(name, net, descent()) for name, net in nets.items()}, ["generator"]):
        nets.discriminator(nets.generator(torch.ones(3, 2))).sum().backward()
    assert nets.generator.weight.grad is not None
    assert nets.discriminator.weight.grad is None
    assert all(parameter.requires_grad for net in nets.values() for parameter in net.parameters())


def test_a_parameter_that_was_frozen_from_the_start_stays_frozen():
    net = nn.Sequential(nn.Linear(2, 2).requires_grad_(False), nn.Linear(2, 1))
    players = {"generator": Player("generator", net, descent()), "other": Player("other", nn.Linear(1, 1), descent())}
    for names in (["other"], ["generator"], ["other"]):
        with learning(players, names):
            pass
    assert [parameter.requires_grad for parameter in net.parameters()] == [False, False, True, True]


def test_learning_rate_follows_its_schedule():
    player = with_gradient(Player("generator", linear(), descent({"start": 1.0, "end": 0.0})), [1.0, 0.0])
    player.step(Clock("phase", 5, 11))
    assert player.net.weight.tolist() == [[0.5, 2.0]]


def test_clipping_bounds_the_norm_of_the_whole_gradient():
    player = with_gradient(Player("generator", linear(), descent(1.0), clip=1.0), [3.0, 4.0])
    player.step(CLOCK)
    assert torch.allclose(player.net.weight, torch.tensor([[1 - 0.6, 2 - 0.8]]), atol=1e-5)


def test_average_follows_weights_and_statistics_by_its_decay_and_takes_other_buffers_over():
    net = nn.Sequential(nn.BatchNorm1d(1), nn.Linear(1, 1))
    net.register_buffer("other", torch.zeros(1))
    player = Player("generator", net, descent(), ema=0.75)
    player.seen = 1000
    weights, means, variances = [net[1].weight.detach().clone()], [0.0], [1.0]
    for mean, variance in ((5.0, 3.0), (-1.0, 7.0)):
        for parameter in net.parameters():
            parameter.grad = torch.ones_like(parameter)
        net[0].running_mean.fill_(mean)
        net[0].running_var.fill_(variance)
        net[0].num_batches_tracked += 1
        net.other.fill_(mean)
        player.step(CLOCK)
        weights.append(net[1].weight.detach().clone())
        means.append(mean)
        variances.append(variance)
    average = player.average
    for found, given in (
        (average[1].weight, weights),
        (average[0].running_mean, means),
        (average[0].running_var, variances),
    ):
        assert found.item() == pytest.approx(float(0.75**2 * given[0] + 0.25 * 0.75 * given[1] + 0.25 * given[2]))
    assert (average.other.item(), average[0].num_batches_tracked.item()) == (-1.0, 2)
    assert not any(parameter.requires_grad for parameter in average.parameters())


def test_averaged_is_the_network_itself_where_none_is_kept():
    players = networks_of(
        {"generator": Player("generator", linear(), descent()), "other": Player("other", linear(), descent(), ema=0.5)}
    )
    assert players.averaged("generator") is players.generator
    assert players.averaged("other") is not players.other


def test_an_unknown_player_is_named():
    with pytest.raises(AttributeError, match="no player called 'critic'"):
        _ = Players({}).critic


def test_evaluating_puts_every_modules_mode_back():
    net = nn.Sequential(nn.Dropout(), nn.Dropout().eval())
    with evaluating(net):
        assert not net[0].training
        assert not torch.is_grad_enabled()
    assert [module.training for module in net] == [True, False]


def test_betas_follow_their_schedules():
    betas = Schedule(0.0), Schedule(0.9, 0.99)
    player = with_gradient(Player("generator", linear(), Learning(adam, {"betas": betas})), [1.0, 0.0])
    assert player.optimizer.param_groups[0]["betas"] == (0.0, 0.9)
    player.step(Clock("phase", 10, 11))
    assert player.optimizer.param_groups[0]["betas"] == (0.0, 0.99)


@pytest.mark.parametrize(("step", "half_life"), [(1, 0.1 * 8), (1000, 64)])
def test_an_average_with_a_half_life_keeps_half_after_so_many_samples(step, half_life):
    player = Player("generator", linear(), descent(), ema=HalfLife(half_life=Schedule(64), ramp_up=0.1))
    player.seen = 8 * step
    before = player.average.weight.clone()
    with_gradient(player, [1.0, 1.0]).step(Clock("phase", 0, 2000, batch_size=8))
    decay = 0.5 ** (8 / half_life)
    assert torch.allclose(player.average.weight, decay * before + (1 - decay) * player.net.weight)


def test_an_average_that_ramps_up_starts_as_the_network():
    player = with_gradient(
        Player("generator", linear(), descent(), ema=HalfLife(half_life=Schedule(64), ramp_up=0.1)), [1.0, 1.0]
    )
    player.step(Clock("phase", 0, 10, batch_size=8))
    assert torch.equal(player.average.weight, player.net.weight)


def test_a_constant_decay_ramps_up_by_the_steps_of_the_player_over_all_phases():
    player, decays = Player("generator", linear(), descent(), ema=0.5), []
    for phase in ("first", "second"):
        for step in range(4):
            before = player.average.weight.clone()
            with_gradient(player, [1.0, 1.0]).step(Clock(phase, step, 4, batch_size=8))
            decays.append(((player.average.weight - player.net.weight) / (before - player.net.weight))[0, 0].item())
    assert decays == pytest.approx([min(0.5, (1 + t) / (10 + t)) for t in range(8)], rel=1e-4)


def test_an_average_is_not_overwritten_when_a_phase_begins():
    player = Player("generator", linear(), descent(), ema=HalfLife(half_life=Schedule(64), ramp_up=0.1))
    for phase, steps in (("first", 20), ("second", 1)):
        for step in range(steps):
            with_gradient(player, [1.0, 1.0]).step(Clock(phase, step, steps, batch_size=8))
    assert (player.average.weight - player.net.weight).abs().max() > 0.1


def test_a_half_life_follows_its_schedule():
    player = Player("generator", linear(), descent(), ema=HalfLife(half_life=Schedule(8, 80), ramp_up=None))
    before = player.average.weight.clone()
    with_gradient(player, [1.0, 1.0]).step(Clock("phase", 10, 11, batch_size=8))
    decay = 0.5 ** (8 / 80)
    assert torch.allclose(player.average.weight, decay * before + (1 - decay) * player.net.weight)


def test_the_half_life_of_r3gan_grows_from_nothing_by_a_cosine():
    """Of 40 million images, 512 at a time: 0 to 5 million over the first 20, and as long from then on."""
    average = HalfLife(half_life=Schedule(0, 5e6, shape="cosine", until=0.5), ramp_up=None)
    steps = 40_000_000 // 512 + 1
    assert average.decay(Clock("phase", 0, steps, 512), 0) == 0
    for images in (5e6, 10e6, 20e6, 30e6):
        half_life = 5e6 * (1 - math.cos(math.pi * min(images / 20e6, 1))) / 2
        decay = average.decay(Clock("phase", round(images / 512), steps, 512), images)
        assert decay == pytest.approx(0.5 ** (512 / half_life), rel=1e-6)


def test_a_frozen_player_is_evaluated_and_never_learns():
    net = nn.Sequential(nn.Linear(2, 2), nn.Dropout())
    player = Player("teacher", net.train(), descent(), frozen=True)
    assert not any(module.training for module in net.modules())
    with learning({"teacher": player, "other": Player("other", linear(), descent())}, ["other"]):
        assert net(torch.ones(1, 2, requires_grad=True)).requires_grad  # gradients flow through it
    assert not any(parameter.requires_grad for parameter in net.parameters())


def test_an_average_shares_what_never_learns_with_the_network():
    net = nn.Sequential(nn.Linear(2, 2).requires_grad_(False), nn.Linear(2, 1))
    player = Player("generator", net, descent(), ema=0.9)
    assert player.average[0].weight is net[0].weight
    assert player.average[1].weight is not net[1].weight


def test_what_is_kept_of_a_network_is_what_it_names():
    net, other = (nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 1, bias=False)) for _ in range(2))
    assert state_of(net).keys() == net.state_dict().keys()
    net.state_names = other.state_names = ["1.weight"]
    assert state_of(net).keys() == {"1.weight"}
    load_state(other, state_of(net))
    assert torch.equal(other[1].weight, net[1].weight)
    assert not torch.equal(other[0].weight, net[0].weight)
    with pytest.raises(RuntimeError, match=r"Missing key.*1\.weight"):
        load_state(other, {})


def test_weight_clipping_bounds_every_weight():
    player = with_gradient(Player("generator", linear(), descent(1.0), weight_clip=0.5), [3.0, 1.7])
    player.step(CLOCK)
    assert torch.allclose(player.net.weight, torch.tensor([[-0.5, 0.3]]))


@pytest.mark.parametrize("use", ["adam", "adamw", "sgd"])
def test_shared_gradients_lie_in_memory_as_the_weights_do(use, monkeypatch):
    """Fused optimizers go through memory in its own order: other strides would mix up the entries of a weight."""

    def play(memory_format, processes):
        monkeypatch.setattr("gangen.training.players.world_size", lambda: processes)
        # Every process has the same gradients.
        monkeypatch.setattr("torch.distributed.all_reduce", lambda tensor: tensor.mul_(processes))
        torch.manual_seed(0)
        net = nn.Conv2d(3, 4, 3).to(memory_format=memory_format)
        player = Player("discriminator", net, Learning(getattr(optimizers, use)))
        for _ in range(3):
            player.optimizer.zero_grad()
            net(torch.randn(2, 3, 5, 5)).square().mean().backward()
            player.share_gradients()
            player.step(CLOCK)
        return net.weight.detach()

    expected = play(torch.contiguous_format, 1)
    assert torch.allclose(play(torch.contiguous_format, 2), expected, atol=1e-6)
    assert torch.allclose(play(torch.channels_last, 2), expected, atol=1e-6)


def test_gradients_are_shared_a_few_at_a_time(monkeypatch):
    """Of a large player there is never a second copy."""
    sizes = []
    monkeypatch.setattr("gangen.training.players.world_size", lambda: 2)
    monkeypatch.setattr("gangen.training.players.BUCKET", 100)
    monkeypatch.setattr("torch.distributed.all_reduce", lambda tensor: sizes.append(tensor.numel()))
    net = nn.Sequential(nn.Linear(4, 5), nn.Linear(5, 6), nn.Linear(6, 1, dtype=torch.float64))
    player = Player("discriminator", net, descent(0.1))
    for parameter in net.parameters():
        parameter.grad = torch.full_like(parameter, 2.0)
    net[1].bias.grad = None
    player.share_gradients()
    # Each message says besides which of its gradients there are: 20 + 5 of 4 bytes; 30 alone; 6; 6 + 1 of 8 bytes.
    assert sizes == [25 + 2, 30 + 1, 6 + 1, 7 + 2]
    assert net[1].bias.grad is None and all((it.grad == 1).all() for it in net.parameters() if it is not net[1].bias)


class Lion(torch.optim.Optimizer):
    """An optimizer of a plugin, with an option that may follow a schedule."""

    def __init__(self, parameters, *, lr: Schedule = 1.0, pull: Schedule = 0.0, decay: float = 0.0):
        super().__init__(parameters, {"lr": lr(0.0), "pull": pull(0.0), "decay": decay})

    def step(self):
        for group in self.param_groups:
            for parameter in group["params"]:
                with torch.no_grad():
                    parameter.sub_(group["lr"] * parameter.grad.sign() + group["pull"])


def test_any_option_that_is_a_schedule_is_followed_also_by_groups():
    options = {"lr": Schedule(1.0, 0.5), "pull": Schedule(0.0, 1.0), "decay": 0.1}
    learning = Learning(Lion, options, [("*.bias", {"lr": Schedule(8.0, 4.0), "decay": 0.0})])
    player = Player("pupil", nn.Sequential(nn.Linear(1, 1), nn.Linear(1, 1)), learning)
    biases, weights = player.optimizer.param_groups
    assert [len(group["params"]) for group in (biases, weights)] == [2, 2]
    assert [(group["lr"], group["pull"], group["decay"]) for group in (biases, weights)] == [(8, 0, 0), (1, 0, 0.1)]
    for parameter in player.trainable:
        parameter.grad = torch.ones_like(parameter)
    before = [parameter.detach().clone() for parameter in (player.net[0].bias, player.net[0].weight)]
    player.step(Clock("phase", 10, 11))
    assert [(group["lr"], group["pull"], group["decay"]) for group in (biases, weights)] == [(4, 1, 0), (0.5, 1, 0.1)]
    torch.testing.assert_close(player.net[0].bias, before[0] - 5)
    torch.testing.assert_close(player.net[0].weight, before[1] - 1.5)


def test_groups_may_have_all_parameters():
    player = Player("pupil", nn.Linear(1, 1), Learning(adam, groups=[("*", {"lr": Schedule(0.5)})]))
    assert player.optimizer.param_groups[0]["lr"] == 0.5
