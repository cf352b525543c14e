import importlib
import sys
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
from annotated_types import Ge
from pydantic import ValidationError

from gangen.components.messages import problems_of
from gangen.components.options import Options, Part, Use, read_use, to_plain
from gangen.components.registry import Registry
from gangen.components.signatures import REQUIRED, from_object
from gangen.errors import PluginError
from gangen.schedules import Schedule


def net(
    spec,
    *,
    width: Annotated[int, Ge(1)] = 32,
    rate: float = 1,
    pair: tuple[float, float] = (0.5, 0.9),
    mode: Literal["fast", "slow"] = "fast",
    sizes: list[int] | int = 3,
    place: Path | None = None,
    noisy: bool = False,
    temperature: Schedule = 1.0,
    anything: Any = None,
) -> None: ...


OPTIONS = Options("generator 'acme/net'", from_object(net))


def problems(read, *arguments) -> list[tuple]:
    """What reading finds wrong: paths and messages."""
    with pytest.raises(ValidationError) as raised:
        read(*arguments)
    return problems_of(raised.value)


def test_every_option_has_its_default():
    values = OPTIONS.read({})
    assert values == {
        "width": 32,
        "rate": 1.0,
        "pair": (0.5, 0.9),
        "mode": "fast",
        "sizes": 3,
        "place": None,
        "noisy": False,
        "temperature": Schedule(1.0),
        "anything": None,
    }
    assert isinstance(values["rate"], float)


def test_given_values_become_what_the_constructor_asks_for():
    given = {"rate": 2, "pair": [0, 1], "sizes": [1, 2], "place": "data", "temperature": {"start": 1, "end": 0}}
    values = OPTIONS.read(given)
    assert (values["rate"], values["pair"], values["sizes"], values["place"]) == (2.0, (0.0, 1.0), [1, 2], Path("data"))
    assert values["temperature"](0.5) == 0.5
    whole = {"start": 1, "end": 0, "shape": "linear", "warmup": 0.0, "until": 1.0, "over": "phase"}
    assert {name: to_plain(values[name]) for name in given} == given | {"temperature": whole}


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"widht": 3}, "unknown option 'widht' for generator 'acme/net'; did you mean 'width'?"),
        ({"width": "3"}, "width must be an integer, got '3'"),
        ({"width": True}, "width must be an integer, got true"),
        ({"width": 3.5}, "width must be an integer, got 3.5"),
        ({"width": None}, "width must be an integer, got null"),
        ({"width": 0}, "width must be at least 1, got 0"),
        ({"rate": "1e-3"}, "rate must be a number, got '1e-3'"),
        ({"rate": True}, "rate must be a number, got true"),
        ({"noisy": "yes"}, "noisy must be true or false, got 'yes'"),
        ({"noisy": 1}, "noisy must be true or false, got 1"),
        ({"pair": [1]}, "pair has too few entries"),
        ({"pair": [1, "a"]}, "pair.1 must be a number, got 'a'"),
        ({"pair": 1}, "pair must be a list, got 1"),
        ({"mode": "slwo"}, "mode must be 'fast' or 'slow', got 'slwo'; did you mean 'slow'?"),
        ({"sizes": "a"}, "sizes must be a list or an integer, got 'a'"),
        ({"sizes": [1, "a"]}, "sizes.1 must be an integer, got 'a'"),
        ({"temperature": {"start": 1, "edn": 1}}, "temperature: unknown key 'edn' in a schedule; did you mean 'end'?"),
    ],
)
def test_what_is_wrong_is_said_in_plain_words(given, message):
    assert [found for _, found in problems(OPTIONS.read, given)] == [message]


def test_everything_that_is_wrong_is_found_at_once():
    found = problems(OPTIONS.read, {"width": 0, "rate": "x", "pair": [1, "a"], "new": 1})
    assert {path for path, _ in found} == {("new",), ("width",), ("rate",), ("pair", 1)}


def test_an_option_without_a_default_is_needed():
    def reader(*, path: str) -> None: ...

    options = Options("data source 'acme/x'", from_object(reader))
    assert problems(options.read, {}) == [((), "data source 'acme/x' needs 'path'")]


def test_options_that_no_recipe_can_give_are_the_plugins_fault():
    class Opaque: ...

    def opaque(*, thing: Opaque = None) -> None: ...

    with pytest.raises(PluginError, match="loss 'acme/x' has a type that no recipe can give"):
        Options("loss 'acme/x'", from_object(opaque)).read({})


STATIC = """
import nothing_that_is_installed
from gangen_acme_numbers import DEEP as DEPTH
from typing import Annotated, Any, Literal
from annotated_types import Ge

class Base:
    def __init__(self, spec, *, width: Annotated[int, Ge(1)] = 32, mode: Literal["a", "b"] = "a", more: int | None = 3):
        ...

class Inherits(Base): ...
class Plain: ...

LEAST = 1
Mode = Literal["a", "b"]
Modes = tuple[Mode, ...]

class Named:
    def __init__(self, *, modes: Modes = ("a",), width: Annotated[int, Ge(LEAST)] = LEAST, depth: int = DEPTH): ...

def build(spec, *, loss: Annotated[Any, Part("losses")] = "hinge", pair: tuple[int, int] = (5, 9), rate: Schedule = -1):
    ...
"""


def test_plain_sources_are_read_without_importing_them(install):
    install("numbers", "import nothing_that_is_installed\nDEEP = 7", module="gangen_acme_numbers")
    install("acme", STATIC, module="gangen_acme_static")
    of = lambda name: Options.of("it", f"gangen_acme_static:{name}").parameters  # noqa: E731
    assert [(it.name, it.default) for it in of("Base")] == [("width", 32), ("mode", "a"), ("more", 3)]
    assert of("Inherits") == of("Base")
    assert of("Plain") == []
    annotations = [it.annotation for it in of("build")]
    assert annotations == [Annotated[Any, Part("losses")], tuple[int, int], Schedule]
    named = {it.name: (it.annotation, it.default) for it in of("Named")}
    assert named == {
        "modes": (tuple[Literal["a", "b"], ...], ("a",)),
        "width": (Annotated[int, Ge(1)], 1),
        "depth": (int, 7),
    }
    assert not {"gangen_acme_static", "gangen_acme_numbers"} & sys.modules.keys()


DERIVED = """
class Base:
    def __init__(self, spec, *, width: int = 32, mode: str = "a"): ...

class Mixin:
    def helps(self): ...

class Derived(Mixin, Base):
    def __init__(self, spec, *, more: int = 3, mode: str = "b", **options): ...

class Further(Derived):
    pass
"""


@pytest.mark.parametrize("name", ["Derived", "Further"])
def test_a_constructor_that_hands_options_on_has_those_of_its_base_too(install, name):
    install("acme", DERIVED, module="gangen_acme_derived")
    found = Options.of("it", f"gangen_acme_derived:{name}").parameters
    assert [(it.name, it.default) for it in found] == [("more", 3), ("mode", "b"), ("width", 32)]
    assert "gangen_acme_derived" not in sys.modules
    assert from_object(getattr(importlib.import_module("gangen_acme_derived"), name)) == found


DESCRIBED = '''
class Base:
    """A base whose ``width`` is even.

    ``depth`` counts layers; ``rate`` is
    a share. Of ``depth`` there is no end.
    """

    def __init__(self, spec, *, width: int = 2, depth: int = 1, rate: float = 0.5, plain: int = 0): ...

    def sample(self, n, condition=None, *, sharp: float = 1.0):
        """``sharp`` is the least of ``width``."""

class Derived(Base):
    """``width`` is odd here."""

class Imported(Base, metaclass=type):
    """``width`` is odd here."""

def build(spec, *, width: int = 2):
    """A function of ``width``."""
'''


def test_an_option_has_the_first_sentence_that_names_it(install):
    install("acme", DESCRIBED, module="gangen_acme_described")

    def about(name: str, method: str = "__init__") -> list[str]:
        return [it.about for it in Options.of("it", f"gangen_acme_described:{name}", method).parameters]

    rest = ["depth counts layers", "rate is a share", ""]
    assert about("Base") == ["A base whose width is even", *rest]
    assert about("Derived") == ["width is odd here", *rest]
    assert about("build") == ["A function of width"]
    assert about("Derived", "sample") == ["sharp is the least of width"]
    assert about("build", "sample") == []
    assert "gangen_acme_described" not in sys.modules
    assert about("Imported") == about("Derived")
    assert about("Imported", "sample") == about("Derived", "sample")


IMPORTED = """
from dataclasses import dataclass
from typing import Annotated
Width = Annotated[int, "what a call gives is not read"]
DEFAULT = max(3, 7)

class ByName:
    def __init__(self, *, width: Width = DEFAULT, text: "str" = "a", plain=3): ...

@dataclass(kw_only=True)
class Data:
    width: int
    depth: int = 2
"""


def test_other_sources_are_imported(install):
    install("acme", IMPORTED, module="gangen_acme_imported")
    found = Options.of("it", "gangen_acme_imported:ByName").parameters
    assert [(it.name, it.default) for it in found] == [("width", 7), ("text", "a"), ("plain", 3)]
    assert found[1].annotation is str
    data = Options.of("it", "gangen_acme_imported:Data").parameters
    assert [(it.name, it.default) for it in data] == [("width", REQUIRED), ("depth", 2)]


def test_a_module_that_cannot_be_imported_is_the_plugins_fault():
    with pytest.raises(PluginError, match="cannot load 'gangen_nowhere:X': ModuleNotFoundError"):
        Options.of("it", "gangen_nowhere:X")


def test_components_are_chosen_by_name_or_mapping(echo):
    by_name = read_use("objectives", "echo/gan", echo)
    assert by_name == Use("objectives", "echo/gan", {"loss": Use("losses", "gangen/non_saturating", {})})
    by_mapping = read_use("objectives", {"use": "echo/gan", "loss": {"use": "non_saturating"}}, echo)
    assert by_mapping == by_name
    assert by_name.to_plain() == {"use": "echo/gan", "loss": {"use": "gangen/non_saturating"}}


@pytest.mark.parametrize(
    ("value", "path", "message"),
    [
        ({"use": "echo/gan", "loss": "hing"}, ("loss",), "no loss is called 'hing'; did you mean 'hinge'?"),
        (
            {"use": "echo/gan", "loss": {"use": "hing"}},
            ("loss", "use"),
            "no loss is called 'hing'; did you mean 'hinge'?",
        ),
        (
            {"use": "echo/gan", "loss": {"use": "hinge", "margin": 1}},
            ("loss", "margin"),
            "unknown option 'margin' for loss 'gangen/hinge'",
        ),
        ({"use": "echo/gan", "loss": 3}, ("loss",), "losses are chosen by a name or a mapping with 'use', got 3"),
        ({"loss": "hinge"}, (), "no objective is chosen: 'use' must be its name"),
        (["gan"], (), "objectives are chosen by a name or a mapping with 'use', got a list"),
        ("gna", (), "no objective is called 'gna'; did you mean 'gan'?"),
    ],
)
def test_problems_of_parts_have_their_path(echo, value, path, message):
    assert problems(read_use, "objectives", value, echo) == [(path, message)]


def test_the_fixture_is_read_without_importing_torch_modules(echo: Registry):
    assert echo.find("generators", "echo/mlp").options.names == ["latent_dim", "hidden_dim"]
    assert "gangen_echo.networks" not in sys.modules
