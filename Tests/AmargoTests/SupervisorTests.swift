import Foundation
import Logging
import TestSupport
import Testing

@testable import amargo

/// What a service manager is told, over a socket of ours. Protocol: sd_notify(3), sd_watchdog_enabled(3).
struct SupervisorTests {
    private static let quiet = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }

    private static func supervisor(_ sink: NotifySink) -> Supervisor {
        Supervisor(Supervision(environment: ["NOTIFY_SOCKET": sink.address]), logger: Self.quiet)
    }

    @Test("the variables say where to speak and how often, and a watchdog of somebody else is not ours")
    func variables() throws {
        let socket = ["NOTIFY_SOCKET": "/run/systemd/notify"]
        func read(_ more: [String: String]) -> Supervision {
            Supervision(environment: socket.merging(more) { $1 }, pid: 4711)
        }
        #expect(Supervision(environment: [:]).socket == nil)
        #expect(read([:]).socket?.path == Array("/run/systemd/notify".utf8))
        #expect(read([:]).watchdog == nil)
        #expect(read(["WATCHDOG_USEC": "30000000"]).watchdog == .seconds(30))
        #expect(read(["WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "4711"]).watchdog == .seconds(30))
        #expect(read(["WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "4712"]).watchdog == nil)
        for odd in ["0", "-1", "x", ""] { #expect(read(["WATCHDOG_USEC": odd]).watchdog == nil) }
        #expect(Supervision(environment: ["WATCHDOG_USEC": "30000000"]).watchdog == nil)
    }

    @Test(
        "an address is a path or an abstract name of at most 107 bytes, and nothing else",
        arguments: ["", "/", "@", "notify", "vsock:2:1234", "/" + String(repeating: "x", count: 107)])
    func oddAddresses(_ text: String) {
        #expect(NotifySocket(text) == nil)
    }

    @Test("an abstract name begins with a zero")
    func abstractName() {
        #expect(NotifySocket("@amargo")?.path == [0] + Array("amargo".utf8))
        #expect(NotifySocket("/" + String(repeating: "x", count: 106)) != nil)
    }

    @Test("start, reload and end are said in the words of the protocol, by path and by abstract name", arguments: [false, true])
    func phases(isAbstract: Bool) async throws {
        let folder = try TemporaryDirectory()
        let sink = try NotifySink(at: isAbstract ? "@amargo-test-\(UInt64.random(in: .min ... .max))" : folder.path("notify"))
        let supervisor = Self.supervisor(sink)
        await supervisor.status("Opening")
        await supervisor.status("Opening")
        await supervisor.ready("Serving")
        await supervisor.status("Serving")
        await supervisor.status("Serving\nREADY=0\u{7}")
        await supervisor.reloading()
        // What is said by the way during a reload would end nobody's wait, and comes with its end.
        await supervisor.status("Something")
        await supervisor.ready("Serving")
        await supervisor.ping()
        await supervisor.stopping("Stopping")
        await supervisor.ready("Serving")
        await supervisor.status("Something")
        await supervisor.reloading()
        await supervisor.ping()
        var messages = try await sink.wait(for: "WATCHDOG=1", count: 2)
        #expect(messages.count == 8)
        let reload = try #require(messages.count > 3 ? messages.remove(at: 3) : nil).split(separator: "\n")
        #expect(
            messages == [
                "STATUS=Opening", "READY=1\nSTATUS=Serving", "STATUS=Serving READY=0 ", "READY=1\nSTATUS=Serving", "WATCHDOG=1",
                "STOPPING=1\nSTATUS=Stopping", "WATCHDOG=1",
            ])
        #expect(reload.first == "RELOADING=1")
        let time = try #require(reload.first { $0.hasPrefix("MONOTONIC_USEC=") })
        let microseconds = try #require(Int64(time.dropFirst(15)))
        var now = timespec()
        clock_gettime(CLOCK_MONOTONIC, &now)
        #expect((0...60_000_000).contains(Int64(now.tv_sec) * 1_000_000 + Int64(now.tv_nsec) / 1000 - microseconds))
    }

    @Test("a start that takes its time is extended, and its error is its own")
    func extending() async throws {
        let folder = try TemporaryDirectory()
        let sink = try NotifySink(at: folder.path("notify"))
        let supervisor = Self.supervisor(sink)
        let value = try await supervisor.extendingStart {
            // As long as it takes to be heard.
            try await sink.wait(for: "EXTEND_TIMEOUT_USEC=30000000")
            return 7
        }
        #expect(value == 7)
        await #expect(throws: SettingsError("no")) { try await supervisor.extendingStart { throw SettingsError("no") } }
    }

    @Test("nobody is told anything where nobody listens, and a socket that is gone ends nothing")
    func nobody() async throws {
        let silent = Supervisor(Supervision(), logger: Self.quiet)
        #expect(!silent.isListening)
        await silent.ready("Serving")
        #expect(try await silent.extendingStart { 7 } == 7)
        let folder = try TemporaryDirectory()
        let lost = Supervisor(Supervision(environment: ["NOTIFY_SOCKET": folder.path("gone")]), logger: Self.quiet)
        await lost.ready("Serving")
    }

    @Test("the status says where it serves and how much is there, and first what is wrong")
    func statusText() {
        func text(_ degradation: String? = nil, trouble: String? = nil, isOffline: Bool = false) -> String {
            SupervisorReport.text(
                addresses: ["127.0.0.1:3000", "[::1]:3000"], blobs: 1234, bytes: 56_000_000_000, isOffline: isOffline,
                degradation: degradation, trouble: trouble)
        }
        let places = "http://127.0.0.1:3000, http://[::1]:3000"
        #expect(text() == "Serving on \(places): 1,234 blobs, 56 GB")
        #expect(text(isOffline: true) == "Serving on \(places), offline: 1,234 blobs, 56 GB")
        #expect(text("the disk is full") == "Degraded: the disk is full; serving on \(places): 1,234 blobs, 56 GB")
        #expect(
            text("the disk is full", trouble: "not reloaded")
                == "Degraded: the disk is full; not reloaded; serving on \(places): 1,234 blobs, 56 GB")
        #expect(Supervisor.line(String(repeating: "x", count: 5000)).utf8.count < 900)
    }
}
