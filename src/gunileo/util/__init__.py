"""Files, processes and the terminal; nothing about lips."""
