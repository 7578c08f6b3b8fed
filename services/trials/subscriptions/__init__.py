"""Coordinators are told of matches: one append-only log of pseudonymous reports per subscription feeds every channel.

A match event becomes at most one report of a subscription, by match and version. What one changed trial moves is told
as one summary. No report holds a value, a date of birth, or anything of a patient beside a pseudonym.
"""
