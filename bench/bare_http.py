"""The limit of posting: uvicorn, the same reading and validation, one insert, no rules and no log.

``python -m bench.bare_http PORT``, on the store that ``TEST_POSTGRES`` names, in the schema ``BENCH_SCHEMA``.
"""

import os
import sys

import uvicorn
from sqlalchemy import Column, Integer, LargeBinary, MetaData, Table, insert
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from chassis.cloudevents_http import read_http
from chassis.settings import StoreSettings
from chassis.store import Store
from services.intake.posting import read_posted

metadata = MetaData()
bodies = Table("bodies", metadata, Column("id", Integer, primary_key=True), Column("body", LargeBinary))


def app(store: Store) -> Starlette:
    """It answers 202 once the body is stored."""

    async def post(request: Request) -> Response:
        body = await request.body()
        for envelope, data in read_http(request.headers, body):
            read_posted(envelope, data)
        async with store.write() as connection:
            await connection.execute(insert(bodies), [{"body": body}])
        return Response(status_code=202)

    return Starlette(routes=[Route("/v1/events", post, methods=["POST"])])


if __name__ == "__main__":
    opened = Store(StoreSettings(url=os.environ["TEST_POSTGRES"], schema=os.environ["BENCH_SCHEMA"]))
    uvicorn.run(app(opened), port=int(sys.argv[1]), log_config=None, access_log=False)
