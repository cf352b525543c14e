"""The documentation, which travels with the package: its pages, to be read in a terminal."""

from collections.abc import Iterator
from pathlib import Path

from gangen.errors import UsageError, did_you_mean


def page_lines() -> Iterator[str]:
    """The name of every page and what it is about."""
    pages = find_pages()
    width = max(map(len, pages), default=0)
    for name, path in pages.items():
        title, _, _ = path.read_text(encoding="utf-8").partition("\n")
        yield f"{name:{width}}  {title.lstrip('# ')}"
    yield "\nread one with: gangen docs NAME"


def read_page(name: str) -> str:
    """The text of a page. Raises UsageError where there is none of this name."""
    pages = find_pages()
    if name not in pages:
        raise UsageError(f"no page is called {name!r}{did_you_mean(name, pages)}\nthere are: {', '.join(pages)}")
    return pages[name].read_text(encoding="utf-8").rstrip()


def find_pages() -> dict[str, Path]:
    """The pages of the wheel, or those beside the package in a checkout, by name."""
    package = Path(__file__).parents[1]
    folder = next(it for it in (package / "docs", package.parent / "docs") if it.is_dir())
    return {path.stem: path for path in sorted(folder.glob("*.md"))}
