"""For mkdocs, which builds the site: pages that are made of signatures and not written, as ``gangen docs`` has them."""

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

from gangen.components.registry import Registry
from gangen.reference.pages import MADE, read_page


def on_files(files: Files, config: MkDocsConfig) -> Files:
    registry = Registry.discover()
    for name in MADE:
        files.append(File.generated(config, f"{name}.md", content=read_page(name, registry)))
    return files
