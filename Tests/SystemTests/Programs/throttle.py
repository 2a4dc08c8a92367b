"""Forwards TCP connections on 127.0.0.1 and limits how fast the answers come back.

usage: throttle.py LISTEN_PORT TARGET_PORT BYTES_PER_SECOND
"""

import asyncio
import sys

listen_port, target_port, rate = (int(argument) for argument in sys.argv[1:4])
# A hundred portions a second: smooth enough for a test, cheap enough for one thread.
PORTION = max(1, rate // 100)


async def forward(reader, writer, pause):
    try:
        while data := await reader.read(PORTION):
            writer.write(data)
            await writer.drain()
            if pause:
                await asyncio.sleep(len(data) / rate)
    except ConnectionError:
        pass
    finally:
        writer.close()


async def accept(client_reader, client_writer):
    try:
        upstream_reader, upstream_writer = await asyncio.open_connection("127.0.0.1", target_port)
    except OSError:
        client_writer.close()
        return
    await asyncio.gather(
        forward(client_reader, upstream_writer, False),
        forward(upstream_reader, client_writer, True),
    )


async def main():
    server = await asyncio.start_server(accept, "127.0.0.1", listen_port)
    async with server:
        await server.serve_forever()


asyncio.run(main())
