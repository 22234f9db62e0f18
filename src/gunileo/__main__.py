"""``python -m gunileo`` is ``gunileo``."""

from gunileo.cli import main

main()
