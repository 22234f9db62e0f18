"""Models that users teach their own commands."""
