"""The demo: a story of invented people on simulated time, through the real system. ``upright demo``."""
