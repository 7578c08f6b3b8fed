"""Matching: verdicts, gates and what changed between two of them. Pure."""
