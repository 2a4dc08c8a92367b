import Foundation
import TestSupport
import Testing

@testable import amargo

/// What is said of the server that runs, by its `/health`.
struct ServerCheckTests {
    private static func health(_ change: (inout String) -> Void = { _ in }) -> String {
        var text = """
            {"status":"ok","reason":null,"version":"0.1.0","uptimeSeconds":90,"store":{"path":"/nowhere/store","blobs":7,"bytes":1,
            "journalBytes":1,"maxSize":0,"minFree":0,"lastRefusal":null},"downloads":0,"upstreams":[{"name":"docker","lastError":"it \
            was cut","places":[{"address":"https://x","circuit":"closed"}]}]}
            """
        change(&text)
        return text
    }

    private static func look(
        _ upstream: ScriptedUpstream, _ change: (inout String) -> Void = { _ in }, status: Int = 200, seconds: Double = 5,
        interfaces: [NetworkInterface] = []
    ) async throws -> [Diagnosis] {
        let body = Array(Self.health(change).utf8)
        upstream.scriptForever(.path("/health"), .status(status, headers: [("Content-Type", "application/json")], body: body))
        let settings = try ConfigurationFileTests.read(
            "server: { listen: \"127.0.0.1:\(upstream.port)\" }\nstore: { path: /nowhere/store }")
        let check = ServerCheck(settings: settings, seconds: seconds, version: "0.1.0", interfaces: { interfaces })
        return try await onThread { check.look() }
    }

    @Test("one that is well")
    func well() async throws {
        let found = try await Self.look(try ScriptedUpstream())
        #expect(found.map(\.verdict) == [.ok])
        #expect(found.text == "Amargo 0.1.0, up for 90 s, 7 blobs")
    }

    @Test("one that is degraded, older, on another store, or leaves a registry alone")
    func unwell() async throws {
        let upstream = try ScriptedUpstream()
        let degraded = try await Self.look(upstream) { text in
            text = text.replacingOccurrences(of: "\"ok\",\"reason\":null", with: "\"degraded\",\"reason\":\"the disk is full\"")
        }
        #expect(degraded.map(\.verdict) == [.problem])
        #expect(degraded.text.contains("is degraded: the disk is full"))
        let old = try await Self.look(upstream) { $0 = $0.replacingOccurrences(of: "0.1.0", with: "0.0.9") }
        #expect(old.verdicts("server.version") == [.warning])
        let other = try await Self.look(upstream) { $0 = $0.replacingOccurrences(of: "/nowhere/store", with: "/tmp") }
        #expect(other.verdicts("server.store") == [.warning])
        let apart = try await Self.look(upstream) { $0 = $0.replacingOccurrences(of: "closed", with: "open") }
        #expect(apart.verdicts("server.circuit", of: "docker") == [.warning])
        #expect(apart.text.contains("it was cut"))
    }

    @Test("somebody else on the port, and one that tells nothing")
    func others() async throws {
        let upstream = try ScriptedUpstream()
        let page = try await Self.look(upstream) { $0 = "<html></html>" }
        #expect(page.map(\.verdict) == [.warning])
        #expect(page.text.contains("is not Amargo"))
        #expect(try await Self.look(upstream, { $0 = "{}" }, status: 404).map(\.verdict) == [.note])
    }

    @Test("one that accepts and does not answer, and none at all")
    func silent() async throws {
        let upstream = try ScriptedUpstream()
        let gate = Gate()
        let settings = try ConfigurationFileTests.read("server: { listen: \"127.0.0.1:\(upstream.port)\" }")
        upstream.scriptForever(.path("/health"), .stallBeforeHead(gate))
        let check = ServerCheck(settings: settings, seconds: 0.2)
        #expect(try await onThread { check.look() }.map(\.verdict) == [.problem])
        gate.open()
        upstream.stop()
        #expect(try await onThread { check.look() }.isEmpty, "that nobody listens is said once, elsewhere")
    }

    @Test("containers have a loopback of their own")
    func reach() async throws {
        let bridge = NetworkInterface(name: "docker0", address: [172, 17, 0, 1])
        let upstream = try ScriptedUpstream()
        let found = try await Self.look(upstream, interfaces: [NetworkInterface(name: "eth0", address: [10, 0, 0, 1]), bridge])
        #expect(found.verdicts("server.reach") == [.note])
        #expect(found.text.contains("add \"172.17.0.1:\(upstream.port)\" to server.listen"))
    }

    @Test("answers that are none", arguments: ["", "HTTP/1.1 200", "SSH-2.0-OpenSSH\r\n\r\n", "HTTP/1.1 xyz OK\r\n\r\n"])
    func malformed(_ text: String) {
        #expect(throws: LocalRequest.Failure.malformed) { try LocalRequest.parse(Array(text.utf8)) }
    }
}
