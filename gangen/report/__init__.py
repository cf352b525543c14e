"""What a person reads of a run: ``report.html``, runs side by side on one page and in the terminal.

``run`` and ``side_by_side`` write the pages, ``terminal`` prints; the other modules make their parts.
"""

from gangen.report.run import write_report

__all__ = ["write_report"]
