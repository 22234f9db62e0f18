"""The one family of errors that a user's input can cause."""


class GunileoError(Exception):
    """Bad input or a broken file; the message is one line that names it and says what to do."""


class Stopped(GunileoError):
    """Work that was ended by Ctrl-C; the message says what of it stays and how to go on."""
