"""Compiles every ``body.mjml`` under ``templates/email`` to the ``body.html.j2`` beside it.

``python -m standalone.compile_templates`` writes, ``--check`` only compares and ends with status 1 on a difference. The
compiled files are checked in: only this command needs mrml, a development dependency.
"""

import re
import sys
from collections import Counter
from pathlib import Path

EMAIL = Path(__file__).resolve().parent.parent / "templates" / "email"
_INCLUDE = re.compile(r'<mj-include path="([^"]+)" />')
_JINJA = re.compile(r"\{[{%].*?[%}]\}", re.DOTALL)
_NOTE = "{# Compiled from body.mjml: edit that, then run `make templates`. #}\n"


def compile_all(root: Path = EMAIL) -> dict[Path, str]:
    """The HTML template of every ``body.mjml`` below ``root``, by the path it belongs to."""
    return {
        source.with_name("body.html.j2"): compile_one(source.read_text("utf-8"), root)
        for source in sorted(root.glob("*/*/body.mjml"))
    }


def compile_one(source: str, root: Path = EMAIL) -> str:
    """One HTML template. ``ValueError`` on an unknown MJML tag or a Jinja expression that doesn't survive."""
    import mrml

    mjml = _with_includes(source, root)
    # No fonts: a mail loads nothing from elsewhere.
    html: str = mrml.to_html(mjml, render_options=mrml.RenderOptions(disable_comments=True, fonts={})).content
    # mrml passes what it doesn't know through as it is, without a warning.
    if unknown := re.search(r"<mj-[a-z-]+", html):
        raise ValueError(f"unknown MJML tag {unknown[0]}>")
    for expression, times in Counter(_JINJA.findall(mjml)).items():
        if html.count(expression) < times:
            raise ValueError(f"{expression} doesn't survive compilation")
    return _NOTE + html + "\n"


def disagreements(root: Path = EMAIL) -> list[Path]:
    """Compiled files which aren't what their source gives, and those that have none."""
    compiled = compile_all(root)
    stale = [path for path, html in compiled.items() if not path.exists() or path.read_text("utf-8") != html]
    return stale + sorted(set(root.glob("*/*/body.html.j2")) - set(compiled))


def main(arguments: list[str]) -> int:
    """Exit status: 0 when all agree or were written."""
    if arguments == ["--check"]:
        stale = disagreements()
        for path in stale:
            print(f"{path.relative_to(EMAIL)} isn't what its body.mjml gives: run `make templates`")
        return 1 if stale else 0
    for path, html in compile_all().items():
        path.write_text(html, "utf-8")
    return 0


def _with_includes(source: str, root: Path) -> str:
    """Includes put in by hand: mrml renders an included part outside its parent's layout."""
    while _INCLUDE.search(source):
        source = _INCLUDE.sub(lambda match: (root / match[1]).read_text("utf-8").strip(), source)
    return source


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
