"""What all rows share: the work folder, content, the upstream, and servers by name."""
import os
import subprocess
import time

import load
import servers
from content import Content
from processes import NotMeasured


class Lab:
    def __init__(self, folder, binary, is_quick):
        self.folder, self.binary, self.is_quick = folder, binary, is_quick
        self.content = Content(folder)
        self._number = 0
        self._running = []
        self.upstream = servers.Upstream(self.path("upstream"), files=self.content.folder)

    def path(self, name):
        return os.path.join(self.folder, name)

    def pick(self, whole, quick):
        return quick if self.is_quick else whole

    def only_needed(self, row):
        """A row's peers; a quick run leaves out those that no target speaks of."""
        named = {"amargo", *(target.of for target in row.targets)}
        return tuple(peer for peer in row.peers if peer in named or not self.is_quick)

    def server(self, key, **values):
        """A new one with nothing stored. `values`: see the servers."""
        self._number += 1
        server = servers.KINDS[key](self.path(f"{key}-{self._number}"), files=self.content.folder, upstream=self.upstream.port,
                                    binary=self.binary, **values)
        self._running.append(server)
        return server

    def store(self, server, path, blob):
        """Asks for it until it comes from the store; looks at every byte each time.

        docker-registry stores by a second download of its own, and goes on asking upstream until that has ended.
        """
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            self.upstream.sent()
            try:
                load.check(server.port, path, blob)
                reason = "it goes on asking the upstream"
            except load.WrongContent:
                raise
            except NotMeasured as error:  # docker-registry also answers 500 for a moment
                reason = error
            time.sleep(0.05)  # the upstream's log has a line when the answer has ended
            if self.upstream.sent() == (0, 0) and isinstance(reason, str):
                return
        raise NotMeasured(f"{server.key} does not store what it was asked for: {reason}")

    def end(self, server):
        server.end()
        self._running.remove(server)

    def end_all(self):
        while self._running:
            self.end(self._running[-1])

    @staticmethod
    def settle():
        """What was written before must not be written during a measurement."""
        subprocess.run(["sync"], check=True)
