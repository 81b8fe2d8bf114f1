"""A WebSocket client as people write it with the `websockets` package: prints what it met, as JSON."""

import asyncio
import json
import sys

import websockets


async def main(url: str, token: str) -> dict:
    met = {}
    headers = {"Authorization": f"Bearer {token}"}
    async with websockets.connect(url, additional_headers=headers) as socket:
        await (await socket.ping())
        await socket.send(json.dumps({"type": "ping", "client_time": 7}))
        met["pong"] = json.loads(await socket.recv())
        # An iterable is sent in fragments.
        await socket.send(['{"type":', '"what is', ' this"}'])
        met["error"] = json.loads(await socket.recv())
    met["closed"] = socket.close_code
    try:
        async with websockets.connect(url + "?token=nonsense"):
            pass
    except websockets.exceptions.InvalidStatus as refused:
        met["refused"] = refused.response.status_code
    async with websockets.connect(f"{url}?token={token}") as socket:
        await socket.send("x" * 20_000)
        try:
            await socket.recv()
        except websockets.exceptions.ConnectionClosedError as closed:
            met["too_large"] = closed.rcvd.code
    return met


print(json.dumps(asyncio.run(main(*sys.argv[1:]))))
