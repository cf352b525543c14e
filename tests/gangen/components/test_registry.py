import re
import sys

import pytest
from pydantic import ValidationError

from gangen.components.options import Use, read_use
from gangen.components.registry import Registry
from gangen.errors import PluginError, UsageError
from gangen.hookspecs import KINDS

ACME = """
@hookimpl
def gangen_losses(register):
    register("sharp", "gangen_acme:Sharp", summary="a sharp loss")

@hookimpl
def gangen_objectives(register):
    register("game", "gangen_acme:Game")

class Sharp:
    relativistic = False

    def __init__(self, *, slope: float = 2.0):
        self.slope = slope

    def discriminator(self, real, fake): ...
    def generator(self, real, fake): ...

class Game:
    def __init__(self, spec, *, loss="sharp", more=()):
        self.spec, self.loss, self.more = spec, loss, more
"""


def hook(text: str, kind: str = "losses") -> str:
    return f"@hookimpl\ndef gangen_{kind}(register):\n    {text}\n"


def test_a_plugin_brings_components_under_its_namespace(install):
    install("acme", ACME)
    component = Registry.discover().find("losses", "acme/sharp")
    assert (component.summary, component.distribution, component.version) == ("a sharp loss", "gangen-acme", "1.2")
    assert component.load().__name__ == "Sharp"


def test_a_target_that_begins_with_a_dot_is_below_the_plugins_own_package(install):
    install("acme", hook('register("a", ".losses:A")'))
    assert Registry.discover().find("losses", "acme/a").target == "gangen_acme.losses:A"


def test_finding_does_not_import_the_component(install):
    install("acme", hook('register("heavy", "gangen_missing.heavy:Net")', "generators"))
    component = Registry.discover().find("generators", "acme/heavy")
    message = "generator 'acme/heavy' of gangen-acme: cannot load 'gangen_missing.heavy:Net': ModuleNotFoundError"
    with pytest.raises(PluginError, match=re.escape(message)):
        component.load()


def test_an_attribute_that_is_missing_is_named(install):
    install("acme", hook('register("sharp", "gangen_acme:Shrap")'))
    with pytest.raises(PluginError, match="no attribute 'Shrap'"):
        Registry.discover().find("losses", "sharp").load()


def test_bare_names_are_allowed_where_unique(install):
    install("acme", hook('register("sharp", "a:B"); register("hinge", "a:B")'))
    registry = Registry.discover()
    assert registry.find("losses", "sharp").name == "acme/sharp"
    with pytest.raises(UsageError, match="'gangen/hinge', 'acme/hinge': give the full name"):
        registry.find("losses", "hinge")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("sharpe", r"no loss is called 'sharpe'; did you mean 'sharp'\?"),
        ("acme/shrap", r"did you mean 'acme/sharp'\?"),
        ("acem/sharp", r"did you mean 'acme/sharp'\?"),
        ("game", "'acme/game' is among the objectives, not the losses"),
        ("tones/loud", "no plugin 'tones' is installed: where plugins .* installs it: pip install gangen-tones$"),
        ("acme/loud", "no loss is called 'acme/loud'$"),
    ],
)
def test_a_look_up_that_fails_says_what_there_is(install, name, message):
    install("acme", ACME)
    with pytest.raises(UsageError, match=message):
        Registry.discover().find("losses", name)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("import nothing_of_this_name", "ModuleNotFoundError: No module named 'nothing_of_this_name'"),
        ("raise SystemExit(3)", "SystemExit: 3"),
        ("def broken(:", "SyntaxError"),
        ("@hookimpl\ndef gangen_losess(register): pass", "no hook 'gangen_losess'; did you mean 'gangen_losses'?"),
        ("def gangen_losses(register): pass", "'gangen_losses' lacks @hookimpl"),
        ("@hookimpl\ndef gangen_losses(registry): pass", "registry"),
        (hook("register('a', 'm:A'); register('a', 'm:B')"), "loss 'acme/a' is registered twice"),
        (hook("register('a/b', 'm:A')"), "'a/b' is not a name"),
        (hook("register('a', object)"), "needs an import string"),
        (hook("register('a', 'm.A')"), "needs an import string"),
    ],
)
def test_a_broken_plugin_is_kept_out_with_a_reason_of_one_line(install, text, reason):
    install("acme", text)
    install("good", hook("register('fine', 'm:A')"))
    registry = Registry.discover()
    assert reason in registry.broken["acme"]
    assert "\n" not in registry.broken["acme"]
    assert [plugin.name for plugin in registry.plugins() if plugin.name in ("acme", "good")] == ["good"]


def test_a_failed_look_up_names_the_broken_plugin(install):
    install("acme", "raise ValueError('no licence')")
    with pytest.raises(UsageError, match="plugin 'acme' could not be loaded: ValueError: no licence"):
        Registry.discover().find("losses", "acme/sharp")


def test_strict_plugins_raise(install, monkeypatch):
    install("acme", "raise ValueError('no licence')")
    monkeypatch.setenv("GANGEN_STRICT_PLUGINS", "1")
    with pytest.raises(PluginError, match="plugin 'acme' of gangen-acme: ValueError: no licence"):
        Registry.discover()


def test_of_two_distributions_with_one_name_the_first_stays(install):
    install("acme", hook("register('a', 'm:A')"), distribution="zeta", module="gangen_zeta")
    install("acme", hook("register('b', 'm:A')"), distribution="alpha", module="gangen_alpha")
    registry = Registry.discover()
    assert registry.find("losses", "acme/b").distribution == "alpha"
    assert registry.broken == {"acme (zeta)": "the name 'acme' is already taken by alpha"}


@pytest.mark.parametrize("name", ["gangen", "local"])
def test_the_names_of_the_framework_are_taken(install, name):
    install(name, hook("register('hinge', 'm:A')"), distribution="acme", module="gangen_acme")
    registry = Registry.discover()
    assert "already taken by gangen" in registry.broken[f"{name} (acme)"]
    assert registry.find("losses", "hinge").name == "gangen/hinge"


def test_a_plugin_can_be_left_out(install):
    install("acme", ACME)
    registry = Registry.discover(blocked=["acme"])
    assert "gangen_acme" not in sys.modules
    with pytest.raises(UsageError, match="plugin 'acme' is left out by --no-plugin"):
        registry.find("losses", "acme/sharp")
    with pytest.raises(UsageError, match=r"no plugin 'acmee' is installed .*did you mean 'acme'\?"):
        Registry.discover(blocked=["acmee"])


def test_components_are_built_with_their_parts(install):
    install("acme", ACME)
    registry = Registry.discover()
    sharp = Use("losses", "acme/sharp", {"slope": 3.0})
    game = registry.build(Use("objectives", "acme/game", {"loss": sharp, "more": [sharp]}), spec="spec")
    assert (game.spec, game.loss.slope, game.more[0].slope) == ("spec", 3.0, 3.0)


NESTED = """
from typing import Annotated, Any

@hookimpl
def gangen_generators(register): register("translator", "gangen_acme:Translator")

@hookimpl
def gangen_encoders(register): register("layers", "gangen_acme:Layers")

@hookimpl
def gangen_metrics(register): register("seen", "gangen_acme:Translator")

class Layers:
    def __init__(self, spec, *, depth: int = 2):
        self.spec, self.depth = spec, depth

class Translator:
    def __init__(self, spec=None, *, layers: Annotated[Any, Part("encoders")] = "layers"):
        self.spec, self.layers = spec, layers
"""


def test_a_network_in_a_network_is_built_for_the_data_too(install):
    install("acme", "from gangen import Part\n" + NESTED)
    registry = Registry.discover()
    translator = registry.build(read_use("generators", "acme/translator", registry), spec="what data are")
    assert (translator.spec, translator.layers.spec, translator.layers.depth) == ("what data are", "what data are", 2)
    with pytest.raises(PluginError, match="encoder 'acme/layers' cannot be built here, where spec is not known"):
        registry.build(read_use("metrics", "seen", registry))


def test_what_a_constructor_raises_gets_through_with_a_note(install):
    body = "class A:\n    def __init__(self, *data): raise KeyError('k')\n"
    hooks = hook("register('a', 'gangen_acme:A')") + hook("register('b', 'gangen_acme:A')", "encoders")
    install("acme", hooks + body)
    with pytest.raises(KeyError) as raised:
        Registry.discover().build(Use("losses", "acme/a", {}))
    assert raised.value.__notes__ == ["while building loss 'acme/a' of gangen-acme 1.2"]
    with pytest.raises(KeyError) as raised:
        Registry.discover().build(Use("encoders", "acme/b", {}), spec="other data, as a rule")
    assert raised.value.__notes__ == ["while building encoder 'acme/b' of gangen-acme 1.2, for data described by a str"]


def test_a_file_that_an_option_names_and_is_not_there_is_told_of(install):
    install(
        "acme", hook("register('a', 'gangen_acme:A')") + "class A:\n    def __init__(self): open('/no/such/file')\n"
    )
    with pytest.raises(
        UsageError, match=r"loss 'acme/a' cannot be built: .*No such file or directory: '/no/such/file'"
    ):
        Registry.discover().build(Use("losses", "acme/a", {}))


def test_a_component_that_lacks_what_all_of_its_kind_have_is_refused_by_name(install):
    install("acme", hook("register('a', 'gangen_acme:A')") + "class A:\n    def generator(self, real, fake): ...\n")
    message = "of gangen-acme lacks relativistic, discriminator, which every loss has; see gangen docs contract"
    with pytest.raises(PluginError, match=message):
        Registry.discover().build(Use("losses", "acme/a", {}))


def test_what_is_there_is_not_asked_for_its_value(install):
    eye = """
class Eye:
    name = key = "eye"
    check = fit = features = print

    @property
    def digest(self): raise RuntimeError("not fitted yet")
"""
    install("acme", hook("register('eye', 'gangen_acme:Eye')", "extractors") + eye)
    assert Registry.discover().build(Use("extractors", "acme/eye", {})).name == "eye"


def test_recipes_are_named_by_their_plugin(install, tmp_path):
    (tmp_path / "tiny.yaml").touch()
    install("acme", f"@hookimpl\ndef gangen_recipes(): return [{str(tmp_path)!r}]")
    assert Registry.discover().recipes()["acme/tiny"] == tmp_path / "tiny.yaml"


def test_a_local_file_is_a_plugin_and_says_that_it_runs(install, tmp_path, capsys):
    file = tmp_path / "my-own.py"
    file.write_text(
        "from gangen import hookimpl\n"
        + hook("register('own', f'{__name__}:Own')", "encoders")
        + "class Own:\n    def __init__(self, spec): ...\n",
    )
    registry = Registry.discover(code=[file])
    assert f"running code from {file}" in capsys.readouterr().err
    assert registry.find("encoders", "own").name == "local/own"
    assert registry.build(Use("encoders", "local/own", {}), spec=None).__class__.__module__ == "gangen_local_my_own"
    registry.load_code(file)
    assert capsys.readouterr().err == ""


def test_a_local_file_that_fails_is_an_error_with_its_line(install, tmp_path):
    file = tmp_path / "mine.py"
    file.write_text("x = 1\ny = z\n")
    with pytest.raises(PluginError, match=r"mine.py:2: cannot be loaded: NameError: name 'z' is not defined"):
        Registry.discover(code=[file])
    file.write_text("import sys\nsys.exit()")
    with pytest.raises(PluginError, match=r"mine.py:2: cannot be loaded: SystemExit"):
        Registry.discover(code=[file])
    with pytest.raises(PluginError, match=r"there is no file .*nothing\.py"):
        Registry.discover(code=[tmp_path / "nothing.py"])


def test_the_core_brings_its_losses_through_the_same_hooks():
    losses = {component.name for component in Registry.discover().all("losses")}
    assert {"gangen/minimax", "gangen/non_saturating", "gangen/hinge", "gangen/wasserstein"} <= losses
    for name in losses:
        if name.startswith("gangen/"):
            assert Registry.discover().find("losses", name).options.parameters == []


def test_a_component_is_found_by_the_names_that_it_had(install):
    install("acme", hook('register("sharp", "gangen_acme:Sharp", was=("sharper", "old/sharp"), since="1.2")'))
    registry = Registry.discover()
    for name in ("sharper", "acme/sharper", "old/sharp"):
        assert registry.find("losses", name).name == "acme/sharp"
    assert registry.renamed["sharper"] == (
        "loss 'acme/sharp' is not called 'sharper' since gangen-acme 1.2: give the new name"
    )
    assert registry.find("losses", "sharp").name == "acme/sharp" and "sharp" not in registry.renamed


def test_a_name_that_something_has_today_is_its_own(install):
    text = 'register("sharp", "gangen_acme:Sharp", was=("hinge", "gangen/hinge"), since="1.2")'
    install("acme", hook(text))
    registry = Registry.discover()
    assert registry.find("losses", "hinge").name == registry.find("losses", "gangen/hinge").name == "gangen/hinge"
    assert not registry.renamed


@pytest.mark.parametrize("said", ['was=("sharper",)', 'was="sharper", since="1.2"', 'since="1.2"'])
def test_what_was_renamed_is_said_with_the_version(said, install):
    install("acme", hook(f'register("sharp", "gangen_acme:Sharp", {said})'))
    assert "loss 'sharp' had other names: was=('NAME',) lists them" in Registry.discover().broken["acme"]


def test_no_component_takes_a_seed_that_torch_cannot():
    registry = Registry.discover()
    seeded = [it for kind in KINDS for it in registry.all(kind) if "seed" in it.options.names]
    assert len(seeded) > 10
    for component in seeded:
        for seed in (2**63, -1):
            with pytest.raises(ValidationError, match="seed must be"):
                component.options.read({"seed": seed}, registry)
