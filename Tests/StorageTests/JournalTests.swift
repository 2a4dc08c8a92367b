import Glibc
import OCI
import Synchronization
import TestSupport
import Testing

@testable import Storage

/// Appending, and writing the whole file anew.
struct JournalTests {
    private static func generation(_ fixture: StoreFixture) throws -> Int64? {
        let bytes = try Disk.read(fixture.path("journal.jsonl"))
        let line = Array(bytes.prefix { $0 != 0x0A })
        return line.withUnsafeBytes { JournalLine.header($0) }?.generation
    }

    @Test("records that were appended are in the file, in order, each with its number")
    func appends() async throws {
        try await StoreFixture.run { (fixture) async throws in
            try await fixture.withStore { (store) async throws in
                let records = try (1...100).map { try JournalReplayTests.record($0) }
                for record in records[..<50] { store.journal.note(record) }
                try await store.journal.append(Array(records[50...]))
                let outcome = try JournalReplayTests.replay(
                    try Disk.read(fixture.path("journal.jsonl")), store: store.identity.id)
                #expect(outcome.replay.damage == .none)
                #expect(outcome.records == records)
                #expect(outcome.replay.lastSequence == 100)
                #expect(store.journalSize == outcome.replay.size)
            }
        }
    }

    @Test("records that may be lost are written without anybody asking")
    func notes() async throws {
        try await StoreFixture.run { (fixture) async throws in
            try await fixture.withStore { (store) async throws in
                store.journal.note(try JournalReplayTests.record(1))
                try await eventually("the line in the file") {
                    try Disk.text(fixture.path("journal.jsonl")).contains("\"ref\":\"t1\"")
                }
            }
        }
    }

    @Test("callers at the same time share a file and all are heard")
    func concurrent() async throws {
        try await StoreFixture.run { (fixture) async throws in
            try await fixture.withStore { (store) async throws in
                try await withThrowingTaskGroup(of: Void.self) { group in
                    for number in 1...64 {
                        group.addTask { try await store.journal.append([try JournalReplayTests.record(number)]) }
                    }
                    try await group.waitForAll()
                }
                let outcome = try JournalReplayTests.replay(
                    try Disk.read(fixture.path("journal.jsonl")), store: store.identity.id)
                #expect(outcome.replay.damage == .none)
                #expect(try Set(outcome.records) == Set((1...64).map { try JournalReplayTests.record($0) }))
            }
        }
    }

    @Test("after its end nothing is taken any more")
    func closed() async throws {
        try await StoreFixture.run { (fixture) async throws in
            let store = try await fixture.open()
            await store.close()
            await #expect(throws: StorageError.self) { try await store.journal.append([try JournalReplayTests.record(1)]) }
            store.journal.note(try JournalReplayTests.record(2))
            #expect(try !Disk.text(fixture.path("journal.jsonl")).contains("\"op\":\"untag\""))
        }
    }

    @Test("past 1 MiB and twice what lives, the file is written anew and nothing is lost")
    func compacts() async throws {
        try await StoreFixture.run { (fixture) async throws in
            let repository = try Sample.repository()
            let abc = try Sample.abc()
            try await fixture.withStore { (store) async throws in
                try await store.put(abc, in: repository)
                store.setTag(try Tag(parsing: "latest"), in: repository, to: abc.digest)
                store.catalog.apply(.unknown(payload: Array("\"op\":\"future\"".utf8), required: false))
                // 10,000 lines of 150 bytes about one tag: all but the last are dead.
                let tag = try Tag(parsing: "moving")
                for part in 0..<10 {
                    let records = (1...1_000).map {
                        JournalRecord.tag(tag, repository, abc.digest, fetchedAt: Int64(part * 1_000 + $0))
                    }
                    for record in records { store.catalog.apply(record) }
                    try await store.journal.append(records)
                }
                try await store.journal.append([])
                #expect(store.journalSize < 1 << 20)
                #expect(try Int64(Disk.status(fixture.path("journal.jsonl")).st_size) == store.journalSize)
                #expect(try Self.generation(fixture) == 2)
                #expect(!Disk.exists(fixture.path("journal.jsonl.new")))
            }
            try await fixture.withStore { (store) async throws in
                #expect(try store.catalog.tag(Tag(parsing: "latest"), in: repository)?.digest == abc.digest)
                #expect(try store.catalog.tag(Tag(parsing: "moving"), in: repository)?.fetchedAt == 10_000)
                #expect(try await store.contents(of: abc.digest) == abc.bytes)
                #expect(try Disk.text(fixture.path("journal.jsonl")).contains("\"op\":\"future\""))
            }
        }
    }

    @Test("a whole file is a header and a snapshot, and takes the old one's place")
    func compaction() async throws {
        try await StoreFixture.run { (fixture) async throws in
            try await fixture.withStore { (store) async throws in
                let old = try Disk.inode(fixture.path("journal.jsonl"))
                let records = try (1...3).map { try JournalReplayTests.record($0) }
                let result = try await onThread {
                    try JournalCompaction.write(in: store.root, generation: 9, store: store.identity.id) { emit in
                        for record in records { try emit(record) }
                    }
                }
                defer { close(result.descriptor) }
                #expect(result.nextSequence == 4)
                #expect(try Disk.inode(fixture.path("journal.jsonl")) != old)
                #expect(try Int64(Disk.status(fixture.path("journal.jsonl")).st_size) == result.size)
                #expect(try Disk.status(fixture.path("journal.jsonl")).st_mode & 0o777 == 0o600)
                let outcome = try JournalReplayTests.replay(
                    try Disk.read(fixture.path("journal.jsonl")), store: store.identity.id)
                #expect(outcome.records == records)
                #expect(outcome.replay.header?.generation == 9)
            }
        }
    }

    @Test("a snapshot that fails leaves the old file as it was", arguments: [0, 2, 5_000])
    func compactionFails(_ count: Int) async throws {
        struct Stop: Error {}
        try await StoreFixture.run { (fixture) async throws in
            try await fixture.withStore { (store) async throws in
                try await store.journal.append([try JournalReplayTests.record(1)])
                let before = try Disk.read(fixture.path("journal.jsonl"))
                let inode = try Disk.inode(fixture.path("journal.jsonl"))
                let record = try JournalReplayTests.record(1)
                await #expect(throws: Stop.self) {
                    try await onThread {
                        // The first pass only measures; the second writes.
                        let isMeasured = StopFlag()
                        _ = try JournalCompaction.write(in: store.root, generation: 2, store: store.identity.id) { emit in
                            for _ in 0..<count { try emit(record) }
                            if isMeasured.isRaised { throw Stop() }
                            isMeasured.raise()
                        }
                    }
                }
                #expect(try Disk.inode(fixture.path("journal.jsonl")) == inode)
                #expect(try Disk.read(fixture.path("journal.jsonl")) == before)
                #expect(!Disk.exists(fixture.path("journal.jsonl.new")))
                try await store.journal.append([try JournalReplayTests.record(2)])
            }
            #expect(try Disk.text(fixture.path("journal.jsonl")).contains("\"ref\":\"t2\""))
        }
    }

    @Test("a compaction between a change's line and its application waits for it, so that the change is in the new file")
    func unapplied() async throws {
        try await StoreFixture.run { (fixture) async throws in
            let repository = try Sample.repository()
            let pin = Reference.tag(try Tag(parsing: "v1"))
            try await fixture.withStore { (store) async throws in
                let before = store.journalSize
                let compacted = Mutex(false)
                try await onThread {
                    try store.journal.changing {
                        try store.journal.appendAndWait([.pin(pin, repository, at: 1)])
                        store.journal.compact { _ in compacted.withLock { $0 = true } }
                        // The next line is durable behind the request, and nothing was written anew for it.
                        try store.journal.appendAndWait([.unpin(pin, try Sample.repository("other"))])
                        #expect(!compacted.withLock { $0 })
                        #expect(store.journalSize > before)
                        store.catalog.apply(.pin(pin, repository, at: 1))
                    }
                }
                try await eventually("the compaction is over") { compacted.withLock { $0 } }
            }
            try await fixture.withStore { (store) async throws in
                #expect(store.catalog.pins(in: repository) == [pin: 1])
            }
        }
    }
}
