import NIOCore

/// Which connections there are, whose they are, and what becomes of one more. Pure: no sockets, no clock.
struct ConnectionLedger<Key: Hashable> {
    enum Admission: Equatable {
        case accept
        /// There is room once this idle one has gone, which it shall at once.
        case replace(Key)
        case refuse
    }

    private struct Entry {
        let client: ClientAddress
        /// Told to go; it takes no place any more.
        var isLeaving = false
    }

    private let limits: ServerLimits
    private var entries: [Key: Entry] = [:]
    private var perClient: [ClientAddress: Int] = [:]
    /// Those that hold a place.
    private(set) var staying = 0

    init(limits: ServerLimits) {
        self.limits = limits
    }

    var count: Int { self.entries.count }

    /// Takes a connection in, if need be in the place of the one that has been idle for longest: of the same client when
    /// that has all it may have, of anybody when all are taken.
    ///
    /// - Parameter idleSince: when a connection became idle; nil while it has a request.
    mutating func admit(
        _ key: Key, from client: ClientAddress, at now: NIODeadline, idleSince: (Key) -> NIODeadline?
    ) -> Admission {
        let isCrowded = self.perClient[client, default: 0] >= self.limits.connectionsPerClient
        guard isCrowded || self.staying >= self.limits.connections else {
            self.insert(key, client)
            return .accept
        }
        let latest = now - TimeAmount(self.limits.idleGrace)
        guard let victim = self.idlest(of: isCrowded ? client : nil, notAfter: latest, idleSince) else { return .refuse }
        self.markLeaving(victim)
        self.insert(key, client)
        return .replace(victim)
    }

    /// The connections that have been idle for longest, at most `count`; they are taken for gone.
    mutating func reclaim(_ count: Int, idleSince: (Key) -> NIODeadline?) -> [Key] {
        let idle = self.entries.compactMap { key, entry in entry.isLeaving ? nil : idleSince(key).map { (key, $0) } }
        let chosen = idle.sorted { $0.1 < $1.1 }.prefix(count).map(\.0)
        for key in chosen { self.markLeaving(key) }
        return chosen
    }

    /// A connection that was told to go had got a request in the meantime, and stays.
    mutating func keep(_ key: Key) {
        guard let entry = self.entries[key], entry.isLeaving else { return }
        self.insert(key, entry.client)
    }

    mutating func remove(_ key: Key) {
        self.markLeaving(key)
        self.entries[key] = nil
    }

    private mutating func insert(_ key: Key, _ client: ClientAddress) {
        self.entries[key] = Entry(client: client)
        self.perClient[client, default: 0] += 1
        self.staying += 1
    }

    private mutating func markLeaving(_ key: Key) {
        guard let entry = self.entries[key], !entry.isLeaving else { return }
        self.entries[key]?.isLeaving = true
        self.staying -= 1
        let left = self.perClient[entry.client, default: 1] - 1
        self.perClient[entry.client] = left > 0 ? left : nil
    }

    private func idlest(of client: ClientAddress?, notAfter latest: NIODeadline, _ idleSince: (Key) -> NIODeadline?) -> Key? {
        var best: (key: Key, since: NIODeadline)?
        for (key, entry) in self.entries where !entry.isLeaving && (client == nil || entry.client == client) {
            guard let since = idleSince(key), since <= latest, best.map({ since < $0.since }) ?? true else { continue }
            best = (key, since)
        }
        return best?.key
    }
}
