"""Samples that are no text, and a condition that is an image, by plugins from somebody else."""

import re
import wave
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from gangen import UsageError, cli, saved_model
from gangen.report import write_report
from gangen.run_directory import RunDirectory

PERIODS = {"low": 2, "middle": 4, "high": 8}


@pytest.fixture
def train(foreign, monkeypatch, tmp_path):
    """``train("tones/pitch")`` trains a foreign plugin's recipe in an empty folder, which is the current one."""
    monkeypatch.chdir(tmp_path)

    def train(recipe: str, *overrides: str) -> Path:
        plugin, _, name = recipe.partition("/")
        foreign(plugin)
        assert cli.main([recipe, *overrides]) == 0
        return Path("runs", name)

    return train


def periods(path: Path) -> int:
    """Of a WAV file of 64 amplitudes again and again, how often the strongest tone swings within them."""
    with wave.open(str(path)) as file:
        assert (file.getnchannels(), file.getsampwidth(), file.getframerate()) == (1, 2, 8000)
        amplitudes = np.frombuffer(file.readframes(file.getnframes()), "<i2")
    return int(np.abs(np.fft.rfft(amplitudes.reshape(-1, 64))).mean(0)[1:].argmax()) + 1


def test_tones_are_learned_and_written_as_sound(train):
    run = train("tones/pitch")
    for pitch, count in PERIODS.items():
        assert cli.main(["sample", pitch, "-n", "2", "--seed", "1", "-o", f"{pitch}.wav"]) == 0
        assert periods(Path(f"{pitch}.wav")) == periods(run / f"samples/step-00000120-{pitch}.wav") == count


def test_a_sheet_of_sound_has_a_file_for_each_row_all_of_which_play_in_the_report(train):
    run = train("tones/pitch", "phases.adversarial.steps=4", "every.sample=2")
    files = {path.name for path in (run / "samples").iterdir()}
    steps = ("real", "step-00000002", "step-00000004")
    assert files == {f"{step}-{pitch}.wav" for step in steps for pitch in PERIODS}
    page = write_report(RunDirectory(run)).read_text(encoding="utf-8")
    assert re.findall(r'data-name="(.*?)"', page) == ["step 2", "step 4", "real data"]
    assert page.count('<audio controls src="data:audio/x-wav;base64,') == 9 and page.count("<p>middle</p>") == 3


def test_a_sheet_shows_input_sample_and_truth(train):
    run = train("shade/tint")
    sheet = np.asarray(Image.open(run / "samples/step-00000060.png")).astype(int)
    assert sheet.shape == (3 * 64, 3 * 64, 3)
    source, sample, truth = sheet[:, :64], sheet[:, 64:128], sheet[:, 128:]
    assert np.ptp(source, axis=2).max() == 0 and np.abs(truth - source * [1, 0.6, 0.2]).max() <= 1
    assert np.abs(sample - truth).mean() < 10 < np.abs(sample - source).mean()
    assert not (run / "samples/real.png").exists()
    # What networks are not handed is there for metrics.
    assert "distance" in (run / "metrics.jsonl").read_text()


def test_an_image_is_a_prompt_and_so_is_its_path(train):
    run = train("shade/tint", "phases.adversarial.steps=2")
    made = saved_model.load(run)
    light, dark = (Image.new("L", (20, 20), shade) for shade in (200, 20))
    [from_light, from_dark] = made.sample([light, dark])
    assert from_light.size == (8, 8) and from_light.tobytes() != from_dark.tobytes()
    light.save("light.png")
    assert made.sample("light.png")[0].tobytes() == from_light.tobytes()
    assert cli.main(["sample", "light.png", "light.png", "-n", "2", "-o", "four.png"]) == 0
    with Image.open("four.png") as picture:
        assert picture.size == (4 * 8, 8)
    with pytest.raises(UsageError, match="shade/tint has no use for a prompt of type int: it takes an image, or the"):
        made.sample(5)
    with pytest.raises(UsageError, match="nothing to tint; give an image, or the path of one"):
        made.sample()
