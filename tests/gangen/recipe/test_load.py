import math
import os
import sys
from pathlib import Path

import pytest

from gangen.components.options import Use
from gangen.components.registry import Registry
from gangen.errors import RecipeError
from gangen.recipe.load import difference, load_recipe
from gangen.recipe.players import CopyOf
from gangen.recipe.sections import TurnTimes
from gangen.recipe.source import RecipeSource, dump, read_assignments
from gangen.schedules import Schedule

TINY = """\
data: echo/ring
players:
  generator:
    use: echo/mlp
    hidden_dim: 8
    optimizer: {lr: 1e-3, betas: [0, 0.9]}
    ema: 0.99
  discriminator: echo/mlp
objective: {use: echo/gan, loss: hinge}
phases:
  adversarial: {steps: 4, turns: {discriminate: 2, generate: {every: 2}}}
"""


def adam(**options) -> Use:
    """What a recipe says that gives adam these options and no others."""
    betas = Schedule(0.9), Schedule(0.999)
    defaults = {"lr": Schedule(1e-3), "betas": betas, "eps": 1e-8, "weight_decay": 0.0}
    return Use("optimizers", "gangen/adam", defaults | options)


@pytest.fixture
def read(tmp_path, monkeypatch, echo):
    """Read a text as recipe ``tiny.yaml`` of the current folder."""
    monkeypatch.chdir(tmp_path)

    def read(text: str | bytes, *overrides: str):
        Path("tiny.yaml").write_bytes(text if isinstance(text, bytes) else text.encode())
        return load_recipe("tiny.yaml", overrides, echo)

    return read


@pytest.fixture
def problems(read):
    """The lines of the error that reading a text gives."""

    def problems(text: str | bytes, *overrides: str) -> list[str]:
        with pytest.raises(RecipeError) as raised:
            read(text, *overrides)
        return str(raised.value).splitlines()

    return problems


def test_a_recipe_is_complete(read):
    recipe = read(TINY)
    assert (recipe.run, recipe.seed, recipe.resume, recipe.source) == ("runs/tiny", 0, True, Path("tiny.yaml"))
    assert recipe.data == Use("data", "echo/ring", {"size": 256, "modes": 8, "spread": 0.02})
    generator = recipe.players["generator"]
    assert generator.component == Use("generators", "echo/mlp", {"latent_dim": 4, "hidden_dim": 8})
    assert (generator.ema, generator.clip) == (0.99, None)
    assert generator.optimizer.component == adam(betas=(Schedule(0.0), Schedule(0.9)))
    assert recipe.players["discriminator"].component.kind == "discriminators"
    assert recipe.players["discriminator"].optimizer.component == adam()
    assert recipe.phases["adversarial"].turns == {"discriminate": TurnTimes(times=2), "generate": TurnTimes(every=2)}
    assert (recipe.trainer.batch_size, recipe.every.checkpoint, recipe.metrics) == (64, 500, [])


def test_a_written_recipe_reads_back_equal(read, tmp_path, echo):
    optimizer = "{use: sgd, lr: {start: 1, end: 1e-9}}"
    changes = ["metrics=[{use: radius, samples: 3}]", f"phases.adversarial.optimizers.generator={optimizer}"]
    recipe = read(TINY, *changes)
    copy = tmp_path / "copy.yaml"
    copy.write_text(recipe.to_yaml())
    again = load_recipe(copy, registry=echo)
    assert again == recipe
    assert again.to_dict() == recipe.to_dict()
    assert again.to_yaml() == recipe.to_yaml()


def test_no_component_is_imported(read):
    read(TINY)
    assert "gangen_echo.networks" not in sys.modules


def test_everything_that_is_wrong_is_said_at_once_with_its_place(problems):
    text = """\
sed: 1
data: echo/rng
players:
  generator: {use: echo/mlp, hiden_dim: 8, ema: 1.5, optimizer: {use: adma}}
  discriminator:
    use: echo/mlp
    clip: tight
objective:
  use: echo/gan
  loss: {use: hinge, margin: 2}
phases:
  adversarial: {steps: 4, turns: {discriminate: 0}, optimizers: {generator: {lr: fast}}}
trainer: {precision: fp8}
metrics:
- radius
- {use: radius, samples: 0}
"""
    assert problems(text, "seed=one", "trainer.batch=3") == [
        "tiny.yaml:1:1: unknown option 'sed' for the recipe; did you mean 'seed'?",
        "tiny.yaml:2:1: no data source is called 'echo/rng'; did you mean 'echo/ring'?",
        "tiny.yaml:4:30: unknown option 'hiden_dim' for generator 'echo/mlp'; did you mean 'hidden_dim'?",
        "tiny.yaml:4:44: ema must be less than 1.0 or a mapping, got 1.5",
        "tiny.yaml:4:66: no optimizer is called 'adma'; did you mean 'adam'?",
        "tiny.yaml:7:5: clip must be a number, got 'tight'",
        "tiny.yaml:10:22: unknown option 'margin' for loss 'gangen/hinge'",
        "tiny.yaml:12:35: times must be at least 1, got 0",
        "tiny.yaml:12:78: lr: must be a number or a mapping with a start, got 'fast'",
        "tiny.yaml:13:11: precision must be 'fp32', 'tf32', 'fp64', 'bf16' or 'fp16', got 'fp8'",
        "tiny.yaml:16:17: samples must be at least 1, got 0",
        "command line: seed=one: seed must be an integer, got 'one'",
        "command line: trainer.batch=3: unknown option 'batch' for the trainer; did you mean 'batch_size'?",
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "tiny.yaml: the recipe is empty"),
        ("# nothing\n", "tiny.yaml: the recipe is empty"),
        ("- a\n", "tiny.yaml: the recipe is not a mapping of keys to values"),
        ("a: b: c\n", "tiny.yaml:1:5: not valid YAML: mapping values are not allowed here"),
        ("\ta: 1\n", "tiny.yaml:1:1: not valid YAML: found character '\\t' that cannot start any token"),
        ("a: [1\n", "tiny.yaml:2:1: not valid YAML: expected ',' or ']', but got '<stream end>'"),
        ("a: 1\n---\nb: 2\n", "tiny.yaml:2:1: not valid YAML: but found another document"),
        ("a: *b\n", "tiny.yaml:1:4: not valid YAML: found undefined alias 'b'"),
        ("a: &b [*b]\n", "tiny.yaml:1:4: an alias stands inside of what it stands for"),
        ("a: !!python/name:os.system x\n", "tiny.yaml:1:4: the tag !!python/name:os.system does not belong here"),
        ("[1, 2]: 3\n", "tiny.yaml:1:1: a key must be a word or a number"),
        ("a: 1\nb: {c: 1, c: 2}\n", "tiny.yaml:2:11: 'c' is given twice; the first is in line 2"),
        (b"a: \xff\n", "tiny.yaml: is not UTF-8 text: byte 3 is 0xff"),
        ("a: \x07\n", "tiny.yaml:1:1: not valid YAML: unacceptable character #x0007: special characters are not"),
    ],
)
def test_what_is_no_recipe_is_refused(problems, text, message):
    (found,) = problems(text)
    assert found.startswith(message)


def test_files_that_cannot_be_read_are_refused(tmp_path, echo):
    with pytest.raises(RecipeError, match=r"nothing\.yaml: cannot be read: No such file or directory"):
        load_recipe(tmp_path / "nothing.yaml", registry=echo)
    with pytest.raises(RecipeError, match="cannot be read: Is a directory"):
        load_recipe(tmp_path, registry=echo)


def test_scalars_are_those_of_yaml_1_2(tmp_path):
    file = tmp_path / "scalars.yaml"
    file.write_text("a: [1e-3, 1.5E+2, .5, 3., +3, -7, 012, 0o17, 0x1F, .inf, -.INF, true, FALSE, ~, null, '']\n")
    values = [1e-3, 150.0, 0.5, 3.0, 3, -7, 12, 15, 31, math.inf, -math.inf, True, False, None, None, ""]
    assert RecipeSource.read(file).tree == {"a": values}
    file.write_text("a: [yes, no, on, off, 1_000, 2020-01-01, 1:30, '3', .nan]\nb:\n")
    tree = RecipeSource.read(file).tree
    assert tree["a"][:-1] == ["yes", "no", "on", "off", "1_000", "2020-01-01", "1:30", "3"]
    assert math.isnan(tree["a"][-1])
    assert tree["b"] is None


def test_what_is_dumped_reads_back(tmp_path):
    scalars = ["1e-3", 1e-3, 1e22, 5e-324, "yes", "", None, True, "~", "0o7", "é", "a: b", " x", math.inf]
    tree = {"a": scalars, "b": {"c": [], "d": {}}}
    file = tmp_path / "dump.yaml"
    file.write_text(dump(tree), encoding="utf-8")
    assert RecipeSource.read(file).tree == tree


def test_anchors_are_allowed(read):
    again = "discriminator: {use: echo/mlp, optimizer: *o}"
    text = TINY.replace(OPTIMIZER, "&o {lr: 1e-4}").replace(DISCRIMINATOR, again)
    recipe = read(text)
    assert recipe.players["discriminator"].optimizer.component == adam(lr=Schedule(1e-4))


def test_overrides(read):
    recipe = read(
        TINY,
        "seed=3",
        "data.modes=5",
        "players.discriminator.hidden_dim=9",
        "players.generator.optimizer.lr=2e-4",
        "trainer.batch_size=8",
        "metrics=[radius]",
        "metrics.0.samples=5",
        "phases.adversarial.turns.generate=3",
        "objective={use: echo/gan, loss: minimax}",
    )
    assert (recipe.seed, recipe.trainer.batch_size) == (3, 8)
    assert recipe.data.options["modes"] == 5
    assert recipe.players["discriminator"].component.options["hidden_dim"] == 9
    betas = Schedule(0.0), Schedule(0.9)
    assert recipe.players["generator"].optimizer.component == adam(lr=Schedule(2e-4), betas=betas)
    assert recipe.metrics == [Use("metrics", "echo/radius", {"samples": 5})]
    assert recipe.phases["adversarial"].turns["generate"] == TurnTimes(times=3)
    assert recipe.objective.options["loss"].name == "gangen/minimax"


def test_a_former_name_is_played_as_the_new_one_and_said_once(tmp_path, echo, install):
    install(
        "acme",
        """
        @hookimpl
        def gangen_losses(register):
            register("sharp", "gangen.losses:Hinge", was=("sharper",), since="1.2")
        """,
    )
    (tmp_path / "old.yaml").write_text(TINY.replace("loss: hinge", "loss: acme/sharper"))
    recipe = load_recipe(tmp_path / "old.yaml", registry=Registry.discover())
    assert recipe.objective.options["loss"].name == "acme/sharp"
    assert recipe.remarks == ["loss 'acme/sharp' is not called 'acme/sharper' since gangen-acme 1.2: give the new name"]


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("seed", "an override is written key.path=value"),
        ("=3", "an override is written key.path=value"),
        ("a..b=3", "an override is written key.path=value"),
        ("metrics=[", "not valid YAML: expected the node content, but found '<stream end>'"),
        ("data={use: ring, modes: 1, modes: 2}", "'modes' is given twice"),
        ("players.generator.hidden_dim.x=3", "players.generator.hidden_dim is 8 and has no 'x'"),
        ("players.generator.optimizer.betas.2=3", "players.generator.optimizer.betas has entries 0 to 1, and no '2'"),
        ("players.generator.optimizer.betas.x=3", "players.generator.optimizer.betas has entries 0 to 1, and no 'x'"),
        ("metrics.²=radius", "metrics has no entries, and no '²'"),
        ("phase.adversarial.steps=3", "unknown option 'phase' for the recipe; did you mean 'phases'?"),
        ("objective.loss.use=hing", "no loss is called 'hing'; did you mean 'hinge'?"),
        ("data.use=rng", "no data source is called 'rng'; did you mean 'ring'?"),
    ],
)
def test_overrides_that_are_wrong_say_so(problems, override, message):
    assert problems(TINY, "metrics=[]", override)[0] == f"command line: {override}: {message}"


def test_another_component_for_a_player_keeps_its_settings_and_says_what_goes(read, problems):
    override = "players.generator=echo/mlp"
    recipe = read(TINY, override, "objective=echo/gan")
    generator = recipe.players["generator"]
    assert generator.component.options == {"latent_dim": 4, "hidden_dim": 16}
    assert generator.optimizer.component == adam(betas=(Schedule(0.0), Schedule(0.9)))
    assert generator.ema == 0.99
    assert recipe.where("players", "generator", "ema") == "tiny.yaml:7:5"
    assert recipe.where("players", "generator", "use") == f"command line: {override}"
    assert recipe.remarks == [
        f"{override} leaves out the options of echo/mlp: hidden_dim, and keeps optimizer, ema",
        "objective=echo/gan leaves out the options of echo/gan: loss",
    ]
    assert read(TINY, "players.discriminator=echo/mlp").remarks == []
    (found,) = problems(TINY.replace("ema: 0.99", "ema: 2"), "players.generator=echo/mlp")
    assert found.startswith("tiny.yaml:7:5: ema must be less than 1")


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("players.generator.lr=1", "unknown option 'lr' for generator 'echo/mlp'; did you mean 'optimizer.lr'?"),
        ("players.generator.clp=1", "unknown option 'clp' for generator 'echo/mlp'; did you mean 'clip'?"),
        ("batch_size=1", "unknown option 'batch_size' for the recipe; did you mean 'trainer.batch_size'?"),
        ("evaluate=1", "unknown option 'evaluate' for the recipe; did you mean 'every.evaluate'?"),
    ],
)
def test_an_option_of_a_section_inside_is_hinted_at(problems, override, message):
    assert problems(TINY, override) == [f"command line: {override}: {message}"]


def test_settings_are_read_like_overrides():
    assert read_assignments(["temperature=0.5", "mode=yes"]) == {"temperature": 0.5, "mode": "yes"}
    with pytest.raises(RecipeError, match="command line: x: "):
        read_assignments(["x"])


def aliases(depth: int) -> str:
    """Nine to the power of ``depth`` values in a few lines."""
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{level}: &a{level} [{', '.join([f'*a{level - 1}'] * 9)}]" for level in range(1, depth)]
    return "\n".join(lines)


MANY = TINY.replace("players:", "players:" + "".join(f"\n  generator{number}: echo/mlp" for number in range(100)))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (aliases(12), ": a recipe has no more than 10,000 values"),
        ("- &a0 []\n" + "\n".join(f"- &a{i + 1} [*a{i}]" for i in range(200)), ": a recipe has no more than 50 levels"),
        ("a: " + "[" * 20_000, "tiny.yaml:1:53: a recipe has no more than 50 levels"),
        ("- " * 20_000, "tiny.yaml:1:101: a recipe has no more than 50 levels"),
        ("\n".join(f"k{i}: 1" for i in range(200_000)), "tiny.yaml: cannot be read: it is larger than 1,048,576"),
        ("seed: " + "1" * 100_000, f"tiny.yaml:1:7: '{'1' * 57}...' cannot be read as int"),
        ("seed: 0x" + "f" * 100_000, f"tiny.yaml:1:7: '0x{'f' * 55}...' cannot be read as int"),
        ('run: "\\ud800"', r"tiny.yaml:1:6: '\ud800' cannot be read as str"),
        ('"\\ud800": 1', "tiny.yaml:1:1: a key must be a word or a number"),
        ('run: "\\UFFFFFFFF"', "tiny.yaml:1:1: not valid YAML"),
        ("a: !<" + "x" * 10_000 + "> 1", "tiny.yaml:1:4: the tag xxxx"),
        (MANY, "2:1: a game has 100 players at most, got 102"),
    ],
)
def test_what_would_take_memory_or_minutes_is_refused_at_once(problems, text, message):
    found = problems(text)
    assert any(message in line for line in found)
    assert len(found) <= 21 and max(map(len, found)) < 1100


def test_twenty_problems_are_shown_and_the_others_counted(problems):
    found = problems(TINY + "".join(f"metric{number}: 1\n" for number in range(4000)))
    assert found[0] == "tiny.yaml:12:1: unknown option 'metric0' for the recipe; did you mean 'metrics'?"
    assert found[20:] == ["and 3,980 more"]


def test_a_recipe_that_is_no_file_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe.yaml")
    with pytest.raises(RecipeError, match=r"pipe\.yaml: cannot be read: it is no regular file"):
        load_recipe(tmp_path / "pipe.yaml")


NEEDS_KIND = "a player needs a 'kind' of generators, discriminators or encoders"
OPTIMIZER = "{lr: 1e-3, betas: [0, 0.9]}"
DISCRIMINATOR = "discriminator: echo/mlp"


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("data: echo/ring\n", "", "1:1: the recipe needs 'data'"),
        (DISCRIMINATOR, "critic: echo/mlp", f"8:3: {NEEDS_KIND}, since its name does not begin"),
        (DISCRIMINATOR, "critic: {use: echo/mlp, kind: losses}", f"8:27: {NEEDS_KIND}, got 'losses'"),
        (DISCRIMINATOR, "discriminator: 3", "8:3: discriminators are chosen by a name or a mapping with 'use', got 3"),
        ("{steps", "{optimizers: {genrator: sgd}, steps", "11:30: there is no player 'genrator'; did you mean 'gen"),
        ("{discriminate: 2, generate: {every: 2}}", "{}", "11:27: turns needs 1 or more entries, got 0"),
        ("{steps: 4, ", "{", "11:3: a phase needs 'steps'"),
        (OPTIMIZER, "{lr: -1}", "6:17: lr must be at least 0, got -1"),
        (OPTIMIZER, "{betas: [0, {start: 0.9, end: 1}]}", "6:28: betas.1 must be less than 1, got a mapping"),
        ("ema: 0.99", "ema: {half_live: 500}", "7:11: unknown option 'half_live' for a moving average; did you mean"),
        (OPTIMIZER, "{momentum: 0.9}", "6:17: unknown option 'momentum' for optimizer 'gangen/adam'"),
        (OPTIMIZER, "{use: sgd, betas: [0.1, 0.2]}", "6:27: unknown option 'betas' for optimizer 'gangen/sgd'"),
        ("data: echo/ring", "data: echo/ring\nevery: 3", "2:1: every must be a mapping, got 3"),
        ("  adversarial:", "  '':", "11:3: '' cannot be the name of a phase: files are called by it"),
        (DISCRIMINATOR, "discriminator/../x: echo/mlp", "8:3: 'discriminator/../x' cannot be the name of a player"),
        (DISCRIMINATOR, "discriminator state.json: echo/mlp", "8:3: 'discriminator state.json' cannot be the name of"),
        (DISCRIMINATOR, '"discriminator\\0": echo/mlp', r"8:3: 'discriminator\x00' cannot be the name of a player"),
        (DISCRIMINATOR, "discriminator.json: echo/mlp", "8:3: 'discriminator.json' cannot be the name of a player"),
        (DISCRIMINATOR, f"discriminator{'x' * 38}: echo/mlp", f"8:3: 'discriminator{'x' * 38}' cannot be the name"),
        (DISCRIMINATOR, "Generator: {use: echo/mlp, kind: generators}", "8:3: 'Generator' and 'generator' are one"),
        ("  adversarial:", "  ../../escaped:", "11:3: '../../escaped' cannot be the name of a phase: files are called"),
        ("  adversarial:", '  "\\e[31m":', r"11:3: '\x1b[31m' cannot be the name of a phase: files are called by it"),
        ("  adversarial:", '  "warm\\u202eup":', r"11:3: 'warm\u202eup' cannot be the name of a phase"),
        ("ema: 0.99", "clip: .inf", "7:5: clip must be a finite number, got inf"),
        ("data: echo/ring", "data: echo/ring\nrun:", "2:1: run must be text, got null"),
    ],
)
def test_the_structure_is_checked(problems, old, new, message):
    assert old in TINY
    assert problems(TINY.replace(old, new, 1))[0].startswith(f"tiny.yaml:{message}")


@pytest.mark.parametrize("name", ["warm_up-2", "2nd", "imitación", "वार्म", "第一"])
def test_names_are_of_any_script(read, name):
    assert list(read(TINY.replace("adversarial:", f"{name}:", 1)).phases) == [name]


def with_players(players: str) -> str:
    return TINY.replace("objective:", f"{players}\nobjective:", 1)


def test_a_copy_is_of_the_component_of_its_original(read):
    recipe = read(with_players("  earlier: {copy_of: generator}\n  pupil: {init: generator, clip: 1.0}"))
    for name in ("earlier", "pupil"):
        assert recipe.players[name].component == recipe.players["generator"].component
        assert recipe.players[name].optimizer.component == adam()
    assert recipe.players["earlier"].copy_of == CopyOf(player="generator")
    assert read(recipe.to_yaml()) == recipe


def test_what_is_wrong_with_an_original_is_not_said_of_its_copies_too(problems):
    text = with_players("  earlier: {copy_of: generator}\n  pupil: {init: generator, hidden_dim: no}")
    found = problems(text, "players.generator.hidden_dim=-1", "players.generator.latent_dm=2")
    assert sorted(found) == [
        "command line: players.generator.hidden_dim=-1: hidden_dim must be at least 1, got -1",
        "command line: players.generator.latent_dm=2: unknown option 'latent_dm' for generator 'echo/mlp'; "
        "did you mean 'latent_dim'?",
        "tiny.yaml:10:28: hidden_dim must be an integer, got 'no'",
    ]


@pytest.mark.parametrize(
    ("player", "message"),
    [
        ("{copy_of: generatr}", "there is no other player 'generatr'; did you mean 'generator'?"),
        ("{copy_of: {player: generator, every: 0}}", "every must be at least 1, got 0"),
        ("{init: pupil}", "there is no other player 'pupil'"),
        ("{init: generator, copy_of: generator}", "a copy begins as what it is a copy of; leave out init or copy_of"),
        ("{copy_of: generator, ema: 0.9}", "ema is for players that learn, and this one does not"),
        ("{use: echo/mlp, kind: generators, frozen: true, clip: 1}", "clip is for players that learn"),
    ],
)
def test_copies_and_frozen_players_that_cannot_be_are_refused(player, message, problems):
    [problem] = problems(with_players(f"  pupil: {player}"))
    assert problem.startswith("tiny.yaml:9:")
    assert message in problem


@pytest.mark.parametrize("half_life", ["{start: 100, end: -1}", "-1"])
def test_a_half_life_is_not_less_than_nothing(half_life, problems):
    text = TINY.replace("ema: 0.99", f"ema: {{half_life: {half_life}}}")
    assert "half_life must be at least 0, got " in "".join(problems(text))


def test_a_copy_of_a_copy_is_refused(problems):
    assert problems(with_players("  first: {copy_of: generator}\n  second: {copy_of: first}")) == [
        "tiny.yaml:10:12: 'first' is a copy itself: name the player that it is a copy of"
    ]


def test_empty_players_and_phases_are_refused(problems):
    text = "data: echo/ring\nobjective: echo/gan\nplayers: {}\nphases: {}\n"
    assert problems(text) == [
        "tiny.yaml:3:1: players needs 1 or more entries, got 0",
        "tiny.yaml:4:1: phases needs 1 or more entries, got 0",
    ]


def test_the_kind_of_a_player_follows_from_its_name_or_is_given(read):
    more = "discriminator_b: echo/mlp\n  critic: {use: echo/mlp, kind: discriminators}"
    text = TINY.replace(DISCRIMINATOR, more)
    kinds = {name: player.component.kind for name, player in read(text).players.items()}
    assert kinds == {"generator": "generators", "discriminator_b": "discriminators", "critic": "discriminators"}


def test_errors_that_are_found_later_have_a_place_too(read):
    recipe = read(TINY, "seed=3")
    assert recipe.where("players", "generator", "hidden_dim") == "tiny.yaml:5:5"
    assert recipe.where("players", "generator", "latent_dim") == "tiny.yaml:3:3"
    assert recipe.where("seed") == "command line: seed=3"
    with pytest.raises(RecipeError, match=r"^tiny.yaml:2:1: nobody plays$"):
        recipe.fail(("players",), "nobody plays")


def test_groups_of_parameters_have_options_of_their_own(read, problems):
    groups = '{weight_decay: 1, groups: [{match: "*.bias", lr: {start: 1, end: 0}, weight_decay: 0}]}'
    recipe = read(TINY.replace(OPTIMIZER, groups))
    optimizer = recipe.players["generator"].optimizer
    assert optimizer.component == adam(weight_decay=1.0)
    assert optimizer.overrides == [("*.bias", {"lr": Schedule(1, 0), "weight_decay": 0.0})]
    assert read(recipe.to_yaml()).players == recipe.players
    wrong = '{groups: [{match: "*", wieght_decay: 0, eps: 0}]}'
    assert problems(TINY.replace(OPTIMIZER, wrong)) == [
        "tiny.yaml:6:39: unknown option 'wieght_decay' for optimizer 'gangen/adam'; did you mean 'weight_decay'?",
        "tiny.yaml:6:56: eps must be more than 0.0, got 0",
    ]
    (found,) = problems(TINY.replace(OPTIMIZER, '{eps: 0, groups: [{match: "*", lr: 1}]}'))
    assert found == "tiny.yaml:6:17: eps must be more than 0.0, got 0"
    (found,) = problems(TINY.replace(OPTIMIZER, '{groups: [{match: "*", use: sgd}]}'))
    assert found == "tiny.yaml:6:39: unknown option 'use' for a group of parameters"
    (found,) = problems(TINY.replace(OPTIMIZER, "{groups: [{weight_decay: 0}]}"))
    assert found == "tiny.yaml:6:26: a group of parameters needs 'match'"


def test_optimizers_of_runs_before_they_were_components_are_read(read):
    former = "{use: adam, lr: 0.002, betas: [0.9, 0.999], eps: 1.0e-08, weight_decay: 0.0, momentum: 0.0}"
    recipe = read(TINY.replace(OPTIMIZER, former))
    assert recipe.players["generator"].optimizer.component == adam(lr=Schedule(2e-3))
    former = "{use: sgd, lr: 0.1, betas: [0.9, 0.999], eps: 1.0e-08, weight_decay: 0.0, momentum: 0.5}"
    options = read(TINY.replace(OPTIMIZER, former)).players["generator"].optimizer.component.options
    assert options == {"lr": Schedule(0.1), "momentum": 0.5, "weight_decay": 0.0}


def test_local_code_is_loaded_before_its_components_are_looked_up(read, tmp_path):
    (tmp_path / "mine.py").write_text(
        "from gangen import hookimpl\n\n@hookimpl\ndef gangen_metrics(register):\n"
        "    register('own', f'{__name__}:Own')\n\nclass Own:\n    def __init__(self, *, n: int = 2): ...\n"
    )
    recipe = read(TINY + "code: mine.py\nmetrics: [local/own]\n")
    assert recipe.code == [tmp_path / "mine.py"]
    assert recipe.metrics == [Use("metrics", "local/own", {"n": 2})]


def test_code_is_relative_to_the_recipe_and_on_the_command_line_to_where_one_stands(tmp_path, monkeypatch, echo):
    for folder in ("recipes", "here"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / f"{folder}_code.py").touch()
    recipe = tmp_path / "recipes" / "tiny.yaml"
    recipe.write_text(TINY + "code: [recipes_code.py]\n")
    monkeypatch.chdir(tmp_path / "here")
    assert load_recipe(recipe, [], echo).code == [tmp_path / "recipes" / "recipes_code.py"]
    for override in ("code=here_code.py", "code=[here_code.py]", "code.0=here_code.py"):
        assert load_recipe(recipe, [override], echo).code == [tmp_path / "here" / "here_code.py"]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("gangen-acme>=1.2", "gangen-acme>=1.2 is not installed; install it: pip install 'gangen-acme>=1.2'"),
        ("gangen-echo>=1.2", "gangen-echo 0.3.1 is installed, and gangen-echo>=1.2 is required; install it: pip"),
        ("echo >> 1", "'echo >> 1' is no requirement: write the name of a package and its versions"),
        ("echo @ https://somewhere/echo.whl", "says more than a package and its versions"),
    ],
)
def test_what_is_required_and_not_there_is_all_that_is_told(problems, text, why):
    (found,) = problems(f"{TINY}requires: ['Gangen_Echo~=0.3', {text!r}]\nmetrics: [acme/nothing]\n")
    assert found.startswith("tiny.yaml:12:32: ") and why in found


def test_local_code_that_fails_has_a_place(problems, tmp_path):
    (tmp_path / "mine.py").write_text("raise ValueError('no')")
    (found,) = problems(TINY + "code: [mine.py]\nmetrics: [local/own]\n")
    assert found == f"tiny.yaml:12:8: {tmp_path}/mine.py:1: cannot be loaded: ValueError: no"


def test_the_difference_of_two_recipes_names_paths_and_values(read):
    old = read(TINY).to_dict()
    new = read(TINY, "players.generator.hidden_dim=16", "metrics=[radius]").to_dict()
    assert difference(old, new) == [
        "players.generator.hidden_dim: 8 -> 16",
        "metrics: [] -> absent",
        "metrics.0.use: absent -> echo/radius",
        "metrics.0.samples: absent -> 64",
    ]
    assert difference(old, old) == []


def test_options_alone_are_those_of_what_is_used_by_default(read):
    recipe = read(TINY, "guard.steps=7", "sampler.player=generator")
    assert recipe.guard.name == "gangen/guard" and recipe.guard.options["steps"] == 7
    assert recipe.sampler.name == "gangen/player" and recipe.sampler.options == {"player": "generator"}
