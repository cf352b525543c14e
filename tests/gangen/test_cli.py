import json
import os
import subprocess
import sys
import textwrap
from pathlib import Path
from types import ModuleType

import pytest

from gangen import UsageError, cli, hookimpl, saved_model, testing

FAST = [["--help"], ["--version"], [], ["plugins", "--json"], ["recipes"], ["show", "hinge"], ["schema"]]
FAST += [["runs", "."], ["recipe.yaml"]]

# A whole plugin in a file: its networks are never built here.
CODE = """
from gangen import hookimpl

@hookimpl
def gangen_generators(register):
    register("net", f"{__name__}:Net", summary="a network")

@hookimpl
def gangen_data(register):
    register("rows", f"{__name__}:Net")

@hookimpl
def gangen_objectives(register):
    register("game", f"{__name__}:Net")

class Net:
    def __init__(self, spec, *, width: int = 3): ...
"""
RECIPE = """\
code: mine.py
data: local/rows
players: {generator: local/net}
objective: local/game
phases: {only: {steps: 1, turns: {play: 1}}}
"""


@pytest.fixture
def recipe(tmp_path, monkeypatch) -> Path:
    """``recipe.yaml`` in the current folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("RANK", raising=False)
    Path("mine.py").write_text(CODE)
    Path("recipe.yaml").write_text(RECIPE)
    return Path("recipe.yaml")


@pytest.fixture
def played(monkeypatch) -> list:
    """The recipes that reached training, which does not happen."""
    from gangen.training import run

    played = []
    monkeypatch.setattr(run, "train", lambda recipe, registry: played.append(recipe))
    return played


def errors(capsys) -> str:
    """What stood on stderr, without the line that says that local code is run."""
    lines = capsys.readouterr().err.splitlines()
    return "\n".join(line for line in lines if "running code" not in line)


@pytest.fixture
def strange_run(recipe) -> Path:
    """``runs/strange``, with a checkpoint and a recipe whose code leaves ``was_run`` where it is run."""
    run = Path("runs/strange")
    for folder in ("checkpoints/step-00000001", "model/code"):
        (run / folder).mkdir(parents=True)
    (run / "checkpoints/latest").write_text("step-00000001\n")
    (run / "evil.py").write_text(f"{CODE}\nimport pathlib; pathlib.Path({str(Path('was_run').resolve())!r}).touch()\n")
    (run / "model/code/evil.py").write_text((run / "evil.py").read_text())
    (run / "recipe.yaml").write_text(RECIPE.replace("mine.py", "evil.py"))
    return run


@pytest.mark.parametrize(
    "words",
    [
        ["eval", "runs/strange"],
        ["report", "runs/strange"],
        ["sample", "--run", "runs/strange"],
        ["check", "--no-code", "runs/strange/recipe.yaml"],
        ["data", "runs/strange/recipe.yaml", "--no-code"],
        ["check", "recipe.yaml", "run=runs/strange"],
        ["check", "image_gan", "run=runs/strange"],
        ["recipe.yaml", "run=runs/strange"],
    ],
)
def test_code_that_a_strangers_run_names_is_run_only_where_that_is_asked_for(strange_run, words):
    cli.main(words)
    assert not Path("was_run").exists()


def test_an_evaluation_says_which_code_it_would_need_and_runs_that_alone(strange_run, capsys):
    assert cli.main(["eval", "runs/strange"]) == 1
    said = capsys.readouterr().err
    assert "no data source is called 'local/rows'; what is local comes from a file that code: [FILE] names" in said
    assert "which is not run unasked; read it, and if you trust it add --code runs/strange/model/code/evil.py" in said
    assert cli.main(["eval", "runs/strange", "--code", "mine.py"]) == 2
    assert "names no metrics" in capsys.readouterr().err and not Path("was_run").exists()


@pytest.mark.parametrize("arguments", FAST, ids=" ".join)
def test_fast_commands_do_not_import_torch(arguments, recipe):
    recipe.write_text(RECIPE + "trainer: {batch: 3}\n")
    code = f"""
        import sys
        from gangen.cli import main
        code = main({arguments!r})
        print("torch" in sys.modules, code)
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == f"False {2 if arguments == ['recipe.yaml'] else 0}"


@pytest.mark.parametrize("words", ["recipe.yaml", "train recipe.yaml", "--debug recipe.yaml", "./recipe.yaml --debug"])
def test_a_recipe_as_first_word_means_train(recipe, played, words):
    assert cli.main([*words.split(), "seed=3"]) == 0
    assert played[0].seed == 3


def test_a_recipe_of_a_plugin_is_trained_by_its_name(recipe, played, monkeypatch):
    from gangen.components.registry import Registry

    monkeypatch.setattr(Registry, "recipes", lambda self: {"acme/tiny": recipe})
    assert cli.main(["acme/tiny"]) == 0
    assert played[0].source == recipe


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["trian", "recipe.yaml"], "'trian' is neither a command nor a recipe; did you mean 'train'?"),
        (["nothing.yaml"], "there is no recipe file nothing.yaml"),
        (["train"], "the following arguments are required: recipe"),
        (["plugins", "--fast"], "unrecognized arguments: --fast\nsee: gangen plugins --help"),
        (
            ["sample", "--top_k", "5"],
            "unrecognized arguments: --top_k\na setting of sampling is said as --set NAME=VALUE",
        ),
        (["--no-plugin", "acme", "plugins"], "no plugin 'acme' is installed"),
        (["show", "hing"], "nothing is called 'hing'; did you mean 'hinge'?"),
        (["sample", "-n", "0"], "-n must be at least 1, got 0"),
        (["sample", "-n", "some"], "argument -n: invalid int value: 'some'"),
        (["sample", "--set", "top_k=1", "--set", "top_k=2"], "command line: top_k=2: 'top_k' is given twice"),
        (["sample", "--set", "temperature"], "command line: temperature: an override is written key.path=value"),
        (["recipe.yaml", "sed=1"], "command line: sed=1: unknown option 'sed' for the recipe; did you mean 'seed'?"),
        (["recipe.yaml", "sed=1", "seed=a"], "2 things are wrong\ncommand line: sed=1: unknown option"),
    ],
)
def test_wrong_usage_is_one_block_without_a_traceback(recipe, capsys, words, message):
    assert cli.main(words) == 2
    error = errors(capsys)
    assert error.startswith(f"gangen: error: {message}")
    assert "Traceback" not in error


def test_unexpected_errors_name_themselves_and_the_way_to_the_traceback(recipe, monkeypatch, capsys):
    from gangen.training import run

    def fail(recipe, registry):
        raise ZeroDivisionError("by nothing")

    monkeypatch.setattr(run, "train", fail)
    assert cli.main(["recipe.yaml"]) == 1
    said = errors(capsys).splitlines()
    assert said[0] == "gangen: error: ZeroDivisionError: by nothing"
    assert said[1].endswith(': raise ZeroDivisionError("by nothing")')
    assert said[2:] == ["run again with --debug for the traceback"]
    assert cli.main(["recipe.yaml", "--debug"]) == 1
    assert "in fail\n" in errors(capsys)


def test_an_interrupt_ends_quietly(recipe, monkeypatch, capsys):
    from gangen.training import run

    def interrupt(recipe, registry):
        raise KeyboardInterrupt

    monkeypatch.setattr(run, "train", interrupt)
    assert cli.main(["recipe.yaml"]) == 130
    assert errors(capsys) == ""


def test_only_the_main_process_prints_an_error(recipe, monkeypatch, capsys):
    monkeypatch.setenv("RANK", "1")
    assert cli.main(["recipe.yaml", "sed=1"]) == 2
    assert "unknown option 'sed'" in capsys.readouterr().err  # there is one process alone
    monkeypatch.setenv("WORLD_SIZE", "2")
    assert cli.main(["check", "recipe.yaml", "sed=1"]) == 2
    assert "unknown option 'sed'" in capsys.readouterr().err  # which nobody plays together
    assert cli.main(["recipe.yaml", "sed=1"]) == 2
    assert capsys.readouterr().err == ""


def test_check_prints_what_it_found(recipe, monkeypatch, capsys):
    from gangen.training import assemble

    monkeypatch.setattr(assemble, "check", lambda recipe, registry: ["data: rows", "player: net"])
    assert cli.main(["check", "recipe.yaml"]) == 0
    assert (
        capsys.readouterr().out
        == "data: rows\nplayer: net\nrecipe.yaml was built; with --play, all of it is tried once\n"
    )


class Model:
    """Stands in for a trained model: samples say how they were asked for."""

    takes, takes_files = "words", False

    def __init__(self, made=lambda text: text):
        self.codec, self.made = self, made

    def stream(self, prompt, n, *, seed, verb, **settings):
        assert verb == "sample"
        return iter([self.made(f"{prompt} {seed} {settings}")] * n)

    def labels_of(self, prompt, n):
        return [prompt and prompt.upper()] * n

    def write(self, samples, path):
        if path.suffix in (".png", ".json"):
            raise UsageError(f"cannot write texts to {path}")
        path.write_text("\n".join(samples))


def test_samples_are_printed_or_written(recipe, monkeypatch, capsys):

    monkeypatch.setattr(saved_model, "load", lambda run, registry, code, device: Model())
    words = ["sample", "hymn", "-n", "2", "--seed", "3", "--set", "temperature=0.5", "--set", "top_k=3"]
    assert cli.main(words) == 0
    expected = "hymn 3 {'temperature': 0.5, 'top_k': 3}\n" * 2
    assert capsys.readouterr().out == expected
    assert cli.main([*words, "-o", "samples.txt"]) == 0
    assert Path("samples.txt").read_text() == expected[:-1]
    assert cli.main([*words, "-o", "nowhere/samples.txt"]) == 2
    assert errors(capsys) == "gangen: error: cannot write nowhere/samples.txt: name a file in a folder that exists"


def test_the_name_of_a_file_is_no_prompt_for_a_model_that_takes_none(recipe, monkeypatch, capsys):
    monkeypatch.setattr(saved_model, "load", lambda run, registry, code, device: Model())
    Path("cat.png").write_bytes(b"")
    assert cli.main(["sample", "cat.png"]) == 2
    assert errors(capsys) == (
        "gangen: error: cat.png is a file, of which this model would see the name alone: it takes words"
    )
    assert cli.main(["sample", "dog.png", "x" * 10_000]) == 0  # no files
    monkeypatch.setattr(Model, "takes_files", True)
    assert cli.main(["sample", "cat.png"]) == 0


def test_lines_of_json_say_what_each_sample_was_made_of(recipe, monkeypatch, capsys):
    monkeypatch.setattr(saved_model, "load", lambda run, registry, code, device: Model())
    words = ["sample", "hymn", "-n", "2", "--json"]
    assert cli.main([*words, "--seed", "3"]) == 0
    lines = capsys.readouterr().out
    assert [json.loads(line) for line in lines.splitlines()] == [
        {"prompt": "hymn", "label": "HYMN", "seed": 3, "number": number, "sample": "hymn 3 {}"} for number in (0, 1)
    ]
    assert cli.main([*words, "--seed", "3", "-o", "samples.jsonl"]) == 0
    assert Path("samples.jsonl").read_text() == lines
    capsys.readouterr()
    assert cli.main(words) == 0  # without a seed there is one that gives them again
    again = json.loads(capsys.readouterr().out.splitlines()[0])
    assert again["sample"] == f"hymn {again['seed']} {{}}"
    assert cli.main([*words, "-o", "samples.json"]) == 2
    assert "cannot write lines of JSON to samples.json: use samples.jsonl" in errors(capsys)
    assert cli.main([*words[:-1], "-o", "samples.json"]) == 2
    assert "cannot write texts to samples.json, or --json -o samples.jsonl" in errors(capsys)


@pytest.fixture
def drawn(monkeypatch):
    """The numbers of the samples that a model has drawn by now, which it draws one by one."""
    numbers = []

    class Slow(Model):
        def stream(self, prompt, n, **options):
            for number in range(n):
                numbers.append(number)
                yield str(number)

    monkeypatch.setattr(saved_model, "load", lambda run, registry, code, device: Slow())
    return numbers


def test_samples_are_printed_as_they_are_drawn(recipe, drawn, monkeypatch):
    printed = []
    monkeypatch.setattr("sys.stdout.write", lambda line: printed.append((line, len(drawn))))
    assert cli.main(["sample", "-n", "3"]) == 0
    assert printed == [("0\n", 1), ("1\n", 2), ("2\n", 3)]


def test_a_suffix_that_the_codec_does_not_write_is_refused_before_all_are_drawn(recipe, drawn, capsys):
    Path("kept.png").write_text("kept")
    assert cli.main(["sample", "-n", "1000", "-o", "kept.png"]) == 2
    assert errors(capsys) == "gangen: error: cannot write texts to kept.png"
    assert drawn == [0] and Path("kept.png").read_text() == "kept"


def test_interpolations_are_printed_or_written_in_rows(recipe, monkeypatch, capsys):

    asked = []

    class Between(Model):
        def interpolate(self, prompt, n, *, rows, seed, **settings):
            asked.append((prompt, n, rows, seed, settings))
            return ["step"] * (rows * n)

        def write(self, samples, path, columns=1):
            path.write_text(f"{len(samples)} in rows of {columns}")

    monkeypatch.setattr(saved_model, "load", lambda run, registry, code, device: Between())
    words = ["sample", "hymn", "--interpolate", "-n", "6", "--rows", "2", "--seed", "3", "--set", "bend=0.5"]
    assert cli.main([*words, "-o", "walk.txt"]) == 0
    assert Path("walk.txt").read_text() == "12 in rows of 6"
    assert capsys.readouterr().out == "walk.txt\n"
    assert cli.main(["sample", "--interpolate"]) == 0
    assert capsys.readouterr().out == "step\n" * 32
    assert asked == [("hymn", 6, 2, 3, {"bend": 0.5}), (None, 8, 4, None, {})]
    assert cli.main(["sample", "hymn", "psalm", "--interpolate"]) == 2
    assert "--interpolate takes one prompt, got 2" in errors(capsys)


def test_a_sample_is_one_line_and_does_not_steer_the_terminal(recipe, monkeypatch, capsys):
    monkeypatch.setattr(
        saved_model, "load", lambda run, registry, code, device: Model(made=lambda text: "one\r\ntwo\tb\x1b[2J\x9b")
    )
    assert cli.main(["sample", "-n", "2"]) == 0
    assert capsys.readouterr().out == "one two\tb\x1b[2J\x9b\n" * 2
    monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
    assert cli.main(["sample", "-n", "2"]) == 0
    assert capsys.readouterr().out == "one two\tb\\x1b[2J\\x9b\n" * 2


@pytest.mark.parametrize("encoding", ["cp1252", "ascii"])
def test_what_an_encoding_cannot_hold_is_escaped(recipe, encoding):
    code = "from gangen.cli import main; main(['recipes']); print('\u6625'); main(['\u6625'])"
    environment = os.environ | {"PYTHONIOENCODING": encoding}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True)
    assert done.stdout.splitlines()[-1] == b"\\u6625"
    assert b"'\\u6625' is neither a command nor a recipe" in done.stderr


def test_samples_that_are_not_text_need_a_file(recipe, monkeypatch, capsys):

    monkeypatch.setattr(saved_model, "load", lambda run, registry, code, device: Model(made=lambda text: object()))
    assert cli.main(["sample"]) == 2
    assert "-o FILE" in errors(capsys)


def test_plugins_are_listed_with_the_broken_ones(install, capsys):
    install("acme", "@hookimpl\ndef gangen_metrics(register): register('speed', 'm:A'); register('size', 'm:A')")
    install("worse", "raise ValueError('no licence')")
    assert cli.main(["plugins"]) == 0
    lines = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]
    assert "acme gangen-acme 1.2 metrics: speed, size" in lines
    assert lines[-2:] == ["kept out:", "worse: ValueError: no licence"]
    assert cli.main(["plugins", "--no-plugin", "worse"]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == "left out by --no-plugin: worse"
    assert cli.main(["plugins", "--json"]) == 0
    listed = json.loads(capsys.readouterr().out)
    assert listed["kept_out"] == {"worse": "ValueError: no licence"}
    metrics = [{"kind": "metric", "name": f"acme/{name}", "summary": ""} for name in ("speed", "size")]
    acme = {"name": "acme", "distribution": "gangen-acme", "version": "1.2", "components": metrics, "recipes": []}
    assert acme in listed["plugins"]


def test_plugins_are_listed_by_name_and_by_kind(install, capsys):
    install("acme", "@hookimpl\ndef gangen_metrics(register): register('speed', 'm:A')")
    assert cli.main(["plugins", "acme", "text", "metrics", "losses"]) == 0
    lines = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]
    assert len(lines) == 2 and lines[0].startswith("text gangen") and "metrics: nll, " in lines[0]
    assert lines[1] == "acme gangen-acme 1.2 metrics: speed"
    assert cli.main(["plugins", "acme", "losses"]) == 0
    assert capsys.readouterr().out == "nothing\n"
    assert cli.main(["plugins", "losses", "--json"]) == 0
    [plugin] = json.loads(capsys.readouterr().out)["plugins"]
    assert {component["kind"] for component in plugin["components"]} == {"loss"} and plugin["recipes"] == []
    assert cli.main(["plugins", "loses"]) == 2
    assert "'loses' is neither a plugin nor a kind of components; did you mean 'losses'?" in errors(capsys)


def test_of_a_plugin_that_was_kept_out_the_reason_is_told(install, capsys):
    install("worse", "raise ValueError('no licence')")
    assert cli.main(["plugins", "worse"]) == 0
    assert capsys.readouterr().out.splitlines() == ["nothing", "", "kept out:", "  worse: ValueError: no licence"]
    assert cli.main(["plugins", "worse", "--no-plugin", "worse"]) == 0
    assert capsys.readouterr().out.splitlines() == ["nothing", "", "left out by --no-plugin: worse"]


def test_show_lists_options_with_types_and_defaults(echo, capsys):
    assert cli.main(["show", "mlp"]) == 0
    lines = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]
    assert lines[:2] == ["echo/mlp: generator, from gangen-echo 0.3.1", "a multilayer perceptron from noise to points"]
    assert "latent_dim integer >= 1 4" in lines
    assert "echo/mlp: discriminator, from gangen-echo 0.3.1" in lines
    assert cli.main(["show", "echo/gan"]) == 0
    assert "loss loss non_saturating gangen plugins losses lists them" in " ".join(capsys.readouterr().out.split())


@pytest.mark.parametrize("name", ["sharper", "acme/sharper"])
def test_show_finds_what_had_another_name_before(install, capsys, name):
    text = 'register("sharp", "gangen.losses:Hinge", was=("sharper",), since="1.2")'
    install("acme", f"@hookimpl\ndef gangen_losses(register): {text}")
    assert cli.main(["show", name]) == 0
    assert capsys.readouterr().out.startswith("acme/sharp: loss, from gangen-acme 1.2")


def test_show_says_what_options_are_and_how_samples_are_set(echo, capsys):
    assert cli.main(["show", "adam"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert (
        lines[lines.index(next(it for it in lines if it.startswith("  lr "))) + 1] == "      lr is the size of a step"
    )
    assert cli.main(["show", "echo/mlp"]) == 0
    sampling = capsys.readouterr().out.split("  sampling")[1]
    assert "scale number 1.0" in " ".join(sampling.split())
    # What its method says of a setting goes before what its class says of an option of the same name.
    assert cli.main(["show", "image/dcgan"]) == 0
    sampling = " ".join(capsys.readouterr().out.split("  sampling")[1].split())
    assert "truncation number > 0 and <= 1 1.0" in sampling and "latent are latents to start from" in sampling


@pytest.mark.parametrize(
    ("section", "key"),
    [
        ("trainer", "batch_size integer >= 1 64"),
        ("players", "use component, its options beside it required"),
        ("players", "clip number > 0 or null null"),
        ("phases", "steps integer >= 1 required"),
        ("turns", "every integer >= 1 1"),
        ("every", "evaluate integer >= 0 0"),
        ("recipe", "trainer the trainer {}"),
    ],
)
def test_sections_of_recipes_are_shown_with_their_keys(capsys, section, key):
    assert cli.main(["show", section]) == 0
    assert key in " ".join(capsys.readouterr().out.split())


def test_what_is_nothing_may_have_been_a_section(capsys):
    assert cli.main(["show", "traine"]) == 2
    assert "did you mean 'trainer'?" in capsys.readouterr().err


def test_what_an_override_leaves_out_is_said(recipe, played, capsys):
    recipe.write_text(RECIPE.replace("generator: local/net", "generator: {use: local/net, width: 4, clip: 1.0}"))
    assert cli.main(["recipe.yaml", "players.generator=local/net"]) == 0
    assert played[0].players["generator"].clip == 1.0
    said = "gangen: players.generator=local/net leaves out the options of local/net: width, and keeps clip"
    assert errors(capsys) == said


def test_recipes_are_listed_with_their_first_line(echo, capsys):
    assert cli.main(["recipes"]) == 0
    assert "echo/tiny gangen echo/tiny: points on a ring" in " ".join(capsys.readouterr().out.split())


def test_the_schema_knows_components_and_their_options(echo, capsys):
    assert cli.main(["schema"]) == 0
    schema = json.loads(capsys.readouterr().out)
    assert list(schema["properties"])[:2] == ["run", "seed"]
    assert schema["required"] == ["data", "players", "objective", "phases"]
    assert schema["properties"]["data"] == {"$ref": "#/$defs/data", "description": "data says what is learned from"}
    names, mapping = schema["$defs"]["player_generators"]["anyOf"]
    assert {"echo/mlp"} <= set(names["enum"])
    (options,) = [branch["then"] for branch in mapping["allOf"] if "echo/mlp" in str(branch["if"])]
    assert options["properties"]["hidden_dim"] == {"type": "integer", "minimum": 1, "default": 16}
    assert {"use", "kind", "optimizer", "ema", "clip"} <= set(options["properties"])
    assert options["properties"]["clip"]["description"] == "clip is the largest norm of a gradient"
    _, mapping = schema["$defs"]["player_optimizer"]["anyOf"]
    (adam,) = [branch for branch in mapping["allOf"] if 'gangen/adam"' in json.dumps(branch["if"])]
    assert adam["then"]["properties"]["lr"]["description"] == "lr is the size of a step"
    assert "required" not in adam["if"] or not adam["if"]["required"]  # what is meant where nothing is chosen
    _, mapping = schema["$defs"]["objectives"]["anyOf"]
    (game,) = [branch["then"] for branch in mapping["allOf"] if "echo/gan" in str(branch["if"])]
    assert game["properties"]["loss"] == {"default": "non_saturating", "$ref": "#/$defs/losses"}


def test_every_reference_of_the_schema_is_defined(echo, capsys):
    assert cli.main(["schema"]) == 0
    text = capsys.readouterr().out
    schema = json.loads(text)
    references = {line.split('"')[3] for line in text.splitlines() if '"$ref"' in line}
    assert references and all(reference.removeprefix("#/$defs/") in schema["$defs"] for reference in references)


def test_python_dash_m_is_the_same_command(recipe):
    done = subprocess.run([sys.executable, "-m", "gangen", "trian"], capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stderr.startswith("gangen: error: 'trian' is neither a command nor a recipe; did you mean 'train'?")


def test_every_option_of_what_is_shipped_has_a_sentence():
    from gangen.components.registry import Registry
    from gangen.hookspecs import KINDS
    from gangen.reference.sections import SECTIONS

    ours = [it for kind in KINDS for it in Registry.discover().all(kind) if it.distribution == "gangen"]
    silent = [f"{it} {option.name}" for it in ours for option in it.options.parameters if not option.about]
    silent += [f"{key} {it.name}" for key, section in SECTIONS.items() for it in section.parameters() if not it.about]
    assert silent == []


def test_a_page_says_which_component_cannot_be_loaded_and_has_the_others(install, capsys):
    install("acme", "@hookimpl\ndef gangen_losses(register): register('lost', 'gangen_acme.nowhere:Lost')")
    assert cli.main(["docs", "reference/losses"]) == 0
    page = capsys.readouterr().out
    lost = page.partition("## acme/lost\n")[2].partition("\n## ")[0]
    assert "Its options are not known here: cannot load 'gangen_acme.nowhere:Lost': ModuleNotFoundError" in lost
    assert "## gangen/hinge\n" in page


def test_the_documentation_can_be_read_where_there_is_only_the_package(capsys):
    assert cli.main(["docs"]) == 0
    listed = dict(line.split(maxsplit=1) for line in capsys.readouterr().out.splitlines() if line)
    assert listed["metrics"] == "Metrics"
    assert cli.main(["docs", "metrics"]) == 0
    assert capsys.readouterr().out.startswith("# Metrics\n")
    assert cli.main(["docs", "metrix"]) == 2
    assert "no page is called 'metrix'; did you mean 'metrics'?" in capsys.readouterr().err


class Greeting:
    """``name`` is greeted, 100% politely, ``times`` times. ``output`` is a file for it."""

    def __init__(self, *, name: str, output: Path | None = None, times: int = 1):
        self.name, self.output, self.times = name, output, times

    def __call__(self):
        if not self.times:
            sys.exit(0)
        yield from [f"hello {self.name}"] * self.times
        if self.output:
            self.output.write_text(self.name)


def test_a_plugin_brings_a_command(capsys, tmp_path, monkeypatch):
    acme = ModuleType("acme")

    @hookimpl
    def gangen_commands(register):
        register("greet", "acme:Greeting", summary="says hello")

    acme.gangen_commands, acme.Greeting = gangen_commands, Greeting
    monkeypatch.setitem(sys.modules, "acme", acme)

    def said(*words):
        code = cli.main(words)
        return code, "".join(capsys.readouterr())

    with testing.installed(acme=acme):
        assert said("greet", "bob") == said("acme/greet", "bob") == (0, "hello bob\n")
        assert said("greet", "-o", str(tmp_path / "out"), "bob", "times=2") == (0, "hello bob\nhello bob\n")
        assert (tmp_path / "out").read_text() == "bob"
        assert "name is greeted, 100% politely, times times" in said("greet", "--help")[1]
        assert said("greet", "-o", "out")[1].startswith("gangen: error: the following arguments are required: name\n")
        assert "error: unrecognized arguments: --loud" in said("greet", "bob", "--loud")[1]
        assert "times must be an integer, got 'x'" in said("greet", "bob", "times=x")[1]
        assert (
            "unknown option 'time' for command 'acme/greet'; did you mean 'times'?" in said("greet", "a", "time=2")[1]
        )
        assert "'gret' is neither a command nor a recipe; did you mean 'greet'?" in said("gret", "bob")[1]
        assert said("greet", "bob", "--no-plugin", "acme")[0] == 2
        assert "code that it uses would have ended gangen by exit(0)" in said("greet", "bob", "times=0")[1]
