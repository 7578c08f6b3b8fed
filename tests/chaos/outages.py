"""Servers that crash and stay away: the broker, the store, the mail server; and lines that are cut or slow."""

import asyncio
import random
import time
from contextlib import AsyncExitStack

from tests.chaos.rounds import Fault, Scene
from tests.chaos.site import PATIENCE, SERVICES
from tests.support.eventually import eventually
from tests.support.proxy import Proxy, proxied
from tests.support.servers import Server
from tests.support.smtp_server import Deed

CRASHES = 2
SLOW_SECONDS = 4.0
STORM_SECONDS = 8.0
DELAY_SECONDS = 0.05
CUTS = 3


async def _crash(scene: Scene, server: Server) -> None:
    await asyncio.to_thread(scene.site.pair.kill, server)


async def _up(scene: Scene, server: Server) -> None:
    """And answering: a store that was killed is up some time before it does."""
    await asyncio.to_thread(scene.site.pair.up, server)
    await eventually(lambda: scene.site.answers("notifier"), within=PATIENCE)


async def _killed(scene: Scene, server: Server) -> str:
    for _ in range(CRASHES):
        await asyncio.sleep(random.uniform(0.5, 2.5))  # any moment: what is waited for is chance
        await _crash(scene, server)
        await _up(scene, server)
    return f"{CRASHES} times, up again at once"


async def _away(scene: Scene, server: Server) -> str:
    since = time.monotonic()
    await _crash(scene, server)
    await asyncio.sleep(since + scene.away - time.monotonic())  # an outage has a length
    await _up(scene, server)
    return f"for {scene.away:.0f} s"


async def _absent_at_start(scene: Scene, server: Server) -> str:
    await asyncio.gather(*(each.stop() for each in scene.site.instances.values()))
    await _crash(scene, server)
    await asyncio.gather(*(scene.site.start(each) for each in SERVICES))
    await _up(scene, server)
    return "three services started without it"


async def kafka_killed(scene: Scene) -> str:
    return await _killed(scene, "kafka")


async def kafka_away(scene: Scene) -> str:
    return await _away(scene, "kafka")


async def kafka_absent(scene: Scene) -> str:
    return await _absent_at_start(scene, "kafka")


async def postgres_killed(scene: Scene) -> str:
    return await _killed(scene, "postgres")


async def postgres_away(scene: Scene) -> str:
    return await _away(scene, "postgres")


async def smtp_away(scene: Scene) -> str:
    """Connections are refused, and those which are open are dropped."""
    await scene.site.smtp.stop()
    await asyncio.sleep(scene.away)  # an outage has a length
    await scene.site.smtp.start()
    return f"for {scene.away:.0f} s"


async def smtp_slow(scene: Scene) -> str:
    """Each answer to a dot takes some seconds."""
    smtp = scene.site.smtp
    smtp.script("dot", Deed.STALL, times=None)
    for _ in range(3):
        await asyncio.sleep(SLOW_SECONDS)  # that is how slow it is
        smtp.release()
    smtp.behave()
    smtp.release()
    return f"{SLOW_SECONDS:.0f} s at the dot"


async def smtp_closes_at_the_dot(scene: Scene) -> str:
    """With the mail, and without it; nobody on the other side can tell which."""
    before, smtp = len(scene.site.smtp.mails), scene.site.smtp
    smtp.script("dot", Deed.KEEP_AND_DROP, times=2)
    smtp.script("dot", Deed.DROP, times=2)
    await eventually(lambda: len(smtp.mails) > before + 4, within=PATIENCE)
    smtp.behave()
    return "twice with the mail, twice without"


async def smtp_storm(scene: Scene) -> str:
    """421 to whoever comes, and to whoever is there already and begins a mail."""
    scene.site.smtp.script("greeting", "421 4.3.2 too busy", times=None)
    scene.site.smtp.script("mail", "421 4.3.2 too busy", times=None)
    await asyncio.sleep(STORM_SECONDS)  # that is how long it lasts
    scene.site.smtp.behave()
    return f"for {STORM_SECONDS:.0f} s"


async def lines(scene: Scene) -> str:
    """Between the notifier and each of its servers: some delay all the time, and cuts."""
    site = scene.site
    smtp, postgres = f"127.0.0.1:{site.smtp.port}", site.pair.postgres.rpartition("@")[2].partition("/")[0]
    async with AsyncExitStack() as stack:
        proxies = [
            await stack.enter_async_context(proxied(site.pair.kafka.bootstrap, kafka=True)),
            await stack.enter_async_context(proxied(postgres)),
            await stack.enter_async_context(proxied(smtp)),
        ]
        for each in proxies:
            each.delay = DELAY_SECONDS
        broker, store, mail = proxies
        url = site.pair.postgres.replace(postgres, store.address)
        await site.restart(
            "notifier", KAFKA__BOOTSTRAP=broker.address, STORE__URL=url, SMTP__PORT=str(mail.port)
        )  # fmt: skip
        for each in proxies * CUTS:
            await _cut(each)
        await site.restart("notifier")
    return f"each of 3 lines cut {CUTS} times, {DELAY_SECONDS * 1000:.0f} ms late"


async def _cut(line: Proxy) -> None:
    await asyncio.sleep(random.uniform(0.3, 1.5))  # any moment
    await line.cut()
    await asyncio.sleep(random.uniform(0.2, 1.0))  # a cut has a length
    await line.mend()


SERVERS = [
    Fault("broker killed", kafka_killed),
    Fault("broker away", kafka_away),
    Fault("broker absent at start", kafka_absent),
    Fault("store killed mid-batch", postgres_killed),
    Fault("store away", postgres_away),
]
MAIL = [
    Fault("mail server away", smtp_away),
    Fault("mail server slow", smtp_slow),
    Fault("mail server closes at the dot", smtp_closes_at_the_dot),
    Fault("mail server 421 storm", smtp_storm),
]
LINES = [Fault("lines cut and delayed", lines)]
