"""Writes and checks what is generated from the models of ``schemas``: ``python -m standalone.contracts write|check``.

JSON Schemas and the AsyncAPI document stand in ``schemas/generated``, golden examples in ``schemas/examples``.
``write`` refuses a change that readers of the same major version wouldn't survive; ``check`` finds what was left
unwritten or was changed by hand. Needs the development dependencies.
"""
