"""What a person reads of a run: ``report.html``, runs side by side on one page and in the terminal.

``run`` and ``comparison`` write the pages from the parts that the other modules make; ``standings`` is the terminal's.
"""

from gangen.report.run import write_report

__all__ = ["write_report"]
