"""A short story in real time, told to an installation that runs somewhere else: ``python -m standalone.onstage``.

The demo owns its clock and its servers; here both are the installation's own. So it tells what happens within minutes
of real time under the shipped rules: visits of tomorrow, of which nothing waits for a settle delay or the morning.
"""
