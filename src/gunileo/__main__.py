"""``python -m gunileo`` is ``gunileo``."""

import sys
from typing import NoReturn


def main() -> NoReturn:
    """Load the command line and run it; Ctrl-C ends it while it loads as it does later."""
    try:
        from gunileo.cli import main as command_line
    except KeyboardInterrupt:
        sys.stderr.write("stopped\n")
        sys.exit(130)  # as shells report of a program that Ctrl-C ended
    command_line.main()


if __name__ == "__main__":  # worker processes import this file again
    main()
