"""The servers that are compared, each with a folder, a port and a log of its own."""
import hashlib
import os
import re
import shutil
import subprocess

from content import MANIFEST
from processes import NotMeasured, Process, free_port

NGINX = shutil.which("nginx", path=os.environ.get("PATH", "") + ":/usr/local/sbin:/usr/sbin:/sbin") or "nginx"

# All log a line for each request to a file; nginx in blocks of 64 KiB, which is how it is tuned.
_NGINX = """\
{user}worker_processes auto;
worker_rlimit_nofile 32768;
daemon off;
pid {folder}/nginx.pid;
events {{ worker_connections 8192; }}
http {{
    client_body_temp_path {folder}/temporary;
    proxy_temp_path {folder}/temporary;
    fastcgi_temp_path {folder}/temporary;
    uwsgi_temp_path {folder}/temporary;
    scgi_temp_path {folder}/temporary;
    log_format bench '$remote_addr [$time_local] "$request" $status $body_bytes_sent $request_time';
    access_log {folder}/access.log bench{buffer};
    sendfile on;
    tcp_nopush on;
    keepalive_timeout 10m;
    keepalive_requests 1000000000;
    reset_timedout_connection on;
    open_file_cache max=20000 inactive=10m;
    open_file_cache_valid 10m;
{site}
}}
"""

_FILES = """\
    server {{
        listen 127.0.0.1:{port} backlog=4096;
        add_header Docker-Distribution-Api-Version registry/2.0;
        location = /v2/ {{ default_type application/json; return 200 '{{}}'; }}
        location ~ ^/v2/(?<name>.+)/tags/list$ {{
            default_type application/json;
            return 200 '{{"name":"$name","tags":["latest"]}}';
        }}
        location ~ "^/v2/.+/manifests/(?:sha256:|t)(?<hex>[0-9a-f]{{64}})$" {{
            default_type {manifest};
            add_header Docker-Content-Digest sha256:$hex;
            alias {files}/$hex;
        }}
        location ~ "^/v2/.+/blobs/sha256:(?<hex>[0-9a-f]{{64}})$" {{
            default_type application/octet-stream;
            add_header Docker-Content-Digest sha256:$hex;
            alias {files}/$hex;
        }}
        location / {{ return 404; }}
    }}"""

_PROXY = """\
    proxy_cache_path {folder}/cache levels=1:2 keys_zone=bench:64m inactive=7d use_temp_path=off;
    upstream registry {{ server 127.0.0.1:{upstream}; keepalive 64; }}
    server {{
        listen 127.0.0.1:{port} backlog=4096;
        location / {{
            proxy_pass http://registry;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_cache bench;
            proxy_cache_key $uri;
            proxy_cache_valid 200 7d;
            proxy_cache_lock on;
            proxy_cache_lock_timeout 10m;
            proxy_cache_lock_age 10m;
        }}
    }}"""

_REGISTRY = """\
version: 0.1
log:
  level: error                # its own lines about each request would be logged beside the access log's
  accesslog: {{disabled: false}}
storage:
  filesystem: {{rootdirectory: "{folder}/store", maxthreads: 100}}
  cache: {{blobdescriptor: inmemory}}
http: {{addr: "127.0.0.1:{port}"}}
proxy: {{remoteurl: "http://127.0.0.1:{upstream}"}}
"""

_AMARGO = """\
server: {{listen: "127.0.0.1:{port}"}}
store: {{minFree: 0}}
repositories:
  docker: false
  bench: {{upstream: "http://127.0.0.1:{upstream}", namespaces: [bench.test], default: true, cacheTtl: 7d}}
log: {{level: info}}
"""


class Server:
    """Started at once in an empty folder; `end` removes what it has stored. `before`: a program that it runs under."""

    key = ""
    _ready = "/v2/"

    def __init__(self, folder, before=(), **values):
        shutil.rmtree(folder, ignore_errors=True)
        os.makedirs(folder)
        self.folder, self.port, self.log = folder, free_port(), os.path.join(folder, "log")
        self._values = dict(values, folder=folder, port=self.port)
        self.prepare()
        self.process = Process([*before, *self.arguments()], self.log)
        self.started = self.process.wait_for(self.port, self._ready)  # seconds

    def prepare(self):
        """What has to be there before the start."""

    def arguments(self):
        raise NotImplementedError

    def has(self, path, blob):
        """Whether it is stored for good, by a look at the files."""
        raise NotImplementedError

    def configuration(self, text, **values):
        path = os.path.join(self.folder, "configuration")
        with open(path, "w") as file:
            file.write(text.format(**self._values, **values))
        return path

    def end(self):
        self.process.end()
        shutil.rmtree(self.folder, ignore_errors=True)


class Nginx(Server):
    key = "nginx"
    _site, _buffer = _FILES, " buffer=64k flush=1s"

    def arguments(self):
        path = self.configuration(
            _NGINX, site=self._site.format(**self._values, manifest=MANIFEST), buffer=self._buffer,
            user="user root;\n" if os.geteuid() == 0 else "")
        return [NGINX, "-p", self.folder, "-c", path, "-e", os.path.join(self.folder, "error.log")]


class Upstream(Nginx):
    """The registry that all have in common; its log is written at once, because it is counted."""

    key = "upstream"
    _buffer = ""

    def __init__(self, folder, **values):
        super().__init__(folder, **values)
        self._seen = 0

    def sent(self):
        """(requests, bytes of bodies) of blobs since this was last asked."""
        with open(os.path.join(self.folder, "access.log"), "rb") as file:
            file.seek(self._seen)
            text = file.read()
        self._seen += len(text)
        bodies = [int(size) for size in re.findall(rb'"GET \S+/blobs/\S+ HTTP/1\.[01]" 20[06] (\d+) ', text)]
        return len(bodies), sum(bodies)


class Proxy(Nginx):
    key = "nginx-proxy"
    _site = _PROXY

    def has(self, path, _blob):
        name = hashlib.md5(path.encode()).hexdigest()
        return os.path.exists(os.path.join(self.folder, "cache", name[-1], name[-3:-1], name))


class Registry(Server):
    key = "docker-registry"

    def arguments(self):
        return ["docker-registry", "serve", self.configuration(_REGISTRY)]

    def has(self, _path, blob):
        return os.path.exists(f"{self.folder}/store/docker/registry/v2/blobs/sha256/{blob.hex[:2]}/{blob.hex}/data")


class Amargo(Server):
    key = "amargo"
    _ready = "/ready"

    def prepare(self):
        """`store`: a folder that its own begins as a copy of."""
        if "store" in self._values:
            shutil.copytree(self._values["store"], self.store)

    @property
    def store(self):
        return os.path.join(self.folder, "store")

    def arguments(self):
        return [self._values["binary"], "serve", "--config", self.configuration(_AMARGO), "--store", self.store]

    def has(self, _path, blob):
        return os.path.exists(self.path_of(blob))

    def path_of(self, blob):
        return f"{self.store}/blobs/sha256/{blob.hex[:2]}/{blob.hex}"


KINDS = {kind.key: kind for kind in (Amargo, Nginx, Proxy, Registry)}
TITLES = {"amargo": "Amargo", "nginx": "nginx static", "nginx-proxy": "nginx caching proxy", "docker-registry": "docker-registry",
          "upstream": "upstream", "openssl": "openssl", "cp": "cp and sync"}


def versions(binary):
    """What each program calls itself."""
    asked = {"amargo": [binary, "--version"], "nginx": [NGINX, "-v"], "docker-registry": ["docker-registry", "--version"],
             "wrk": ["wrk", "-v"], "openssl": ["openssl", "version"]}
    found = {}
    for name, arguments in asked.items():
        try:
            result = subprocess.run(arguments, capture_output=True, text=True, timeout=20)
        except OSError as error:
            raise NotMeasured(f"{arguments[0]} cannot be run: {error.strerror}") from error
        found[name] = (result.stdout + result.stderr).strip().splitlines()[0]
    return found
