import OCI
import Synchronization
import Testing

@testable import Storage

@Suite("Record queue")
struct RecordQueueTests {
    @Test("records are applied in their order, all of them before it ends", arguments: [0, 1, 511, 512, 513, 1_024, 100_000])
    func order(_ count: Int) throws {
        let digest = try Digest(parsing: "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855")
        let seen = Mutex<[Int64]>([])
        let queue = RecordQueue { record, isBehindGap in
            guard case .use(_, let at, _) = record else { return }
            seen.withLock { $0.append(isBehindGap ? -at : at) }
        }
        for number in 0..<count { queue.add(.use(digest, at: Int64(number)), number >= 1_000) }
        queue.finish()
        #expect(seen.withLock { $0 } == (0..<count).map { $0 >= 1_000 ? -Int64($0) : Int64($0) })
    }
}
