import Logging
import OCI
import ServiceLifecycle
import Storage
import Synchronization
import TestSupport
import Testing

@testable import Maintenance

extension MaintenanceTests {
    @Suite struct ScrubTests {
        /// Notes how long a scrub wants to wait, and does not.
        private final class Pauses: Sendable {
            private let durations = Mutex<[Duration]>([])

            var all: [Duration] { self.durations.withLock { $0 } }
            var sum: Duration { self.all.reduce(.zero, +) }

            func pause(_ duration: Duration) async throws {
                try Task.checkCancellation()
                self.durations.withLock { $0.append(duration) }
                await Task.yield()
            }
        }

        private static let silent = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }

        /// Runs a scrub until it has gone round once and wanted to wait for some time in all.
        private static func scrub(
            _ store: ContentStore, _ pace: Scrub.Pace = Scrub.Pace(), until goal: Duration = .zero
        ) async throws -> (report: Scrub.Report, pauses: [Duration]) {
            let pauses = Pauses()
            var pace = pace
            // Other tests leave nothing to a thread that waits for everybody.
            pace.priority = .usual
            let scrub = Scrub(store: store, pace: pace, logger: Self.silent, pause: { try await pauses.pause($0) })
            let services = ServiceGroup(configuration: .init(services: [scrub], logger: Self.silent))
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask { try await services.run() }
                try await eventually("a round is over", within: .seconds(60)) { scrub.report.rounds > 0 && pauses.sum >= goal }
                await services.triggerGracefulShutdown()
                try await group.waitForAll()
            }
            return (scrub.report, pauses.all)
        }

        @Test("a damaged blob is found, never served again, and fetched anew")
        func findsDamage() async throws {
            try await StoreLab.run { (lab) async throws in
                try StoreLab.flip(lab.path(lab.layer), at: 1_200_000)
                try await lab.withStore { (store) async throws in
                    // Large content is sent before it is hashed; nobody hashes it here but the scrub.
                    let report = try await Self.scrub(store).report
                    #expect(report.damaged == 1)
                    #expect(report.blobs == 3)
                    #expect(report.bytes == Int64(lab.contents.reduce(0) { $0 + $1.bytes.count }))
                    #expect(store.openFile(lab.layer.digest) == nil)
                    #expect(!store.catalog.contains(lab.layer.digest))
                    #expect(Disk.exists(lab.path("quarantine/sha256-\(lab.layer.digest.hex)")))
                    try await lab.put(lab.layer, into: store)
                    let file = try await onThread { try store.openNow(lab.layer.digest).get() }
                    #expect(file.size == Int64(lab.layer.bytes.count))
                }
                #expect(try await lab.verify().outcome.verdict == .clean)
            }
        }

        @Test("what was hashed when it was stored is not hashed again soon")
        func skipsRecent() async throws {
            try await StoreLab.run { (lab) async throws in
                try await lab.withStore { (store) async throws in
                    let fresh = try StoreLab.Content([1, 2, 3])
                    try await lab.put(fresh, into: store)
                    #expect(try await Self.scrub(store).report.blobs == 3)
                    #expect(try await Self.scrub(store).report.blobs == 0)
                }
            }
        }

        @Test("a round takes its period, and no second has more than the rate")
        func pace() async throws {
            try await StoreLab.run { (lab) async throws in
                try await lab.withStore { (store) async throws in
                    var pace = Scrub.Pace()
                    pace.period = .seconds(3000)
                    pace.bytesPerSecond = 1e6
                    pace.computing = 1
                    let pauses = try await Self.scrub(store, pace, until: .seconds(2900)).pauses
                    #expect(pauses.allSatisfy { $0 <= .seconds(600) })
                    // The layer is nearly the whole store, but no pause is so long that growth would go unnoticed.
                    #expect(pauses.contains { $0 > .seconds(500) })
                }
            }
        }

        @Test("no core is kept busy: computing is waited out twentyfold")
        func computing() async throws {
            try await StoreLab.run { (lab) async throws in
                try await lab.withStore { (store) async throws in
                    var pace = Scrub.Pace()
                    pace.period = .zero
                    pace.priority = .usual
                    pace.bytesPerSecond = .infinity
                    let pauses = Pauses()
                    let scrub = Scrub(store: store, pace: pace, logger: Self.silent, pause: { try await pauses.pause($0) })
                    let services = ServiceGroup(configuration: .init(services: [scrub], logger: Self.silent))
                    try await withThrowingTaskGroup(of: Void.self) { group in
                        group.addTask { try await services.run() }
                        try await eventually("something is hashed", within: .seconds(60)) { scrub.report.blobs >= 3 }
                        await services.triggerGracefulShutdown()
                        try await group.waitForAll()
                    }
                    #expect(pauses.sum > .zero)
                }
            }
        }

        @Test("an unreadable or strange file in a blob's place does not stop it", arguments: [true, false])
        func hostile(_ isPipe: Bool) async throws {
            try await StoreLab.run { (lab) async throws in
                let path = lab.path(lab.layer)
                try Disk.remove(path)
                if isPipe { try Disk.makePipe(path) } else { try Disk.link("/dev/zero", at: path) }
                try await lab.withStore { (store) async throws in
                    let report = try await Self.scrub(store).report
                    #expect(report.blobs == 2)
                }
            }
        }
    }
}
