"""What a row is: peers that are measured in turn, and targets for what was measured."""
import load
from processes import NotMeasured

AMARGO, NGINX, PROXY, REGISTRY = "amargo", "nginx", "nginx-proxy", "docker-registry"


class Row:
    """A row's `measure` returns {metric: number} of one peer in one round."""

    name = title = ""
    peers = (AMARGO,)
    targets = ()
    most_rounds = 99

    def open(self, lab):
        """Before the first round: makes content and looks, once and unmeasured, whether every peer serves the right bytes."""

    def measure(self, lab, peer):
        raise NotImplementedError

    def close(self, lab):
        lab.end_all()


class Warm(Row):
    """A row of what is stored: the servers stay, and nobody asks the upstream for a blob."""

    def content(self, lab):
        """[(path, blob)] that are to be stored."""
        raise NotImplementedError

    def open(self, lab):
        self.stored = self.content(lab)
        self.servers = {}
        for peer in lab.only_needed(self):
            server = self.servers[peer] = lab.server(peer)
            for path, blob in self.stored:
                lab.store(server, path, blob)
        lab.settle()
        lab.upstream.sent()

    def measure(self, lab, peer):
        values = self.one(lab, self.servers[peer])
        if lab.upstream.sent()[1]:
            raise NotMeasured(f"{peer} has asked the upstream for what it should have stored")
        return values

    def one(self, lab, server):
        raise NotImplementedError


class Cold(Row):
    """A row of what is absent: every measurement has a new server with an empty store."""

    def measure(self, lab, peer):
        server = lab.server(peer)
        try:
            # The first answer of a process pays for what later ones find done.
            first = lab.content.blob(1000)
            load.check(server.port, first.path("bench/first"), first)
            lab.settle()
            lab.upstream.sent()
            return self.one(lab, server)
        finally:
            lab.end(server)

    def one(self, lab, server):
        raise NotImplementedError


def measured(server, work):
    """(what `work` returned, seconds of CPU that the server took meanwhile)."""
    before = server.process.cpu()
    result = work()
    return result, server.process.cpu() - before
