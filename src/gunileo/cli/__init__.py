"""The ``gunileo`` command: one file a subcommand."""
