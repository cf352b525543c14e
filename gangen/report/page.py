"""Pages: one HTML file each that loads nothing from outside, rendered from ``templates``, where all text is escaped."""

import hashlib
from base64 import b64encode
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from gangen.errors import RunError
from gangen.files import write_atomically
from gangen.metrics.figures import SIGNS_EXPLAINED, is_number, titled
from gangen.printing import visible

TEMPLATES = Path(__file__).with_name("templates")


def write_page(path: Path, template: str, **content: Any) -> Path:
    """Render ``template`` with ``content`` to ``path``; what was there before is replaced.

    Raises RunError where it cannot be written.
    """
    pages = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
    )
    pages.filters["number"] = number
    pages.filters["titled"] = titled
    pages.globals["signs"] = SIGNS_EXPLAINED
    style, script = (Markup((TEMPLATES / name).read_text(encoding="utf-8")) for name in ("page.css", "page.js"))
    # Names the page's only script, so that a browser runs no other.
    script_hash = "sha256-" + b64encode(hashlib.sha256(script.encode()).digest()).decode()
    page = pages.get_template(template).render(content, style=style, script=script, script_hash=script_hash)
    try:
        write_atomically(path, visible(page.lstrip()))
    except OSError as error:
        raise RunError(f"cannot write {path}: {error.strerror}") from None
    return path


def number(value: Any) -> str:
    """A figure as people read it; a dash for what is no number or not finite."""
    if not is_number(value):
        return "-"
    return f"{value:,.0f}" if isinstance(value, int) or 1000 <= abs(value) < 1e9 else f"{value:.4g}"
