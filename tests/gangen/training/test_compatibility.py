"""What cannot be played is refused before any training, with its place in the recipe and what to do."""

from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from gangen import cli
from gangen.components.registry import Registry
from gangen.errors import PluginError, RecipeError
from gangen.recipe.load import load_recipe
from gangen.training.assemble import build_game, check
from gangen.training.compatibility import find_blind_spots
from gangen_image.networks.mlp import MLPDiscriminator

RECIPE = """\
run: {run}
data: {{use: image/points, size: 100, heldout_size: 20}}
players:
  generator: {{use: image/mlp, latent_dim: 2}}
  discriminator: image/mlp
objective: image/gan
phases:
  adversarial: {{steps: 2, turns: {{discriminate: 1, generate: 1}}}}
metrics: [image/modes]
"""
PICKY = """
from gangen import UsageError, hookimpl

def picky():
    raise UsageError("nothing pleases it")

@hookimpl
def gangen_callbacks(register):
    register("picky", f"{__name__}:picky", summary="refuses")
"""


@pytest.fixture
def recipe(tmp_path):
    path = tmp_path / "points.yaml"
    path.write_text(RECIPE.format(run=tmp_path / "run"))
    return path


def refusal(recipe, *overrides: str) -> str:
    registry = Registry.discover()
    with pytest.raises(RecipeError) as refused:
        check(load_recipe(recipe, overrides, registry), registry)
    return str(refused.value)


def test_what_fits_is_described_and_nothing_is_written(recipe, tmp_path):
    registry = Registry.discover()
    lines = check(load_recipe(recipe, (), registry), registry)
    assert "phase adversarial: 2 steps of 1 x discriminate (discriminator), 1 x generate (generator)" in lines
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (
            ["phases.adversarial.turns.generat=1"],
            "command line: phases.adversarial.turns.generat=1: objective 'image/gan' has no turn 'generat'; "
            "did you mean 'generate'?; it has: discriminate, generate, penalize",
        ),
        (
            ["phases.adversarial.optimizers={generator: {groups: [{match: '*.bais', lr: 0}]}}"],
            "no parameter of player 'generator' is called '*.bais'; they are: ",
        ),
        (
            ["objective=image/semi_supervised", "phases.adversarial.turns={supervise: 1}"],
            "turn 'supervise' of 'image/semi_supervised' updates a player 'supervised', "
            "which this recipe does not have",
        ),
        (
            ["objective=image/semi_supervised", "phases.adversarial.turns={discriminate: 1}"],
            "points.yaml:5:3: 'image/mlp' lacks classify(), which turn 'discriminate' of 'image/semi_supervised' needs",
        ),
        (
            ["data=image/digits", "objective.auxiliary=1"],
            "points.yaml:5:3: 'image/mlp' lacks classify(), which 'image/gan' needs with its options",
        ),
        (
            ["phases.adversarial.turns={discriminate: 1, penalize: {every: 16}}"],
            "points.yaml:6:1: turn 'penalize' has nothing to play: give the objective lazy_penalties",
        ),
        (
            ["objective.lazy_penalties=[r1]"],
            "points.yaml:6:1: nothing plays lazy_penalties: give a phase their turn, as in penalize: {every: 16}",
        ),
        (
            ["objective.path_length=8"],
            "points.yaml:6:1: nothing plays path_length: give a phase its turn, as in regularize: {every: 4}",
        ),
        (
            ["trainer.batch_size=7", "trainer.accumulate=2"],
            "command line: trainer.batch_size=7: batch_size 7 is the batch of all processes together; "
            "it must be a multiple of 1 (processes) x 2 (accumulate)",
        ),
        (
            ["metrics=[image/modes, label_accuracy]"],
            "metric 'gangen/label_accuracy' needs data with labels; take it out of the recipe",
        ),
        (
            ["data=image/digits", "metrics=[frechet, {use: kid, extractor: {use: image/classifier, seed: 1}}]"],
            "two different extractors are called 'classifier', and so would be their figures; take one of them",
        ),
        (["metrics=[text/bleu]"], "metric 'text/bleu' looks at text, which these data are not; take it out"),
        (["metrics=[text/nll]"], "metric 'text/nll' looks at text, which these data are not; take it out"),
        (
            ["players.generator.shard=true", "trainer.precision=fp16"],
            "players.generator.shard=true: with precision fp16 steps whose gradients overflow are left out",
        ),
        (
            [
                "data={use: image/digits, size: 32}",
                "metrics=[]",
                "players.generator=image/style",
                "trainer.precision=fp16",
            ],
            "trainer.precision=fp16: 'image/style', player 'generator', fails in fp16: activations outgrow it; "
            "give the player clamp: 256, or take bf16",
        ),
        (
            ["data=image/digits", "metrics=[]", "players.generator={use: image/r3gan, width: 50, max_width: 50}"],
            "command line: players.generator={use: image/r3gan, width: 50, max_width: 50}: image/r3gan convolves in "
            "groups of 16 channels, but a block has 100",
        ),
        (
            ["objective.augmentation=image/diffaugment"],
            "points.yaml:6:1: augmentation is for images, and these data are none",
        ),
        (["data=image/digits"], "points.yaml:9:11: metric image/modes needs data with known modes"),
    ],
)
def test_what_does_not_fit_is_refused(overrides, message, recipe):
    assert message in refusal(recipe, *overrides)


@pytest.mark.parametrize(
    ("player", "phases", "message"),
    [
        (
            "discriminator: {use: image/mlp, frozen: true}",
            "{}",
            "8:51: turn 'discriminate' of 'image/gan' updates 'discriminator', which never learns here",
        ),
        (
            "then: {copy_of: generator, hidden_dim: 7}",
            "{}",
            "6:10: 'then' cannot take over the weights of 'generator': "
            "linears.0.weight is [128, 2] there and [7, 2] here",
        ),
        ("then: {copy_of: generator}", "{then: adam}", "9:30: 'then' never learns, so it has no optimizer"),
    ],
)
def test_players_that_cannot_learn_or_be_copied_are_refused(player, phases, message, recipe):
    text = recipe.read_text().replace("  adversarial: {", f"  adversarial: {{optimizers: {phases}, ")
    keep = "" if player.startswith("discriminator") else "\n  discriminator: image/mlp"
    recipe.write_text(text.replace("\n  discriminator: image/mlp", f"{keep}\n  {player}"))
    assert f"points.yaml:{message}" in refusal(recipe)


def test_a_player_without_parameters_must_be_frozen(recipe, tmp_path):
    (tmp_path / "net.py").write_text(
        "from torch import nn\n"
        "from gangen import hookimpl\n"
        "class Nothing(nn.Module):\n"
        "    def __init__(self, spec): super().__init__()\n"
        "@hookimpl\n"
        "def gangen_encoders(register): register('nothing', f'{__name__}:Nothing')\n"
    )
    players = "encoder: {use: local/nothing, frozen: FROZEN}\nobjective: image/gan"
    text = f"code: {tmp_path / 'net.py'}\n" + recipe.read_text().replace("objective: image/gan", f"  {players}")
    recipe.write_text(text.replace("FROZEN", "false"))
    registry = Registry.discover()
    with pytest.raises(RecipeError, match=r"player 'encoder' has no parameters to learn; set frozen: true"):
        check(load_recipe(recipe, (), registry), registry)
    recipe.write_text(text.replace("FROZEN", "true"))
    registry = Registry.discover()
    assert check(load_recipe(recipe, (), registry), registry)


def test_a_player_may_begin_as_another(recipe):
    recipe.write_text(recipe.read_text().replace("  discriminator: ", "  then: {init: generator}\n  discriminator: "))
    registry = Registry.discover()
    _, players, _, _ = build_game(load_recipe(recipe, (), registry), registry, torch.device("cpu"))
    assert all(
        torch.equal(mine, theirs) and mine is not theirs
        for mine, theirs in zip(*(players[name].trainable for name in ("generator", "then")), strict=True)
    )


def test_a_sampler_needs_its_players(recipe):
    override = "sampler={{use: player, player: {}}}"
    missing = "sampler 'gangen/player' needs a player 'maker'"
    assert f"command line: {override.format('maker')}: {missing}" in refusal(recipe, override.format("maker"))
    unable = "player 'discriminator' lacks sample(), which sampler 'gangen/player' needs"
    assert unable in refusal(recipe, override.format("discriminator"))


@pytest.mark.parametrize(
    ("networks", "message"),
    [
        ("'generator'", "networks of sampler 'local/mine' are 'generator', and not a list of names"),
        ("property(lambda self: ['genrator'])", "needs a player 'genrator'; did you mean 'generator'?"),
    ],
)
def test_what_a_sampler_says_of_its_players_is_looked_at_before_training(recipe, tmp_path, networks, message):
    (tmp_path / "mine.py").write_text(
        f"class Mine:\n    networks = {networks}\n    def __init__(self, players): ...\n    def sample(self): ...\n"
        "from gangen import hookimpl\n@hookimpl\n"
        "def gangen_samplers(register): register('mine', f'{__name__}:Mine')\n"
    )
    assert message in refusal(recipe, f"code={tmp_path / 'mine.py'}", "sampler=local/mine")


def test_an_extractor_that_misses_a_fault_is_refused_where_it_is_the_only_one(recipe):
    loaded = load_recipe(recipe, ["metrics=[image/modes, frechet, kid]"], Registry.discover())
    blind, seeing = (
        SimpleNamespace(extractor=SimpleNamespace(name=name, key=name, blind_to=blind_to))
        for name, blind_to in (("bag", "the order of words"), ("eye", None))
    )
    [problem] = find_blind_spots(loaded, [SimpleNamespace(), blind, blind])
    assert "extractor 'bag' hardly sees the order of words, and none here does: add a metric" in problem.message
    assert find_blind_spots(loaded, [SimpleNamespace(), blind, seeing]) == []
    other = SimpleNamespace(extractor=SimpleNamespace(name="form", key="form", blind_to="what texts are about"))
    assert find_blind_spots(loaded, [SimpleNamespace(), blind, other]) == []
    assert find_blind_spots(loaded, [SimpleNamespace()]) == []


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (
            ["players.discriminator.pac=3"],
            "batch_size 8, and player 'discriminator', by the options of image/mlp, takes rows in groups of 3; take a "
            "multiple of 3",
        ),
        (
            ["players.discriminator.pac=4", "trainer.accumulate=4"],
            "batch_size 8 is 2 rows on each process and in each micro-batch, and player 'discriminator', by the "
            "options of image/mlp, takes rows in groups of 4; take a multiple of 16",
        ),
        (
            ["players.generator.norm=batch", "trainer.accumulate=8"],
            "batch_size 8 is 1 row on each process and in each micro-batch, and player 'generator', by the options of "
            "image/mlp, needs at least 2; take a larger batch",
        ),
    ],
)
def test_batches_that_a_network_cannot_take_are_refused_with_their_place(overrides, message, recipe):
    assert refusal(recipe, "trainer.batch_size=8", *overrides) == f"command line: trainer.batch_size=8: {message}"


def test_a_later_phase_has_its_own_place(recipe):
    recipe.write_text(recipe.read_text() + "trainer: {batch_size: 8}\n")
    phase = "  fine: {steps: 2, batch_size: 6, turns: {generate: 1}}\nmetrics"
    recipe.write_text(recipe.read_text().replace("metrics", phase).replace("image/mlp\n", "{use: image/mlp, pac: 4}\n"))
    assert "points.yaml:9:20: batch_size 6, and player 'discriminator', by the options of" in refusal(recipe)


def test_a_batch_that_no_phase_plays_is_of_any_size(recipe):
    registry = Registry.discover()
    overrides = ["trainer.batch_size=5", "phases.adversarial.batch_size=6", "players.discriminator.pac=3"]
    assert check(load_recipe(recipe, overrides, registry), registry)


def test_fewer_rows_than_a_batch_are_told_of_and_so_is_a_single_one(recipe):
    registry = Registry.discover()

    def warnings(*overrides):
        lines = check(load_recipe(recipe, overrides, registry), registry)
        return [line.removeprefix("warning: ") for line in lines if line.startswith("warning")]

    advice = "which repeats them; take a smaller batch_size, or more data"
    assert warnings("data.heldout_size=50") == []
    assert warnings() == ["20 held-out rows are few for metrics that look at them, which want 50; hold out more"]
    assert warnings("metrics=[]") == []
    assert warnings("metrics=[]", "trainer.batch_size=128") == [
        f"100 training rows are fewer than a batch of 128, {advice}"
    ]
    assert warnings("metrics=[]", "data.size=1") == [f"1 training row is fewer than a batch of 64, {advice}"]
    assert warnings("metrics=[]", "data.size=48", "phases.adversarial.batch_size=32") == []


REJECTION = "sampler 'image/rejection' takes the logits of 'discriminator' for log-ratios of real to sampled rows, and "


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (
            ["objective.loss=hinge"],
            "objective 'image/gan' does not teach them to be with its loss 'gangen/hinge'; "
            "losses non_saturating and minimax do",
        ),
        (
            [
                "data={use: image/few_labels, of: {use: image/digits, size: 28}, per_label: 10}",
                "objective={use: image/semi_supervised}",
                "phases.adversarial.turns={classify: 1, generate: 1}",
            ],
            "objective 'image/semi_supervised' does not teach them to be, whatever its loss, as it is set up here; "
            "play another",
        ),
        (
            ["phases.adversarial.turns={generate: 1}"],
            "no turn of this recipe teaches it; add a phase that plays discriminate or penalize",
        ),
        (
            ["data=image/digits", "players.discriminator={use: image/dcgan, pac: 2}"],
            "'image/dcgan' judges 2 rows together",
        ),
    ],
)
def test_logits_that_are_no_log_ratios_are_refused_where_a_sampler_takes_them_for_that(overrides, message, recipe):
    assert f"command line: sampler=image/rejection: {REJECTION}{message}" in refusal(
        recipe, "sampler=image/rejection", "metrics=[]", *overrides
    )


@pytest.mark.parametrize("loss", ["minimax", "non_saturating"])
def test_log_ratios_are_taken_where_they_are_taught(recipe, loss):
    registry = Registry.discover()
    taken = [f"objective.loss={loss}", "sampler=image/rejection"]
    check(load_recipe(recipe, taken, registry), registry)
    after = "phases.after={steps: 1, turns: {discriminate: 1}}"
    check(load_recipe(recipe, [*taken, after], registry), registry)


def test_log_ratios_of_a_generator_that_learns_on_are_refused(recipe):
    assert (
        "phase 'after' updates 'generator' after the last that teaches 'discriminator', whose logits are of what "
        in (
            refusal(
                recipe,
                "objective.loss=minimax",
                "sampler=image/rejection",
                "phases.after={steps: 1, turns: {generate: 1}}",
            )
        )
    )


def test_data_on_other_columns_than_a_sampler_draws_on_are_refused():
    overrides = ["objective.loss=minimax", "sampler=image/rejection", "metrics=[]"]
    registry = Registry.discover()
    recipe = load_recipe(Path(__file__).parents[3] / "recipes/pix2pix.yaml", overrides, registry)
    with pytest.raises(RecipeError) as error:
        check(recipe, registry)
    assert "sampler 'image/rejection' draws on no more than label, and these data are made on 'input'" in str(
        error.value
    )


def test_what_a_callback_refuses_has_its_place(recipe, tmp_path, capsys):
    (tmp_path / "picky.py").write_text(PICKY)
    given = [f"code=[{tmp_path / 'picky.py'}]", "callbacks=[local/picky]"]
    assert cli.main([str(recipe), *given]) == 2
    assert "command line: callbacks=[local/picky]: nothing pleases it\nwhile building" in capsys.readouterr().err


def test_unfit_precisions_that_are_no_mapping_are_the_plugins_fault(recipe, monkeypatch):
    monkeypatch.setattr(MLPDiscriminator, "unfit_precisions", ("fp16",), raising=False)
    registry = Registry.discover()
    with pytest.raises(PluginError, match=r"unfit_precisions of 'image/mlp' are to say .*, got \('fp16',\)"):
        check(load_recipe(recipe, (), registry), registry)
