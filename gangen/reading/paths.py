"""What a path stands for: the files to read, of the split that is wanted; and what lies there besides."""

import glob
import os
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from gangen.account import Account, few
from gangen.errors import DataError

# By which names people call the splits.
SPLITS = (("train", "training"), ("test", "testing"), ("validation", "valid", "val", "dev"))
KNOWN = {name for names in SPLITS for name in names}
PACKED = (".gz", ".bz2", ".xz")

Readable = Callable[[Path], bool]


@dataclass
class Found:
    """The ``files`` that a path stands for, in order, below ``folder`` where it names one; and what else is there."""

    files: list[Path]
    folder: Path | None = None
    others: list[Path] = field(default_factory=list)
    hidden: list[Path] = field(default_factory=list)
    broken: list[Path] = field(default_factory=list)
    empty: list[Path] = field(default_factory=list)
    other_splits: list[Path] = field(default_factory=list)
    outside: list[Path] = field(default_factory=list)

    def tell(self, account: Account) -> None:
        """What is not read."""
        account.pass_over(f"{_files(self.others)} passed over", self.shown(self.others))
        account.pass_over(f"{_files(self.outside)} outside of the split passed over", self.shown(self.outside))
        account.pass_over(f"link{'s' * (len(self.broken) > 1)} to nowhere", self.shown(self.broken))
        if len(splits := self._mixed_splits()) > 1:
            account.warnings.append(
                f"{account.source}: {' and '.join(splits)} are all read; if these are splits, name what to train on"
            )
        if self.empty:
            account.notes.append(f"empty folder{'s' * (len(self.empty) > 1)}: {few(self.shown(self.empty))}")
        if self.hidden:
            account.notes.append(f"{len(self.hidden):,} hidden {_files(self.hidden)} not read")
        if self.other_splits:
            account.notes.append(f"{len(self.other_splits):,} {_files(self.other_splits)} of other splits not read")

    def _mixed_splits(self) -> list[str]:
        """A file for each split whose name occurs in those of files, where no split is told from the others."""
        files: dict[tuple[str, ...], str] = {}
        for name in self.shown(self.files) if self.folder and not self.other_splits else ():
            words = set(re.split(r"[\W_]+", name.lower()))
            for names in SPLITS:
                if not words.isdisjoint(names):
                    files.setdefault(names, name)
        return list(files.values())

    def shown(self, files: Sequence[Path]) -> list[str]:
        """Names below the folder, for messages."""
        # What lies beside the folder of a split is named in full.
        return [
            str(file.relative_to(self.folder) if self.folder and file.is_relative_to(self.folder) else file)
            for file in files
        ]


def suffix_of(path: Path) -> str:
    """The suffix that tells the format of a file, in small letters; that of packing is left aside."""
    return (path.with_suffix("") if path.suffix.lower() in PACKED else path).suffix.lower()


def find(path: str, split: str, readable: Readable, *, media: bool) -> Found:
    """What ``path`` stands for: a file, files that match a pattern, or a folder.

    A folder is read with all that lies below it, also behind links, but for hidden files. Where it has the ``split``,
    as a sub-folder or as files that are called so, also within a single folder that holds all files, that alone is
    read; of ``media``, whose folders may be classes, a folder called like a split is a class where its sisters are.

    Raises:
        DataError: it cannot be told whether sub-folders are splits or classes.
    """
    here = Path(path).expanduser()
    if not here.is_dir():
        matched = [here] if here.is_file() else map(Path, sorted(set(glob.glob(str(here), recursive=True))))
        return Found([file for file in matched if file.is_file()])
    found = Found([], here)
    top = len(here.parts)
    for file in sorted(_walk(here, found)):
        if any(part.startswith(".") or part == "__MACOSX" for part in file.parts[top:]):
            found.hidden += [file] if readable(file) else []
        else:
            (found.files if readable(file) else found.others).append(file)
    names = _names(split)
    below = _splits_below(here, found.files, names)
    inside = [file for file in found.files if _part(file, below) in names]
    if not inside or (media and _are_classes(inside, found.files, below, path)):
        return found
    chosen = set(inside)
    for file in found.files:
        if file not in chosen:
            (found.other_splits if _part(file, below) in KNOWN else found.outside).append(file)
    # What lies beside all splits may belong to this one too, as a table of labels does.
    found.others = [file for file in found.others if len(file.parts) <= below + 1 or _part(file, below) in names]
    found.files = inside
    if len({file.parts[below] for file in inside}) == 1 and len(inside[0].parts) > below + 1:
        found.folder = Path(*inside[0].parts[: below + 1])
    return found


def has_split(path: str, split: str, readable: Readable) -> bool:
    """Whether ``path`` is a folder that has a split, as a sub-folder or as files that are called so."""
    here, names = Path(path).expanduser(), _names(split)
    files = [file for file in _walk(here, Found([])) if readable(file)] if here.is_dir() else []
    below = _splits_below(here, files, names)
    return any(_part(file, below) in names for file in files)


def _splits_below(here: Path, files: Sequence[Path], names: set[str]) -> int:
    """How many parts of paths come before those that may name a split: a folder that holds all else is looked into."""
    top = len(here.parts)
    if not files:
        return top
    common = len(Path(os.path.commonpath([file.parent for file in files])).parts)
    return next((it for it in range(top, common + 1) if any(_part(file, it) in names for file in files)), top)


def _names(split: str) -> set[str]:
    """All names of a split."""
    return {split.lower()}.union(*(names for names in SPLITS if split.lower() in names))


def _part(file: Path, below: int) -> str:
    """The name by which a file may belong to a split: that of the sub-folder that it is in, or its own."""
    name = file.parts[below]
    if len(file.parts) == below + 1:  # "train.csv", or "train-00000-of-00002.parquet", as the hub names them
        name = name.partition(".")[0]
        name = name.partition("-")[0] if "-of-" in name else name
    return name.lower()


def _are_classes(inside: Sequence[Path], files: Sequence[Path], below: int, path: str) -> bool:
    """Whether the folder called like a split is a class, as its sisters are."""
    tops = {file.parts[below] for file in files if len(file.parts) > below + 1}
    sisters = sorted(top for top in tops if top.lower() not in KNOWN)
    if not sisters or any(len(file.parts) > below + 2 for file in inside):
        return False
    mine = inside[0].parts[below]
    splits = sorted(tops - {*sisters, mine})
    if splits:
        raise DataError(
            f"{path}: are {mine} and {', '.join(splits)} splits, or classes as {', '.join(sisters[:3])}?\n"
            f"name the folder to train on ({Path(path) / mine}), or files as a pattern ('{Path(path)}/*/*')"
        )
    return True


def _walk(folder: Path, found: Found) -> Iterator[Path]:
    """All files below a folder, also behind links, but for those that lead back up; empty folders go to ``found``, and
    links to nowhere.
    """
    above: dict[str, frozenset[str]] = {os.path.dirname(folder): frozenset()}
    for root, folders, names in os.walk(folder, followlinks=True):
        real, ancestors = os.path.realpath(root), above.get(os.path.dirname(root), frozenset())
        if real in ancestors:
            folders.clear()
            continue
        above[root] = ancestors | {real}
        if not folders and not names:
            found.empty.append(Path(root))
        for name in names:
            file = Path(root, name)
            if file.is_file():
                yield file
            elif file.is_symlink():
                found.broken.append(file)


def _files(files: Sequence[Path]) -> str:
    return "files" if len(files) > 1 else "file"
