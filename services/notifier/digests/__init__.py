"""Coordinators' digests of matches: asked for on ``trials.digests.v1``, mailed at most once, with counts alone.

No patient is in it, so there is no plan and no guard of consent; the rest is as for every mail: durable before the
first byte, honest afterwards, linted, and only from a program that is complete and an installation that is armed.
"""
