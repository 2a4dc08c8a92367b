"""Sends raw requests that want to be more than one line in somebody's log, each on a connection of its own.

usage: requests.py PORT
"""

import socket
import sys
import urllib.parse

port = int(sys.argv[1])
CANARIES = [
    "\n2026-11-24T00:00:00.000Z ERROR canary",
    "\r\ncanary",
    "\x1b[2Kcanary",
    "\u202ecanary\u2066",
    "\u061ccanary\ufeff",
    "\x85canary\u2028",
    '"}\n{"level":"error","message":"canary"}',
    '{"level":"error","message":"canary"}',
    "canary level=error status=200",
]
TARGETS = [
    "/v2/library/nginx/manifests/{}",
    "/v2/library/nginx/blobs/{}",
    "/v2/{}/manifests/latest",
    "/v2/library/nginx/manifests/latest?ns={}",
    "/v2/library/nginx/tags/list?n={}",
    "/v2/library/nginx/tags/list?last={}",
    "/v2/library/nginx/referrers/sha256:" + "0" * 64 + "?artifactType={}",
    "/v2/_catalog?last={}&n=1",
    "/{}",
]


def ask(request):
    with socket.create_connection(("127.0.0.1", port), timeout=30) as client:
        client.sendall(request)
        while client.recv(65536):
            pass


for canary in CANARIES:
    for target in TARGETS:
        for text in (urllib.parse.quote(canary), canary.replace("\n", "%0a").replace("\r", "%0d").replace(" ", "+")):
            head = f"GET {target.format(text)} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n"
            ask(f"{head}\r\n".encode())
    # As they are, where a field may have them; a break in a field is a break all the same.
    for field in ("User-Agent", "Accept", "Range", "X-Forwarded-For"):
        ask(f"GET /v2/nowhere HTTP/1.1\r\nHost: a\r\nConnection: close\r\n{field}: {canary}\r\n\r\n".encode())
ask(b"GET /v2/library/last/manifests/one HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
