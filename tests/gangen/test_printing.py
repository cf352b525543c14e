"""What others wrote is shown, and does nothing: in terminals, in files that people look at, in messages."""

import ast
import io
from pathlib import Path

import pytest
from rich.table import Table

from gangen import cli
from gangen.console import Console
from gangen.printing import say, visible

ROOT = Path(__file__).parents[2]
TITLE, CLEAR, CLIPBOARD, C1, AROUND = "\x1b]0;owned\x07", "\x1b[2J", "\x1b]52;c;cm0=\x07", "\x9b31m", "\u202etxt\u2066"
ATTACK = f"{TITLE}{CLEAR}{CLIPBOARD}{C1}{AROUND}\r\x08\x7f"
ACTS = "\x1b\x07\x08\r\x7f\x9b\u202e\u2066"


def test_nothing_in_a_text_acts_and_all_of_it_is_shown():
    harmless = "a\tb\nשלם 春 👍🏽 e\u0301 \u200f"
    assert visible(harmless) == harmless
    assert visible("\x1b[31m\x9b\u202e\ud800\r") == r"\x1b[31m\x9b\u202e\ud800\r"
    assert not set(visible("".join(map(chr, range(0x110000))))) & set(ACTS)


def test_what_is_said_is_written_at_once_so_that_processes_do_not_interrupt_each_other():
    class Raw(io.RawIOBase):
        def writable(self):
            return True

        def write(self, content):
            written.append(bytes(content))
            return len(content)

    written = []
    say("what is wrong\nwhat to do", io.TextIOWrapper(io.BufferedWriter(Raw()), line_buffering=True))  # as stderr is
    assert written == [b"what is wrong\nwhat to do\n"]


@pytest.mark.parametrize("terminal", [True, False])
def test_a_console_reads_no_markup_and_passes_nothing_on_that_acts(terminal):
    written = io.StringIO()
    console = Console(file=written, force_terminal=terminal, color_system=None, width=200)
    table = Table(title=f"[bold]{CLEAR}")
    table.add_column(f"[red]{CLEAR}")
    table.add_row(f"[/nothing] :smile: {ATTACK}")
    console.print(table)
    console.print(f"[link=http://x]{ATTACK}[/link]", soft_wrap=True)
    shown = written.getvalue()
    assert not set(shown) & set(ACTS)
    for words in (r"[bold]\x1b[2J", r"[red]\x1b[2J", "[/nothing] :smile:", r"[link=http://x]\x1b]0;owned\x07"):
        assert words in shown


def test_labels_and_texts_of_data_do_not_steer_the_terminal_nor_the_file_of_a_sheet(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    rows = [
        f'"{label}","{word} {ATTACK} here"'
        for label in (f"a{ATTACK}b", "c")
        for word in ["one", "two", "three", "four"]
    ]
    Path("texts.csv").write_text("\n".join(["label,text", *rows * 4]), encoding="utf-8", newline="")
    Path("recipe.yaml").write_text(
        "data: {use: text/lines, path: texts.csv, label_column: label, tokenizer: characters, max_length: 80}\n"
        "players: {generator: {use: text/lstm, embedding_dim: 4, hidden_dim: 4}}\n"
        "objective: text/gumbel\nphases: {only: {steps: 1, turns: {imitate: 1}}}\n"
    )
    assert cli.main(["data", "recipe.yaml"]) == 0
    said = capsys.readouterr()
    (sheet,) = Path("runs/recipe").glob("*.txt")
    for text in (said.out, said.err, sheet.read_text(encoding="utf-8")):
        assert not set(text) & set(ACTS)
    assert r"a\x1b]0;owned\x07\x1b[2J" in said.out


def test_errors_do_not_steer_the_terminal_and_neither_do_tracebacks(tmp_path, capsys):
    for debug in ([], ["--debug"]):
        assert cli.main([*debug, f"no{ATTACK}thing"]) == 2
        said = capsys.readouterr().err
        assert said and not set(said) & set(ACTS)


def test_everything_is_printed_in_one_place():
    """By ``say``, or on the console of ``gangen.console``: what is printed otherwise would act."""
    for path in [*ROOT.glob("gangen/**/*.py"), *ROOT.glob("plugins/**/*.py")]:
        tree = ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        for node in tree:
            printed = isinstance(node, ast.Call) and getattr(node.func, "id", None) == "print"
            screen = isinstance(node, ast.ImportFrom) and node.module == "rich.console"
            assert not (printed or screen) or path.name in ("printing.py", "console.py"), f"{path}:{node.lineno}"
