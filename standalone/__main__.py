"""``python -m standalone``: the command line where the project itself isn't installed, as in ``make demo``."""

from standalone.cli import app

app(prog_name="upright")
