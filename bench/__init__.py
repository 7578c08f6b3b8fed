"""Benchmarks: each figure beside a limit that is measured in the same run. ``python -m bench`` runs them all."""
