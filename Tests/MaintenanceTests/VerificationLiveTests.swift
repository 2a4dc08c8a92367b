import Glibc
import OCI
import Storage
import Synchronization
import TestSupport
import Testing

@testable import Maintenance

extension MaintenanceTests {
    /// Beside a store that changes.
    @Suite struct VerificationLiveTests {
        @Test("what a running store changes meanwhile is no finding")
        func concurrentChange() async throws {
            try await StoreLab.run { (lab) async throws in
                try await lab.serving { (store) async throws in
                    let isDone = StopFlag()
                    try await withThrowingTaskGroup(of: Void.self) { group in
                        group.addTask {
                            var number: UInt64 = 0
                            var kept: [Digest] = []
                            while !isDone.isRaised {
                                number += 1
                                let content = try StoreLab.Content(Fixtures.pseudoRandomBytes(count: 2000, seed: 1000 + number))
                                let repository = try QualifiedRepository(parsing: "docker.io/library/r\(number % 5)")
                                try await lab.put(content, into: store, in: repository)
                                store.setTag(try Tag(parsing: "t\(number % 7)"), in: lab.repository, to: lab.manifest.digest)
                                kept.append(content.digest)
                                if kept.count > 20 {
                                    let gone = kept.removeFirst()
                                    try await onThread { try store.remove([gone]) }
                                }
                                // As fast as busy clients, not as fast as it can: other tests need this machine, too.
                                try await Task.sleep(for: .milliseconds(20))
                            }
                        }
                        let report = try await lab.verify()
                        #expect(report.findings == [], "\(report.lines)")
                        isDone.raise()
                        try await group.waitForAll()
                    }
                }
                let report = try await lab.verify()
                #expect(report.findings == [], "\(report.lines)")
            }
        }

        @Test("damage beside a running store is found by a reader, and mended by the store's own process")
        func repairWhileServing() async throws {
            try await StoreLab.run { (lab) async throws in
                try await lab.serving { (store) async throws in
                    // Stored by this process, so that it hashes it no more; opened, so that it would be sent from the open file.
                    let content = try StoreLab.Content(Fixtures.pseudoRandomBytes(count: 70_000, seed: 8))
                    try await lab.put(content, into: store)
                    _ = try await onThread { try store.openNow(content.digest).get() }
                    try StoreLab.flip(lab.path(content), at: 69_999)
                    #expect(try await lab.verify().kinds == [.damagedBlob])
                    #expect(store.openFile(content.digest) != nil)
                    let reader = try await onThread { try StoreReader(folder: lab.path("")) }
                    var options = VerificationOptions()
                    options.purpose = .repair
                    let report = try await StoreLab.collect { [options] in
                        try await StoreVerification(of: store, before: reader, .serving).run(options, report: $0)
                    }
                    #expect(report.outcome.verdict == .repaired, "\(report.lines)")
                    #expect(store.openFile(content.digest) == nil, "never served again")
                    #expect(!store.catalog.contains(content.digest))
                    #expect(try await lab.verify().outcome.verdict == .clean)
                    try await lab.put(content, into: store)
                    #expect(try await lab.verify().outcome.verdict == .clean)
                }
            }
        }

        @Test("a damaged blob whose layout was never written goes to quarantine all the same")
        func quarantineWithoutLayout() async throws {
            try await StoreLab.run { (lab) async throws in
                let other = try QualifiedRepository(parsing: "ghcr.io/a/b")
                let content = try StoreLab.Content([1, 2, 3])
                try await lab.withStore { (store) async throws in
                    try await lab.put(content, into: store, in: other)
                    try await onThread { store.quarantine(content.digest) }
                    #expect(!Disk.exists(lab.path(content)))
                    #expect(Disk.exists(lab.path("quarantine/sha256-\(content.digest.hex)")))
                }
            }
        }

        @Test("a cancelled verification ends with what it has found")
        func cancelled() async throws {
            try await StoreLab.run { (lab) async throws in
                try Disk.write([1], to: lab.path("blobs/notes.txt"))
                let isCancelled = StopFlag()
                let reader = try await onThread { try StoreReader(folder: lab.path("")) }
                let (findings, gate) = AsyncStream<Void>.makeStream()
                let report = try await StoreLab.collect { report in
                    try await withThrowingTaskGroup(of: VerificationOutcome?.self) { group in
                        group.addTask {
                            try await StoreVerification(reading: reader).run(VerificationOptions()) { event in
                                report(event)
                                guard case .finding = event else { return }
                                gate.yield()
                                // The thread that reports is one of the verification's.
                                while !isCancelled.isRaised { usleep(1000) }
                            }
                        }
                        // The first finding is the stranger, before anything is hashed.
                        for await _ in findings { break }
                        group.cancelAll()
                        isCancelled.raise()
                        return try #require(try await group.next() ?? nil)
                    }
                }
                #expect(report.kinds == [.stranger])
                #expect(report.outcome.hashedBlobs == 0)
                #expect(!report.outcome.isComplete)
                #expect(report.events.last == .end(report.outcome))
            }
        }

        @Test("events survive being a line of JSON")
        func events() throws {
            let finding = Finding(.stranger, "a\"b", "line\nbreak", remedy: "é", weight: .note)
            var progress = VerificationEvent.Progress()
            progress.bytes = 5
            progress.totalBytes = 9
            var outcome = VerificationOutcome()
            outcome.left = 3
            outcome.isComplete = false
            let events: [VerificationEvent] = [
                .finding(finding, .found), .finding(finding, .repaired), .finding(finding, .left("why")), .progress(progress),
                .end(outcome),
            ]
            for event in events {
                #expect(!event.json.contains("\n"))
                #expect(try VerificationEvent(json: Array(event.json.utf8)) == event)
            }
            var options = VerificationOptions()
            options.depth = .sample(0.05)
            options.purpose = .repair
            options.seed = 42
            #expect(try VerificationOptions(json: Array(options.json.utf8)) == options)
            #expect(throws: (any Error).self) { try VerificationEvent(json: Array("{\"event\":\"else\"}".utf8)) }
        }
    }
}
