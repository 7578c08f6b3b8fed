"""Chaos: the real services on real servers under load, hurt in every way we know; and what came of it, counted.

    python -m tests.chaos --kills 200      # or: make chaos N=200
    python -m tests.chaos --short          # five kills, every fault once, with shorter outages

``load`` says things at intake's HTTP and knows what mail they are owed, ``faults`` is what befalls the ``site``
meanwhile, ``truth`` compares, ``report`` shows. The exit status is 1 when anything was lost or came twice.
"""
