"""What is said of published models that can't be taken."""

from gunileo.errors import GunileoError


class ImportFault(GunileoError):
    """A published model that can't be imported; the message is one line that names the file and says what to do."""
