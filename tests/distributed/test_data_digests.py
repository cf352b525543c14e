"""A run goes on with another number of processes and the same data; other data are refused by all, and told of once."""

RECIPE = """
run: run
data: {use: text/lines, path: lines.txt, heldout_path: held.txt, tokenizer: words}
players: {generator: {use: text/lstm, embedding_dim: 4, hidden_dim: 4}}
objective: text/gumbel
phases: {pretrain: {steps: 4, turns: {imitate: 1}}}
trainer: {batch_size: 4}
every: {sample: 0, checkpoint: 1}
"""


def test_processes_agree_on_whether_the_data_are_those_of_the_run(tmp_path, python):
    (tmp_path / "recipe.yaml").write_text(RECIPE)
    (tmp_path / "lines.txt").write_text("a red house\nan old house\n")
    (tmp_path / "held.txt").write_text("an old red house\n")
    latest = tmp_path / "run/checkpoints/latest"
    python("-m", "gangen", "recipe.yaml", "phases.pretrain.steps=2", cwd=tmp_path)
    assert latest.read_text() == "step-00000002\n"
    # gloo now and then aborts a process that is done, at the interpreter's exit.
    python("-m", "gangen", "recipe.yaml", processes=2, check=False, cwd=tmp_path)
    assert latest.read_text() == "step-00000004\n"
    (tmp_path / "held.txt").write_text("an old red house\nred house\n")
    played = python("-m", "gangen", "recipe.yaml", "phases.pretrain.steps=6", processes=2, check=False, cwd=tmp_path)
    assert played.returncode
    said = "gangen: error: the data are not those that this run was begun with: 2 held-out rows and not 1\n"
    assert played.stderr.count(said) == played.stderr.count("gangen: error") == 1
