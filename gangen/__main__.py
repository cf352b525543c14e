"""``python -m gangen``, which ``accelerate launch -m gangen`` starts on every process."""

import sys

from gangen.cli import main

if __name__ == "__main__":
    sys.exit(main())
