"""Back-pressure: what was pushed has left us, or the server spoke, or the line is lost."""

import asyncio
import socket
from collections.abc import AsyncIterator

import pytest

from services.notifier.smtp.transfer import Offers
from services.notifier.smtp.wire import LineLost, Wire

# More than the small socket takes, less than asyncio's own bound for its buffer.
PIECE = b"x" * 40_000


@pytest.fixture
async def line() -> AsyncIterator[tuple[Wire, socket.socket]]:
    ours, theirs = socket.socketpair()
    ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
    theirs.setblocking(False)
    transport, _ = await asyncio.get_running_loop().create_connection(asyncio.Protocol, sock=ours)
    wire = Wire(transport, Offers())
    yield wire, theirs
    theirs.close()
    wire.abort()


async def started(wire: Wire) -> "asyncio.Task[None]":
    task = asyncio.create_task(wire.push(PIECE))
    for _ in range(5):
        await asyncio.sleep(0)
    assert not task.done()
    return task


async def test_a_push_ends_when_all_has_left_and_not_before(line: tuple[Wire, socket.socket]) -> None:
    wire, theirs = line
    pushing = await started(wire)
    read = 0
    while read < len(PIECE):
        read += len(await asyncio.get_running_loop().sock_recv(theirs, 65536))
    await asyncio.wait_for(pushing, 5)


async def test_a_push_ends_when_the_server_speaks_though_it_reads_nothing(line: tuple[Wire, socket.socket]) -> None:
    wire, theirs = line
    pushing = await started(wire)
    theirs.send(b"552 5.3.4 too big\r\n")
    await asyncio.wait_for(pushing, 5)
    assert (await wire.reply(1)).code == 552


async def test_a_push_fails_when_the_line_is_lost(line: tuple[Wire, socket.socket]) -> None:
    wire, theirs = line
    pushing = await started(wire)
    theirs.close()
    with pytest.raises(LineLost):
        await asyncio.wait_for(pushing, 5)
    assert wire.dropped
