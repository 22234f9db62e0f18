"""The one family of errors that a user's input can cause."""


class GunileoError(Exception):
    """Bad input or a broken file; the message is one line that names it and says what to do."""
