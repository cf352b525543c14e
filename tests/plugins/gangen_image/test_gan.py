"""The image game: its turns, what they add up, and fakes that serve twice."""

import json
import re
import shutil
from dataclasses import replace

import pytest
import torch
from safetensors.torch import load_file

from gangen import cli, noise
from gangen.contracts import Clock
from gangen.errors import RunError, UsageError
from gangen.losses import Hinge, NonSaturating, RelativisticPaired
from gangen.networks import Players
from gangen.optimizers import Learning, sgd
from gangen.penalties import R1, R2
from gangen.schedules import Schedule
from gangen.training.players import Player, learning
from gangen_image.networks.mlp import MLPDiscriminator, MLPGenerator
from gangen_image.objectives.augmentation import DiffAugment
from gangen_image.objectives.gan import ImageGAN, feature_distance
from gangen_image.spec import ImageSpec, PointSpec

SPEC = ImageSpec(1, 4, ("even", "odd"))
CLOCK = Clock("adversarial", 3, 10)
BATCH = {
    "image": torch.randint(256, (6, 1, 4, 4), generator=torch.Generator().manual_seed(0), dtype=torch.uint8),
    "label": torch.tensor([0, 1, 1, 0, 1, 0]),
}


def game(condition="projection"):
    torch.manual_seed(0)
    nets = {
        "generator": MLPGenerator(SPEC, latent_dim=3, hidden_dim=8),
        "discriminator": MLPDiscriminator(SPEC, hidden_dim=8, condition=condition),
    }
    return Players(nets)


def everybody(nets):
    optimizer = Learning(sgd, {"lr": Schedule(0.1)})
    return {name: Player(name, net, optimizer) for name, net in nets.items()}


def play(objective, players, turn, *, seed=1, clock=CLOCK, step=True):
    """A turn as the trainer plays it; returns its gradients by name, and its figures."""
    method = getattr(objective, turn)
    with learning(everybody(players), method.updates) as (learner,):
        with noise.shared(seed):
            loss, stats = method(players, BATCH, clock)
        loss.backward()
        gradients = {
            name: torch.zeros_like(parameter) if parameter.grad is None else parameter.grad.clone()
            for name, parameter in learner.net.named_parameters()
        }
        if step:
            learner.step(clock)
    return gradients, {"loss": loss.detach(), **stats}


def test_the_discriminators_loss_is_that_of_its_logits_and_the_generator_is_left_alone():
    players, objective = game(), ImageGAN(SPEC, loss=NonSaturating())
    with noise.shared(1), torch.no_grad():
        fakes = players.generator.sample(6, BATCH)
        real = players.discriminator(BATCH["image"].float() / 127.5 - 1, BATCH)
        fake = players.discriminator(fakes, BATCH)
    _, stats = play(objective, players, "discriminate", step=False)
    assert stats["loss"].item() == pytest.approx(NonSaturating().discriminator(real, fake).item())
    assert stats["accuracy"].item() == pytest.approx((sum(real > 0) + sum(fake < 0)).item() / 12)
    assert (stats["real"].item(), stats["fake"].item()) == pytest.approx((real.mean().item(), fake.mean().item()))
    assert all(parameter.grad is None for parameter in players.generator.parameters())


@pytest.mark.parametrize("loss", [NonSaturating(), RelativisticPaired()], ids=["absolute", "relativistic"])
def test_the_generators_gradient_comes_through_a_frozen_discriminator(loss):
    players, objective = game(), ImageGAN(SPEC, loss=loss)
    gradients, stats = play(objective, players, "generate", step=False)
    assert all(gradient.abs().sum() > 0 for gradient in gradients.values())
    assert all(parameter.grad is None for parameter in players.discriminator.parameters())
    with noise.shared(1), torch.no_grad():
        fake = players.discriminator(players.generator.sample(6, BATCH), BATCH)
        real = players.discriminator(BATCH["image"].float() / 127.5 - 1, BATCH)
    assert stats["loss"].item() == pytest.approx(loss.generator(real, fake).item())


def test_penalties_add_up_and_are_reported():
    players = game()
    plain = play(ImageGAN(SPEC, loss=NonSaturating()), players, "discriminate", step=False)[1]
    objective = ImageGAN(SPEC, loss=NonSaturating(), penalties=[R1(weight=2.0), R2(weight=3.0)])
    full = play(objective, players, "discriminate", step=False)[1]
    assert full["R1"] > 0 and full["R2"] > 0
    assert full["loss"].item() == pytest.approx((plain["loss"] + full["R1"] + full["R2"]).item())


def test_lazy_penalties_are_the_whole_loss_of_their_own_turn():
    players = game()
    every = play(ImageGAN(SPEC, loss=NonSaturating(), penalties=[R1()]), players, "discriminate", step=False)[1]
    lazy = ImageGAN(SPEC, loss=NonSaturating(), lazy_penalties=[R1()])
    assert "R1" not in play(lazy, players, "discriminate", step=False)[1]
    gradients, stats = play(lazy, players, "penalize", step=False)
    assert stats["loss"].item() == pytest.approx(every["R1"].item())
    assert any(gradient.abs().sum() > 0 for gradient in gradients.values())
    with pytest.raises(UsageError, match="lazy_penalties"):
        ImageGAN(SPEC, loss=NonSaturating()).check(players, {"penalize"})


def test_reused_fakes_give_the_gradients_of_the_plain_game_with_the_same_fakes():
    found = {}
    for reuse in (False, True):
        players, objective = game(), ImageGAN(SPEC, loss=RelativisticPaired(), reuse_fakes=reuse)
        # The plain game makes the same fakes again from the same noise.
        found[reuse] = [play(objective, players, turn, seed=5)[0] for turn in ("discriminate", "generate")]
    for plain, reused in zip(*found.values(), strict=True):
        for name, gradient in plain.items():
            assert torch.allclose(reused[name], gradient, atol=1e-7), name


def test_reused_fakes_are_taken_one_micro_batch_after_the_other():
    players, objective = game(), ImageGAN(SPEC, loss=NonSaturating(), reuse_fakes=True)
    plain = ImageGAN(SPEC, loss=NonSaturating())
    clocks = [replace(CLOCK, micro=micro) for micro in range(2)]
    for seed, clock in enumerate(clocks):
        play(objective, players, "discriminate", seed=seed, clock=clock, step=False)
    for seed, clock in enumerate(clocks):
        expected = play(plain, players, "generate", seed=seed, step=False)[0]
        found = play(objective, players, "generate", seed=9, clock=clock, step=False)[0]
        assert all(torch.allclose(found[name], expected[name], atol=1e-7) for name in expected)


@pytest.mark.parametrize(
    "turns",
    [
        [("generate", 3, 0)],
        [("discriminate", 2, 0), ("generate", 3, 0)],
        [("discriminate", 3, 0), ("generate", 3, 0), ("generate", 3, 0)],
        [("discriminate", 3, 0), ("discriminate", 3, 1), ("generate", 3, 0), ("generate", 3, 1)],
    ],
    ids=["none", "of another step", "used up", "of an older generator"],
)
def test_stale_fakes_are_refused(turns):
    players, objective = game(), ImageGAN(SPEC, loss=NonSaturating(), reuse_fakes=True)
    *before, (last, now) = [(turn, Clock("adversarial", step, 10, repeat=repeat)) for turn, step, repeat in turns]
    for turn, clock in before:
        play(objective, players, turn, clock=clock)
    with pytest.raises(RunError, match="play discriminate before generate"):
        play(objective, players, last, clock=now)


def test_the_generator_stays_frozen_in_the_discriminators_turn_when_fakes_are_reused():
    players, objective = game(), ImageGAN(SPEC, loss=NonSaturating(), penalties=[R2()], reuse_fakes=True)
    with learning(everybody(players), ["discriminator"]):
        objective.discriminate(players, BATCH, CLOCK)[0].backward()
        assert not any(parameter.requires_grad for parameter in players.generator.parameters())
    assert all(parameter.grad is None for parameter in players.generator.parameters())


def test_the_auxiliary_classifier_learns_labels_of_real_images_and_of_fakes():
    players = game("classifier")
    plain = play(ImageGAN(SPEC, loss=NonSaturating()), players, "discriminate", step=False)[1]
    found = play(ImageGAN(SPEC, loss=NonSaturating(), auxiliary=0.5), players, "discriminate", step=False)[1]
    with noise.shared(1), torch.no_grad():
        fakes = players.generator.sample(6, BATCH)
        wrong = sum(
            -players.discriminator.classify(images).log_softmax(1)[range(6), BATCH["label"]].mean()
            for images in (BATCH["image"].float() / 127.5 - 1, fakes)
        )
    assert found["loss"].item() == pytest.approx((plain["loss"] + 0.5 * wrong).item())


def test_feature_matching_is_the_squared_distance_of_mean_features():
    real, fake = torch.tensor([[1.0, 2.0], [3.0, 0.0]]), torch.tensor([[0.0, 0.0], [1.0, 4.0]])
    assert feature_distance(real, fake).item() == (2 - 0.5) ** 2 + (1 - 2) ** 2
    players = game()
    plain = play(ImageGAN(SPEC, loss=NonSaturating()), players, "generate", step=False)[1]
    found = play(ImageGAN(SPEC, loss=NonSaturating(), feature_matching=2.0), players, "generate", step=False)[1]
    with noise.shared(1), torch.no_grad():
        fake = players.discriminator.features(players.generator.sample(6, BATCH), BATCH)
        real = players.discriminator.features(BATCH["image"].float() / 127.5 - 1, BATCH)
    assert (found["loss"] - plain["loss"]).item() == pytest.approx(2 * feature_distance(real, fake).item(), rel=1e-4)


def test_everything_that_the_discriminator_sees_is_augmented():
    players = game()
    objective = ImageGAN(SPEC, loss=RelativisticPaired(), penalties=[R1()], augmentation=DiffAugment())
    seen = []
    players.discriminator.register_forward_pre_hook(lambda net, arguments: seen.append(arguments[0]))
    clean = BATCH["image"].float() / 127.5 - 1
    for turn in ("discriminate", "generate"):
        play(objective, players, turn, step=False)
    assert len(seen) == 4  # the penalty looks at the pass that the loss is taken from
    assert not any(torch.equal(images, clean) for images in seen)


def test_what_does_not_fit_the_data_is_refused():
    with pytest.raises(UsageError, match="augmentation is for images"):
        ImageGAN(PointSpec(), loss=NonSaturating(), augmentation=DiffAugment())
    with pytest.raises(UsageError, match="a loss of labels"):
        ImageGAN(ImageSpec(1, 4), loss=NonSaturating(), auxiliary=1.0)


@pytest.mark.parametrize("loss", [Hinge(), NonSaturating()])
def test_of_a_slicing_network_features_learn_by_the_loss_and_the_direction_by_the_means(loss):
    players, objective = game(), ImageGAN(SPEC, loss=loss, san=True, penalties=[R1(weight=0.1)])
    net, images = players.discriminator, SPEC.prepare(BATCH["image"])
    gradients, found = play(objective, players, "discriminate", step=False)
    with noise.shared(1), torch.no_grad():
        fakes = players.generator.sample(6, BATCH)
    weights = net.head.output.weight + net.head.projection.weight.T[BATCH["label"]]
    directions = weights / weights.norm(dim=1, keepdim=True)
    sides = [net.features(rows, BATCH) for rows in (images.requires_grad_(), fakes)]
    real, fake = ((side * directions.detach()).sum(1) for side in sides)
    (slope,) = torch.autograd.grad(real.sum(), images, create_graph=True)
    fixed = loss.discriminator(real, fake) + 0.1 / 2 * slope.square().sum() / 6
    apart = ((sides[1] - sides[0]).detach() * directions).sum(1).mean()
    assert found["loss"].item() == pytest.approx((fixed + apart).item(), rel=1e-5)
    for name, teacher in (
        ("linears.0.weight", fixed),
        ("head.output.weight", apart),
        ("head.projection.weight", apart),
    ):
        (expected,) = torch.autograd.grad(teacher, net.get_parameter(name), retain_graph=True)
        assert expected.abs().sum() > 0 and torch.allclose(gradients[name], expected, atol=1e-6)
    _, found = play(objective, players, "generate", step=False)
    with noise.shared(1):
        fakes = players.generator.sample(6, BATCH)
    said = (net.features(fakes, BATCH) * directions).sum(1)
    assert found["loss"].item() == pytest.approx(loss.generator(None, said).item(), rel=1e-5)


RECIPE = """
run: {run}
data: {{use: image/points, size: 200, heldout_size: 50}}
players:
  generator:
    use: image/mlp
    hidden_dim: 8
    optimizer: {{lr: 1e-2, betas: [0, {{start: 0.9, end: 0.99}}]}}
    ema: {{half_life: 100, ramp_up: 0.05}}
  discriminator: {{use: image/mlp, hidden_dim: 8, weight_clip: 0.3}}
objective:
  use: image/gan
  loss: relativistic_paired
  penalties: [{{use: lecam, weight: 0.3}}, {{use: r2, weight: {{start: 1, end: 0.1, shape: exponential}}}}]
  lazy_penalties: [{{use: gradient_penalty, weight: 2}}]
  reuse_fakes: true
phases:
  adversarial: {{steps: 6, turns: {{discriminate: 1, generate: 1, penalize: {{every: 4}}}}}}
trainer: {{batch_size: 16, accumulate: 2}}
every: {{log: 1, sample: 0, evaluate: 6, checkpoint: 3}}
metrics: [{{use: image/modes, samples: 100}}]
"""


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A run of six steps, with checkpoints after three and six."""
    folder = tmp_path_factory.mktemp("gan")
    (folder / "game.yaml").write_text(RECIPE.format(run=folder / "run"))
    assert cli.main([str(folder / "game.yaml")]) == 0
    return folder / "run"


def test_a_recipe_is_played_and_its_objectives_memory_is_in_the_checkpoint(whole):
    rows = [json.loads(line) for line in (whole / "metrics.jsonl").read_text().splitlines()]
    assert [row["step"] for row in rows if "penalize/GradientPenalty" in row] == [1, 5]
    assert {"modes", "good", "kl"} <= rows[-1].keys()
    checkpoint = whole / "checkpoints/step-00000006"
    anchors = load_file(checkpoint / "objective.safetensors")["penalties.0.anchors"]
    assert anchors.isfinite().all() and anchors.abs().sum() > 0
    weights = load_file(checkpoint / "discriminator/model.safetensors")
    assert max(weight.abs().max().item() for weight in weights.values()) <= 0.3 + 1e-6


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ((), "turn 'regularize' has nothing to play: give the objective path_length"),
        (("objective.path_length=8",), r"'image/mlp' lacks styles\(\)"),
    ],
)
def test_paths_are_of_generators_with_styles_and_need_a_weight(options, message, whole, tmp_path, capsys):
    turn = "phases.adversarial.turns.regularize={every: 4}"
    assert cli.main(["check", str(whole.parent / "game.yaml"), turn, f"run={tmp_path}", *options]) != 0
    assert re.search(message, capsys.readouterr().err)


@pytest.mark.parametrize(("precision", "rounded"), [("tf32", True), ("bf16", False), ("fp32", False)])
def test_products_of_float32_are_rounded_only_where_the_recipe_says_so(precision, rounded, whole, tmp_path):
    recipe, options = whole.parent / "game.yaml", (f"trainer.precision={precision}", f"run={tmp_path}")
    assert cli.main(["check", str(recipe), *options]) == 0
    assert torch.backends.cudnn.allow_tf32 is torch.backends.cuda.matmul.allow_tf32 is rounded


def test_a_run_that_stopped_goes_on_with_what_its_objective_remembers(whole, tmp_path):
    shutil.copytree(whole, tmp_path / "run")
    shutil.rmtree(tmp_path / "run/checkpoints/step-00000006")
    (tmp_path / "run/checkpoints/latest").write_text("step-00000003\n")
    assert cli.main([str(whole.parent / "game.yaml"), f"run={tmp_path / 'run'}"]) == 0
    files = [path.relative_to(whole) for path in (whole / "checkpoints/step-00000006").rglob("*.safetensors")]
    assert len(files) == 6
    assert [path for path in files if (whole / path).read_bytes() != (tmp_path / "run" / path).read_bytes()] == []
