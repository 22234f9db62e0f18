"""``python -m gunileo`` is ``gunileo``."""

from gunileo.cli.main import main

if __name__ == "__main__":  # worker processes import this file again
    main()
