"""Transcripts, and the files that they are written to."""
