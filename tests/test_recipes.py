"""Every recipe that ships can be built and plays two steps of each phase."""

from pathlib import Path

import pytest

RECIPES = Path(__file__).parent.parent / "recipes"
SMALLER = {
    "text_gan": ["data.vocab_size=300", "players.generator.hidden_dim=16"],
    "seqgan": ["data.vocab_size=300", "players.generator.hidden_dim=16", "objective.stride=16"],
    "seqgan_oracle": ["data.vocab_size=50", "data.train_size=200", "data.heldout_size=50"],
    "lines": ["data.path={text}", "data.vocab_size=280", "data.max_length=64", "players.generator.hidden_dim=16"],
    "poems": ["data.path={poems}", "players.generator.hidden_dim=16"],
}


@pytest.mark.parametrize("recipe", sorted(RECIPES.glob("*.yaml")), ids=lambda path: path.stem)
def test_a_recipe_plays_two_steps_of_each_phase(recipe, tmp_path, python):
    text, poems = tmp_path / "text.txt", tmp_path / "poems.txt"
    text.write_text("".join(f"line {number} of a short text\n" for number in range(60)))
    poems.write_text("".join(f"白日依山{chr(0x4E00 + number)}黄河入海流。\n" for number in range(60)), encoding="utf-8")
    overrides = [override.format(text=text, poems=poems) for override in SMALLER.get(recipe.stem, [])]
    phases = [line.split(":")[0].strip() for line in phase_lines(recipe)]
    overrides += [f"phases.{name}.steps=2" for name in phases]
    overrides += ["every.evaluate=0", "trainer.batch_size=8", f"run={tmp_path / 'run'}"]
    said = python("-m", "gangen", recipe, *overrides, cwd=tmp_path).stdout
    assert f"done: {tmp_path / 'run'}" in said
    assert (tmp_path / "run/model/generator.safetensors").is_file()


@pytest.mark.parametrize("recipe", sorted(RECIPES.glob("*.yaml")), ids=lambda path: path.stem)
def test_a_recipe_opens_with_what_it_is_and_its_command(recipe):
    lines = recipe.read_text(encoding="utf-8").splitlines()
    assert lines[0].startswith("# ")
    assert f"accelerate launch -m gangen recipes/{recipe.name}" in "\n".join(lines[:6])


def phase_lines(recipe: Path) -> list[str]:
    """The keys directly below ``phases``."""
    lines = recipe.read_text(encoding="utf-8").splitlines()
    start = lines.index("phases:") + 1
    below = []
    for line in lines[start:]:
        if not line.startswith(" "):
            break
        if line.startswith("  ") and line[2] != " ":
            below.append(line)
    return below
