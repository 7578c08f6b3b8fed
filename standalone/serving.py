"""One service in this process with its server: begun as a process of its own would begin, and ended like it."""

from contextlib import AsyncExitStack
from dataclasses import dataclass

from chassis.http_server import HttpServer
from chassis.migrations import migrate
from chassis.process import Service
from chassis.settings import HttpSettings


@dataclass(frozen=True, slots=True)
class Serving:
    """A service that listens on ``port``; its parts are started by ``service.supervisor``."""

    service: Service
    server: HttpServer
    port: int

    async def stop(self) -> None:
        """Server, parts, connections; each whatever became of the one before, also if we are cancelled meanwhile."""
        async with AsyncExitStack() as stack:
            stack.push_async_callback(self.service.close)
            stack.push_async_callback(self.service.supervisor.stop)
            stack.push_async_callback(self.server.stop)


async def listen(service: Service, package: str, http: HttpSettings) -> Serving:
    """Migrate the service's store, then listen. A service that can't is closed: ``OSError`` if the port is taken."""
    try:
        await migrate(service.store, package)
        server = HttpServer(service.app, http)
        return Serving(service, server, await server.start())
    except BaseException:
        await service.close()
        raise
