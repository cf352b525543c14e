"""The documentation: the pages that travel with the package, and those that are made of what is installed."""

import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from gangen.components.registry import Registry
from gangen.errors import UsageError, did_you_mean
from gangen.hookspecs import KINDS
from gangen.reference.components import kind_lines
from gangen.reference.sections import recipe_lines

RECIPE = "reference/recipe"
# Pages that are made, with their titles.
MADE = {RECIPE: "recipes, key by key"} | {f"reference/{kind.name}": kind.about for kind in KINDS.values()}


def page_lines() -> Iterator[str]:
    """The name of every page and what it is about."""
    titles = {name: path.read_text(encoding="utf-8").partition("\n")[0] for name, path in find_pages().items()}
    titles |= MADE
    width = max(map(len, titles))
    for name, title in titles.items():
        yield f"{name:{width}}  {title.lstrip('# ')}"
    yield "\nread one with: gangen docs NAME"


def read_page(name: str, registry: Registry) -> str:
    """The text of a page. Raises UsageError where there is none of this name."""
    pages = find_pages()
    if name in MADE:
        return "\n".join(made_lines(name, registry))
    if name not in pages:
        known = [*pages, *MADE]
        raise UsageError(f"no page is called {name!r}{did_you_mean(name, known)}\nthere are: {', '.join(known)}")
    return pages[name].read_text(encoding="utf-8").rstrip()


def made_lines(name: str, registry: Registry) -> Iterable[str]:
    """The text of one of the pages ``MADE``."""
    return recipe_lines() if name == RECIPE else kind_lines(registry, name.rpartition("/")[2])


def find_pages() -> dict[str, Path]:
    """The pages of the wheel, or those beside the package in a checkout, by name, as a newcomer reads them."""
    package = Path(__file__).parents[1]
    folder = next(it for it in (package / "docs", package.parent / "docs") if it.is_dir())
    first = ["index", *re.findall(r"\((\w+)\.md\)", (folder / "index.md").read_text(encoding="utf-8"))]
    found = {path.stem: path for path in sorted(folder.glob("*.md"))}
    return {name: found[name] for name in dict.fromkeys([*first, *found])}
