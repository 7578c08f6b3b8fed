"""The demo: a story of invented people on simulated time, through the real system. ``upright demo``."""

from standalone.demo.command import demo

__all__ = ["demo"]
