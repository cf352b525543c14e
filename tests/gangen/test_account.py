"""What became of all rows is one line, and a warning where something is missing."""

from types import SimpleNamespace

import torch

from gangen import TensorSplit
from gangen.account import Account, told


def test_all_counts_are_in_one_line_with_some_names():
    account = Account("set", "images")
    account.use("to train on", 1000)
    account.use("to train on", 200)
    account.leave_out("unreadable", ["a", "b"])
    account.leave_out("unreadable", ["c", "d"])
    account.leave_out("too long", [], 7)
    account.pass_over("files passed over", ["notes.txt"])
    account.notes.append("pixels 0 to 255")
    assert (account.given, account.left_out, account.complete) == (1211, 11, False)
    assert str(account) == (
        "set: 1,211 images: 1,200 to train on, 4 unreadable: a, b, c, ..., 7 too long; "
        "1 files passed over: notes.txt; pixels 0 to 255"
    )


def test_what_is_not_complete_is_a_warning():
    whole, part = Account("whole"), Account("part")
    whole.warnings.append("odd")
    whole.leave_out("empty", [])
    whole.skip("blank lines", 2)
    part.pass_over("file passed over", ["x"])
    lines, warnings = told(SimpleNamespace(accounts=[whole, part]), "any")
    assert lines == [str(whole)] and warnings == [str(part), "odd"]


def test_sources_without_accounts_have_their_rows_counted():
    data = SimpleNamespace(train=TensorSplit(x=torch.zeros(5)), heldout=TensorSplit(x=torch.zeros(2)))
    assert told(data, "own/source") == (["own/source: 7 rows: 5 to train on, 2 held out"], [])
