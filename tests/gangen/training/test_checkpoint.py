"""What a checkpoint keeps of players, copies and counters, and which checkpoints are read."""

import json
import random
from types import SimpleNamespace

import pytest
import torch
from accelerate import Accelerator
from safetensors.torch import load_file, save_file
from torch import nn

from gangen.contracts import updates
from gangen.errors import CheckpointError
from gangen.optimizers import Learning, adam
from gangen.recipe.players import CopyOf
from gangen.splits import TensorSplit
from gangen.training import checkpoint
from gangen.training.phases import Phase, Turn
from gangen.training.players import Player
from gangen.training.trainer import Trainer


class Rows:
    train = TensorSplit(x=torch.arange(8.0)[:, None] / 8)
    heldout = train
    codec = SimpleNamespace(spec=None, save=lambda folder: None)


@updates("pupil")
def learn(players, batch, clock):
    """Be unlike what one was, and unlike the teacher."""
    x = batch["x"]
    return -(players.pupil(x) - players.earlier(x) - players.teacher(x) + 1).square().mean(), {}


class Adapter(nn.Module):
    """A large base that its options make, and a little that learns."""

    def __init__(self):
        super().__init__()
        self.base, self.adapter = nn.Linear(1, 1), nn.Linear(1, 1)
        self.base.requires_grad_(False).weight.fill_(0.5)
        self.base.bias.fill_(0.25)
        self.state_names = ["adapter.weight", "adapter.bias"]

    def forward(self, x):
        return self.adapter(self.base(x))


def trainer_of(every=None):
    torch.manual_seed(0)
    players = {
        "pupil": Player("pupil", Adapter(), Learning(adam), ema=0.5),
        "earlier": Player("earlier", Adapter(), Learning(adam), copy_of=CopyOf(player="pupil", every=every)),
        "teacher": Player("teacher", nn.Linear(1, 1), Learning(adam), frozen=True),
    }
    turns = (Turn("learn", learn, learn.updates),)
    phases = [Phase("first", 5, turns, 4), Phase("second", 5, turns, 4)]
    return Trainer(accelerator=Accelerator(cpu=True), data=Rows(), players=players, phases=phases)


def play(trainer, steps):
    for _ in range(steps):
        trainer.play_step(trainer.phases[trainer.state.phase])
    return trainer


def weights(trainer, name):
    return torch.cat([tensor.flatten() for tensor in trainer.networks[name].state_dict().values()])


@pytest.mark.parametrize(("every", "renewed"), [(None, {0, 5}), (2, {0, 2, 4, 5, 7, 9})])
def test_a_copy_is_renewed_when_a_phase_begins_and_every_so_many_steps(every, renewed):
    trainer = trainer_of(every)
    for step in range(10):
        before = weights(trainer, "pupil")
        play(trainer, 1)
        assert torch.equal(weights(trainer, "earlier"), before) == (step in renewed)


@pytest.mark.parametrize("every", [None, 3])
@pytest.mark.parametrize("at", [2, 5, 7])
def test_a_run_with_copies_and_frozen_players_resumes_to_the_bit(every, at, tmp_path):
    whole = play(trainer_of(every), 10)
    checkpoint.save(play(trainer_of(every), at), tmp_path, keep=1)
    resumed = trainer_of(every)
    checkpoint.restore(resumed, checkpoint.latest(tmp_path))
    play(resumed, 10 - at)
    for name in whole.players:
        assert torch.equal(weights(resumed, name), weights(whole, name)), name
    assert torch.equal(resumed.players["pupil"].average.adapter.weight, whole.players["pupil"].average.adapter.weight)


def test_only_what_changes_is_kept(tmp_path):
    saved = checkpoint.save(play(trainer_of(), 1), tmp_path, keep=1)
    files = {str(path.relative_to(saved)) for path in saved.rglob("*.*")}
    pupil = {f"pupil/{name}" for name in ("model.safetensors", "average.safetensors", "optimizer.safetensors")}
    assert files == pupil | {"pupil/optimizer.json", "earlier/model.safetensors", "state.json", "manifest.json"}
    for name in ("model", "average"):
        assert load_file(saved / f"pupil/{name}.safetensors").keys() == {"adapter.weight", "adapter.bias"}


def rewrite(saved, change):
    """As a version of gangen wrote it that kept no digests."""
    state = json.loads((saved / "state.json").read_text()) | {"format": 2, "figures": {}}
    change(state)
    (saved / "state.json").write_text(json.dumps(state))
    (saved / "manifest.json").unlink(missing_ok=True)


def test_a_checkpoint_of_the_first_format_goes_on(tmp_path):
    saved = checkpoint.save(play(trainer_of(), 7), tmp_path, keep=1)

    def age(state):
        del state["format"], state["seen"]

    rewrite(saved, age)
    resumed = trainer_of()
    checkpoint.restore(resumed, saved)
    assert resumed.state.total == 7
    assert resumed.players["pupil"].seen == 28


def test_figures_of_earlier_formats_go_on_but_for_those_that_are_not_finite(tmp_path):
    saved = checkpoint.save(play(trainer_of(), 2), tmp_path, keep=1)
    rewrite(
        saved, lambda state: state.update(format=2, figures={"learn/loss": [1.0, 2.0], "learn/odd": [1.0, torch.inf]})
    )
    resumed = trainer_of()
    checkpoint.restore(resumed, saved)
    assert resumed.meter.read() == {"learn/loss": 1.5}


def test_a_meter_keeps_one_number_of_each_figure(tmp_path):
    saved = checkpoint.save(play(trainer_of(), 7), tmp_path, keep=1)
    loss = json.loads((saved / "state.json").read_text())["figures"]["learn/loss"]
    assert loss["count"] == 7 and len(loss["sums"]) == 1


def test_a_counter_of_another_version_is_left_out(tmp_path):
    saved = checkpoint.save(play(trainer_of(), 7), tmp_path, keep=1)
    rewrite(saved, lambda state: state["state"].update(moons=3))
    resumed = trainer_of()
    checkpoint.restore(resumed, saved)
    assert resumed.state.step == 2


def test_a_checkpoint_of_a_later_format_says_so(tmp_path):
    saved = checkpoint.save(play(trainer_of(), 1), tmp_path, keep=1)
    rewrite(saved, lambda state: state.update(format=4))
    for read in (checkpoint.restore, lambda trainer, saved: checkpoint.restore_weights(trainer.players, saved)):
        with pytest.raises(CheckpointError, match=r"is of format 4, and this gangen knows formats up to 3\na later"):
            read(trainer_of(), saved)


def test_a_run_that_was_sent_back_keeps_its_own_checkpoints_rather_than_later_ones(tmp_path):
    trainer = trainer_of()
    for _ in range(3):
        checkpoint.save(play(trainer, 2), tmp_path, keep=3)
    again = trainer_of()
    checkpoint.restore(again, tmp_path / "step-00000002")
    checkpoint.save(play(again, 1), tmp_path, keep=3)
    assert sorted(path.name for path in tmp_path.glob("step-*")) == ["step-00000002", "step-00000003", "step-00000006"]


@pytest.mark.parametrize(
    ("pointer", "words"),
    [
        (b"", "is empty"),
        (b"step-00000009\n", "names step-00000009, which is not there"),
        (b"\xff\xfe", "cannot be read: 'utf-8' codec"),
        (b"/etc", "names '/etc', which is no checkpoint"),
        (b"../../other/step-00000001", "names '../../other/step-00000001', which is no checkpoint"),
    ],
)
def test_a_pointer_to_nothing_says_how_to_go_back(pointer, words, tmp_path):
    (tmp_path / "latest").write_bytes(pointer)
    with pytest.raises(CheckpointError, match=f"{words}[\\s\\S]*write the name of an older folder"):
        checkpoint.latest(tmp_path)


def test_without_a_pointer_the_newest_is_taken(three, tmp_path):
    (tmp_path / "latest").unlink()
    (tmp_path / "step-9").mkdir()
    assert checkpoint.latest(tmp_path) == tmp_path / "step-00000006"


@pytest.mark.parametrize("pointed", [True, False])
def test_of_steps_with_more_digits_than_others_the_number_counts(pointed, tmp_path):
    trainer = trainer_of()
    for step in (99_999_998, 99_999_999, 100_000_000):
        trainer.state.total = step
        checkpoint.save(trainer, tmp_path, keep=2)
    assert {path.name for path in tmp_path.glob("step-*")} == {"step-99999999", "step-100000000"}
    if not pointed:
        (tmp_path / "latest").unlink()
    assert checkpoint.latest(tmp_path) == tmp_path / "step-100000000"
    (tmp_path / "step-100000000/state.json").unlink()
    assert newest(tmp_path)[0] == tmp_path / "step-99999999"


def test_what_is_not_called_as_a_checkpoint_is_left_alone(tmp_path):
    (tmp_path / "step-00000002 of before").mkdir()
    trainer = trainer_of()
    for _ in range(2):
        checkpoint.save(play(trainer, 2), tmp_path, keep=1)
    assert {path.name for path in tmp_path.glob("step-*")} == {"step-00000002 of before", "step-00000004"}


@pytest.fixture
def three(tmp_path):
    """Checkpoints of steps 2, 4 and 6."""
    trainer = trainer_of()
    for _ in range(3):
        saved = checkpoint.save(play(trainer, 2), tmp_path, keep=3)
    return tmp_path, saved


def newest(folder):
    return checkpoint.newest_whole(folder, torch.device("cpu"))


FILES = ["state.json", "manifest.json", *(f"pupil/{name}" for name in ("model.safetensors", "optimizer.json"))]


@pytest.mark.parametrize("name", FILES)
def test_of_a_checkpoint_every_bit_counts_and_the_one_before_is_taken(name, three):
    folder, saved = three
    path, chance = saved / name, random.Random(name)
    whole = path.read_bytes()
    for _ in range(20):
        place, bit = chance.randrange(len(whole)), 1 << chance.randrange(8)
        path.write_bytes(whole[:place] + bytes([whole[place] ^ bit]) + whole[place + 1 :])
        found, [words] = newest(folder)
        assert found == folder / "step-00000004"
        assert words.startswith(f"checkpoint {saved} is damaged: ") and words.endswith("; taking step-00000004 instead")
    path.write_bytes(whole)
    assert newest(folder) == (saved, [])


def test_halves_of_zeros_and_missing_files_are_named(three):
    folder, saved = three
    weights = saved / "pupil/average.safetensors"
    whole = weights.read_bytes()
    weights.write_bytes(whole[: len(whole) // 2] + bytes(len(whole) // 2))
    assert "pupil/average.safetensors is not as it was saved" in newest(folder)[1][0]
    weights.unlink()
    assert "pupil/average.safetensors is missing" in newest(folder)[1][0]
    for other in folder.glob("step-*"):
        (other / "manifest.json").unlink()
    with pytest.raises(CheckpointError, match=r"02 is damaged: manifest.json is missing\nno other is whole"):
        newest(folder)


def test_of_earlier_formats_what_cannot_be_read_or_is_nan_is_damaged(three):
    folder, saved = three
    rewrite(saved, lambda state: None)
    rewrite(folder / "step-00000004", lambda state: None)
    assert newest(folder) == (saved, [])
    (saved / "pupil/model.safetensors").write_bytes(b"half")
    average = folder / "step-00000004/pupil/average.safetensors"
    save_file({name: tensor * torch.nan for name, tensor in load_file(average).items()}, average)
    found, [_, words] = newest(folder)
    assert found == folder / "step-00000002" and "pupil/average.safetensors holds nan" in words


WRONG = [
    [], {}, {"state": 3}, {"state": {"total": -1}}, {"state": {"total": "3"}}, {"state": {"batches": 0.5}},
    {"state": {"total": True}}, {"seen": []}, {"seen": {"pupil": "7"}},
    {"figures": {"learn/loss": {"count": 0, "sums": [1]}}},
    {"figures": {"learn/loss": {"count": 1, "sums": []}}}, {"figures": {"learn/loss": [[1.0]]}}, {"data": {"codec": 3}},
    {"scaler": 3}, {"format": None}, {"format": "new"},
]  # fmt: skip


@pytest.mark.parametrize("wrong", WRONG, ids=str)
def test_a_state_of_wrong_types_is_refused_with_the_name_of_its_folder(wrong, tmp_path):
    saved = checkpoint.save(play(trainer_of(), 1), tmp_path, keep=1)
    rewrite(saved, lambda state: None)
    state = json.loads((saved / "state.json").read_text())
    content = state | wrong if isinstance(wrong, dict) and wrong else wrong
    (saved / "state.json").write_text(json.dumps(content))
    with pytest.raises(CheckpointError, match=f"checkpoint {saved} is damaged: "):
        newest(tmp_path)
    with pytest.raises(CheckpointError, match=f"checkpoint {saved} is damaged: "):
        checkpoint.restore(trainer_of(), saved)


@pytest.mark.parametrize("groups", [3, [], [{}], [{"params": [0, 1], "lr": "x"}], [{"params": [0, 1], "betas": [0.9]}]])
def test_settings_of_an_optimizer_of_wrong_types_are_refused(groups, tmp_path):
    saved = checkpoint.save(play(trainer_of(), 1), tmp_path, keep=1)
    (saved / "pupil/optimizer.json").write_text(json.dumps(groups))
    with pytest.raises(CheckpointError, match=f"checkpoint {saved} is damaged: "):
        checkpoint.restore(trainer_of(), saved)
