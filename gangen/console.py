"""The screen of a run and of an evaluation."""

from typing import Any

import rich.console
from rich.text import Text

from gangen.printing import visible


class Console(rich.console.Console):
    """What is printed here is text as it stands, also in tables: no markup is read in it, and nothing in it acts."""

    def render_str(self, text: str, **how: Any) -> Text:
        return super().render_str(visible(text), **how | {"markup": False, "emoji": False, "highlight": False})
