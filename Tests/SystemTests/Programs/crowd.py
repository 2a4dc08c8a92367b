"""Good clients in a crowd of bad ones: slow readers, half-sent requests, resets. Prints what became of them as JSON.

usage: crowd.py PORT PATH SEED

Each kind comes from addresses of its own in 127/8, so that the limit for one client is not what is tried.
"""

import asyncio
import hashlib
import json
import random
import resource
import socket
import struct
import sys

port, path, seed = int(sys.argv[1]), sys.argv[2], int(sys.argv[3])
READERS, HALVES, RESETS, GOOD, ROUNDS = 200, 1000, 200, 8, 2
REQUEST = f"GET {path} HTTP/1.1\r\nHost: a\r\n\r\n".encode()
chance = random.Random(seed)
hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 65536), hard))


async def connect(address, window=None):
    client = socket.socket()
    client.setblocking(False)
    if window:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, window)
    client.bind((address, 0))
    await asyncio.get_running_loop().sock_connect(client, ("127.0.0.1", port))
    return client


async def half(number):
    """Begins to ask, and says no more."""
    loop = asyncio.get_running_loop()
    client = await connect(f"127.0.2.{1 + number // 200}")
    await loop.sock_sendall(client, b"GET /v2/ HTTP/1.1\r\nHost: a\r\nX: " + b"x" * chance.randrange(4000))
    return client


async def slow(received, number):
    """Reads a KiB a second, as long as it is let."""
    loop = asyncio.get_running_loop()
    client = await connect("127.0.3.1", window=4096)
    await loop.sock_sendall(client, REQUEST)
    while data := await loop.sock_recv(client, 1024):
        received[number] += data
        await asyncio.sleep(1)


async def reset(number):
    """Leaves without a word, somewhere within the answer."""
    loop = asyncio.get_running_loop()
    client = await connect("127.0.4.1")
    rest = chance.randrange(1 << 20)
    await loop.sock_sendall(client, REQUEST)
    while rest > 0:
        data = await loop.sock_recv(client, min(rest, 1 << 16))
        if not data:
            break
        rest -= len(data)
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.close()


async def body_of(client):
    """Yields the body piece by piece, as long as its head says that it is."""
    loop = asyncio.get_running_loop()
    head = b""
    while b"\r\n\r\n" not in head:
        data = await loop.sock_recv(client, 1 << 16)
        if not data:
            raise ConnectionError(f"no head: {head!r}")
        head += data
    head, _, piece = head.partition(b"\r\n\r\n")
    if not head.startswith(b"HTTP/1.1 200 "):
        raise ConnectionError(f"refused: {head!r}")
    fields = (line.split(b":", 1) for line in head.lower().split(b"\r\n")[1:])
    rest = int(next(value for name, value in fields if name == b"content-length"))
    while True:
        yield piece
        rest -= len(piece)
        if rest == 0:
            return
        piece = await loop.sock_recv(client, min(rest, 1 << 18))
        if not piece:
            raise ConnectionError(f"cut, {rest} bytes before the end")


async def good(number):
    client = await connect("127.0.0.1")
    sha256 = hashlib.sha256()
    prefix = b""
    try:
        await asyncio.get_running_loop().sock_sendall(client, REQUEST)
        async for piece in body_of(client):
            sha256.update(piece)
            if len(prefix) < 1 << 17:
                prefix += piece
    finally:
        client.close()
    return sha256.hexdigest(), prefix


async def main():
    received = [b""] * READERS
    halves = await asyncio.gather(*(half(number) for number in range(HALVES)))
    readers = [asyncio.create_task(slow(received, number)) for number in range(READERS)]
    while not all(received):
        await asyncio.sleep(0.01)
        for reader in readers:
            if reader.done():
                reader.result()
                raise ConnectionError("a slow reader got nothing")
    resets = [asyncio.create_task(reset(number)) for number in range(RESETS)]
    bodies = []
    for _ in range(ROUNDS):
        bodies += await asyncio.gather(*(good(number) for number in range(GOOD)))
    left = await asyncio.gather(*resets, return_exceptions=True)
    prefix = bodies[0][1]
    wrong = sum(not prefix.startswith(data.partition(b"\r\n\r\n")[2]) for data in received)
    print(json.dumps({
        "digests": [digest for digest, _ in bodies],
        "halves": len(halves),
        "readers": sum(not reader.done() for reader in readers),
        "wrongReaders": wrong,
        "resets": sum(failure is None for failure in left),
    }))
    for reader in readers:
        reader.cancel()
    await asyncio.gather(*readers, return_exceptions=True)
    for client in halves:
        client.close()


asyncio.run(main())
