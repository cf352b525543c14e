"""The one place where networks of others are opened: what is asked of a folder and of the hub, and modules by path."""

import sys

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from gangen.errors import UsageError
from gangen.hub import PATIENCE
from gangen.pretrained import open_module, open_pretrained, pretrained_source


class Line(nn.Linear):
    def __init__(self, *, width=2):
        super().__init__(width, 1)


def line(width: int = 2) -> Line:
    return Line(width=width)


class Hub:
    def __init__(self, answers):
        self.answers, self.asked = answers, []

    def head(self, url, timeout):
        self.asked.append((url, timeout))
        if not self.answers:
            raise OSError("no route to host")


@pytest.mark.parametrize("answers", [True, False])
def test_a_hub_is_given_seconds_to_answer_before_the_library_waits_for_it(answers, monkeypatch):
    hub = Hub(answers)
    monkeypatch.setattr("huggingface_hub.get_session", lambda: hub)
    name = {"pretrained_model_name_or_path": "some/model", "trust_remote_code": False}
    assert pretrained_source("some/model") == name | {"local_files_only": not answers}
    assert len(hub.asked) == 1 and hub.asked[0][1] == PATIENCE <= 5


def test_of_a_folder_nothing_is_looked_up_elsewhere(tmp_path, monkeypatch):
    monkeypatch.setattr("huggingface_hub.get_session", None)
    assert pretrained_source(str(tmp_path)) == {
        "pretrained_model_name_or_path": str(tmp_path),
        "trust_remote_code": False,
        "local_files_only": True,
    }
    monkeypatch.chdir(tmp_path)
    (tmp_path / "runs").mkdir()
    nowhere = {name: "no such folder" for name in ("./x", "a/b/c", "runs/x")}
    for model, words in ({__file__: "it is a file"} | nowhere).items():
        with pytest.raises(UsageError, match=rf"extractor x cannot open model '.*': .*{words}\nname a folder"):
            open_pretrained(model, "extractor x")


@pytest.mark.parametrize("auto", ["AutoModel", "AutoModelForCausalLM"])
def test_without_a_hub_what_was_never_fetched_is_refused_and_nobody_asks_again(auto, monkeypatch):
    pytest.importorskip("peft")  # without which nobody looks for an adapter
    monkeypatch.setattr("huggingface_hub.get_session", lambda: Hub(False))
    looked_up = []

    def getaddrinfo(host, *_, **__):
        looked_up.append(host)
        raise OSError("no route to host")

    monkeypatch.setattr("socket.getaddrinfo", getaddrinfo)
    with pytest.raises(UsageError, match=r"model 'nobody/nothing': it was not fetched before, .*\n.*: hf download nob"):
        open_pretrained("nobody/nothing", "extractor x", auto=auto)
    # Once a process the library itself asks something that is not about a model; it asks six times for one.
    assert len(looked_up) <= 1


def test_a_module_is_drawn_as_the_run_says_unless_it_has_weights(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "gangen_local_mine", sys.modules[__name__])
    drawn = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        drawn.append(open_module("mine:Line", "x", weights=None, options={}).weight)
    assert torch.equal(drawn[0], drawn[1]) and not torch.equal(drawn[0], drawn[2])
    save_file(line().state_dict(), tmp_path / "line.safetensors")
    before = torch.get_rng_state()
    for path in ("Line", "line"):
        net = open_module(f"mine:{path}", "x", weights=tmp_path / "line.safetensors", options={"width": 2})
        assert isinstance(net, Line)
    assert torch.equal(torch.get_rng_state(), before)
    with pytest.raises(UsageError, match=r"does not hold the weights of .*: weight is \[1, 2\] there and \[1, 3\]"):
        open_module("mine:Line", "x", weights=tmp_path / "line.safetensors", options={"width": 3})


def test_nothing_is_imported_that_is_no_code_of_the_recipe(tmp_path, monkeypatch):
    """Importing what is installed may run it."""
    (tmp_path / "idle.py").write_text("raise SystemExit('this was run')")
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(UsageError, match=r"x cannot open network 'idle:Net': there is no idle.py among the recipe's"):
        open_module("idle:Net", "x", options={})
