"""For mkdocs, which builds the site: pages that are made of signatures and not written, as ``gangen docs`` has them.

Below a component whose recipe was played in this checkout stands the last sheet of samples that came of it, and below
others the command that makes one.
"""

import re
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

from gangen.components.registry import Registry
from gangen.reference.pages import MADE, read_page


def on_files(files: Files, config: MkDocsConfig) -> Files:
    registry = Registry.discover()
    sheets = _sheets(Path(config.config_file_path).parent / "runs")
    for name in MADE:
        page = re.sub(r"^Recipes: `.*$", lambda line: _shown(line[0], sheets), read_page(name, registry), flags=re.M)
        files.append(File.generated(config, f"{name}.md", content=page))
    for name, path in sheets.items():
        if path.suffix == ".png":
            files.append(File.generated(config, f"reference/{name}.png", abs_src_path=str(path)))
    return files


def _sheets(runs: Path) -> dict[str, Path]:
    """The last sheet of each run, by the name of the recipe, which is that of its folder."""
    return {path.parents[1].name: path for path in sorted(runs.glob("*/samples/step-*.*"))}


def _shown(line: str, sheets: dict[str, Path]) -> str:
    """The line of a component's recipes, and below it what came of the first that was played, or how to have that."""
    names = re.findall(r"`(\w+)`", line)
    played = next((name for name in names if name in sheets), None)
    if played is None:
        return f"{line}\n\n`gangen {names[0]} && make docs` shows here what it draws."
    sheet, line = sheets[played], f"{line}\n\n`gangen {played}` drew this:\n\n"
    if sheet.suffix == ".png":
        return f"{line}![samples]({played}.png)"
    rows = sheet.read_text(encoding="utf-8").partition("\n\n")[0].splitlines()
    return line + "\n".join(f"    {row}" for row in rows[:5])
