import Foundation
import TestSupport
import Testing

/// A request that cannot be read in one way only is not read, nor anything behind it. Seen: llhttp CVE-2022-32213 and followers.
@Suite("A: request smuggling", .serialized)
struct SmugglingTests {
    /// What came back on one connection.
    private struct Outcome {
        var statuses: [Int] = []
        /// The peer has ended the connection, one way or the other.
        var hasEnded = false
        /// How often the second request has reached the upstream.
        var smuggled = 0
    }

    @Test("there are cases enough")
    func size() {
        #expect(SmugglingCorpus.allCases.reduce(0) { $0 + $1.cases.count } >= 120)
    }

    @Test("what is refused ends the connection, and nothing behind it is a request", arguments: SmugglingCorpus.allCases)
    func corpus(_ kind: SmugglingCorpus) async throws {
        let upstream = try ScriptedUpstream()
        try await ServerHarness.run(upstream) { server async throws in
            for (number, example) in kind.cases.enumerated() {
                let outcome = try await Self.ask(example.bytes, "canary\(number)", of: server, upstream)
                Self.judge(outcome, example)
            }
        }
    }

    @Test("it makes no difference where the bytes are cut into segments", arguments: SmugglingCorpus.allCases)
    func segments(_ kind: SmugglingCorpus) async throws {
        let upstream = try ScriptedUpstream()
        var options = ServerHarness.Options()
        options.limits.request = .seconds(60)
        try await ServerHarness.run(upstream, options) { server async throws in
            // Some of them, since that takes its time.
            for (number, example) in kind.cases.enumerated() where number.isMultiple(of: 7) {
                let outcome = try await Self.ask(example.bytes, "canary\(number)", of: server, upstream, bytesAtOnce: 3)
                Self.judge(outcome, example)
            }
        }
    }

    private static func ask(
        _ bytes: [UInt8], _ canary: String, of server: ServerHarness, _ upstream: ScriptedUpstream, bytesAtOnce: Int = .max
    ) async throws -> Outcome {
        let connection = try await RawConnection.connect(server.port, timeout: .seconds(20))
        defer { connection.close() }
        let path = "/v2/library/\(canary)/manifests/x"
        let all = bytes + Array("GET \(path) HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n".utf8)
        var outcome = Outcome()
        var answer: [UInt8] = []
        do {
            for start in stride(from: 0, to: all.count, by: min(bytesAtOnce, all.count)) {
                try await connection.send(Array(all[start..<min(all.count, start + min(bytesAtOnce, all.count))]))
            }
        } catch let error as TestSupportError where error.code == .reset {
            // Refused before the last byte was sent; what was answered can still be read.
        }
        do {
            while true {
                let piece = try await connection.readRaw(upTo: 1 << 16)
                if piece.isEmpty { break }
                answer += piece
            }
            outcome.hasEnded = true
        } catch let error as TestSupportError where error.code == .reset {
            outcome.hasEnded = true
        } catch let error as TestSupportError where error.code == .timedOut {
            outcome.hasEnded = false
        }
        // No body of ours has such a text.
        outcome.statuses = String(decoding: answer, as: UTF8.self).components(separatedBy: "HTTP/1.").dropFirst().compactMap {
            Int($0.dropFirst(2).prefix(3))
        }
        outcome.smuggled = upstream.requests(path: path).count
        return outcome
    }

    private static func judge(_ outcome: Outcome, _ example: SmugglingCase) {
        let isRefused = outcome.statuses.count == 1 && (400..<600).contains(outcome.statuses[0]) && outcome.smuggled == 0
        let isAccepted = outcome.statuses == [200, 404] && outcome.smuggled == 1
        let isLast = outcome.statuses == [200] && outcome.smuggled == 0
        let isRight =
            switch example.verdict {
            case .refused: isRefused
            case .accepted: isAccepted
            case .last: isLast
            case .either: isRefused || isAccepted || isLast
            }
        #expect(isRight && outcome.hasEnded, "\(example.text.debugDescription): \(example.why): \(outcome)")
    }
}
