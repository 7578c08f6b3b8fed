"""Recorded facts → the picture of a patient at ``as_of``. Pure: no clock, no store; all days are in the program's zone.

Whoever projects an event reads it with ``reading.read_facts``; ``picture.picture`` says what is known on a day, and
``moments.next_change`` on which day time alone changes that.
"""
