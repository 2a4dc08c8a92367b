import Foundation
import OCI
import Upstream

/// The server that runs on the configured addresses: how it is, and whether it is the one that is meant.
struct ServerCheck: BlockingCheck {
    let id = "server.health"
    let settings: Settings
    let seconds: Double
    var version = UserAgent.version
    var interfaces: @Sendable () -> [NetworkInterface] = { NetworkInterface.all() }

    var limit: Duration { .seconds(Int(self.seconds) + 10) }

    func look() -> [Diagnosis] {
        var found: [Diagnosis] = []
        var isServing = false
        for address in self.settings.listen.compactMap({ ListenAddress($0) }) where address.port != 0 {
            guard let host = self.number(address) else { continue }
            do {
                let answer = try LocalRequest.get("/health", at: .tcp(host: host, port: address.port), seconds: self.seconds)
                let diagnoses = self.judge(answer, address)
                isServing = isServing || diagnoses.contains { $0.id == self.id && $0.verdict != .warning }
                found += diagnoses
            } catch {
                found += self.explain(error, address)
            }
        }
        return found + (isServing ? self.reach : [])
    }

    /// Numbers alone: names were resolved, or not, by the check of addresses.
    private func number(_ address: ListenAddress) -> String? {
        if address.isEverywhere { return address.connectHost }
        guard let bytes = address.bytes else { return nil }
        // One that is another host's is none to ask.
        guard address.isLoopback || self.interfaces().contains(where: { $0.address == bytes }) else { return nil }
        if bytes.count == 4 { return bytes.map(String.init).joined(separator: ".") }
        return address.host
    }

    private func explain(_ failure: LocalRequest.Failure, _ address: ListenAddress) -> [Diagnosis] {
        switch failure {
        case .refused: return []  // nobody is there, as the check of addresses says
        case .silent:
            return [
                Diagnosis(
                    self.id, of: address.text, .problem, "somebody accepts connections and does not answer",
                    "Is it stopped, or its disk hanging? The process is named at server.listen and store.holder; restart it.")
            ]
        case .malformed:
            return [Diagnosis(self.id, of: address.text, .warning, "who answers there speaks no HTTP", "See server.listen.")]
        case .forbidden, .io:
            return [Diagnosis(self.id, of: address.text, .warning, "cannot be asked: \(failure)", "See server.listen.")]
        }
    }

    func judge(_ answer: LocalRequest.Answer, _ address: ListenAddress) -> [Diagnosis] {
        guard let health = ServerHealth(answer.body) else {
            if [403, 404].contains(answer.status) {
                return [
                    Diagnosis(
                        self.id, of: address.text, .note, "tells its health to nobody there (status \(answer.status))",
                        "An Amargo tells it on loopback: server.operations; another program tells none.")
                ]
            }
            return [
                Diagnosis(
                    self.id, of: address.text, .warning, "who answers there is not Amargo (status \(answer.status))",
                    "Stop it, or choose another address: server.listen.")
            ]
        }
        var found: [Diagnosis] = []
        if health.isDegraded {
            found.append(
                Diagnosis(
                    self.id, of: address.text, .problem, "is degraded: \((health.reason ?? "no reason is given").harmless)",
                    "It serves what is stored. See space and store here, and the server's log: journalctl -u amargo"))
        } else {
            found.append(
                Diagnosis(
                    self.id, of: address.text, .ok,
                    "Amargo \(health.version.harmless), up for \(PlainDate.span(health.uptime)), \(health.blobs) blobs"))
        }
        if health.version != self.version {
            found.append(
                Diagnosis(
                    "server.version", of: address.text, .warning,
                    "the server is version \(health.version.harmless), this program \(self.version)",
                    "Restart it, so that both are the same: systemctl restart amargo"))
        }
        if let path = health.storePath, !Self.isSame(path, self.settings.storePath) {
            found.append(
                Diagnosis(
                    "server.store", of: address.text, .warning,
                    "the server has the store \(path.harmless), this configuration says \(self.settings.storePath)",
                    "It was started with another configuration: name that with --config, or restart the server."))
        }
        if let refusal = health.lastRefusal, !health.isDegraded {
            found.append(
                Diagnosis(
                    "server.storing", of: address.text, .warning, "something could not be stored of late: \(refusal.harmless)",
                    "See space here."))
        }
        for upstream in health.upstreams where upstream.isLeftAlone {
            found.append(
                Diagnosis(
                    "server.circuit", of: upstream.name.harmless, .warning,
                    "the server leaves it alone for a while: \((upstream.lastError ?? "it has failed").harmless)",
                    "It is tried again every few seconds by itself; what is wrong with it is said below, at upstreams."))
        }
        return found
    }

    private static func isSame(_ one: String, _ other: String) -> Bool { Mount.existing(one) == Mount.existing(other) }

    /// Whether containers can reach it, who have a loopback of their own.
    var reach: [Diagnosis] {
        let addresses = self.settings.listen.compactMap { ListenAddress($0) }
        guard addresses.allSatisfy(\.isLoopback), let port = addresses.first?.port,
            let bridge = self.interfaces().first(where: { $0.isBridge && $0.text != nil }), let address = bridge.text
        else { return [] }
        return [
            Diagnosis(
                "server.reach", .note, "containers cannot reach it: it listens on loopback alone, \(bridge.name) is \(address)",
                "Engines on this host need no more. For builders in containers add \"\(address):\(port)\" to server.listen.")
        ]
    }
}

/// What `/health` says.
struct ServerHealth: Equatable {
    struct Upstream: Equatable {
        var name = ""
        var lastError: String?
        var isLeftAlone = false
    }

    private(set) var isDegraded = false
    private(set) var reason: String?
    private(set) var version = ""
    private(set) var uptime: Int64 = 0
    private(set) var storePath: String?
    private(set) var blobs: Int64 = 0
    private(set) var lastRefusal: String?
    private(set) var upstreams: [Upstream] = []

    /// Nil for what is no such document.
    init?(_ bytes: [UInt8]) {
        do {
            try bytes.withUnsafeBytes { bytes in
                try JSONReader.read(bytes) { reader in
                    try reader.object { reader, key in
                        switch key {
                        case "status": self.isDegraded = try reader.string() == "degraded"
                        case "reason": self.reason = try Self.text(&reader)
                        case "version": self.version = try reader.string()
                        case "uptimeSeconds": self.uptime = try reader.integer()
                        case "store": try self.readStore(&reader)
                        case "upstreams": try reader.array { try self.readUpstream(&$0) }
                        default: try reader.skipValue()
                        }
                    }
                }
            }
        } catch {
            return nil  // somebody else's answer
        }
        guard !self.version.isEmpty else { return nil }
    }

    private static func text(_ reader: inout JSONReader) throws -> String? {
        guard try reader.peek() == .string else {
            try reader.skipValue()
            return nil
        }
        return try reader.string()
    }

    private mutating func readStore(_ reader: inout JSONReader) throws {
        try reader.object { reader, key in
            switch key {
            case "path": self.storePath = try reader.string()
            case "blobs": self.blobs = try reader.integer()
            case "lastRefusal": self.lastRefusal = try Self.text(&reader)
            default: try reader.skipValue()
            }
        }
    }

    private mutating func readUpstream(_ reader: inout JSONReader) throws {
        var upstream = Upstream()
        try reader.object { reader, key in
            switch key {
            case "name": upstream.name = try reader.string()
            case "lastError": upstream.lastError = try Self.text(&reader)
            case "places":
                try reader.array { reader in
                    try reader.object { reader, key in
                        if key == "circuit" {
                            if try reader.string() == "open" { upstream.isLeftAlone = true }
                        } else {
                            try reader.skipValue()
                        }
                    }
                }
            default: try reader.skipValue()
            }
        }
        self.upstreams.append(upstream)
    }
}
