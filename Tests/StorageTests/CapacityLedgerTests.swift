import OCI
import Synchronization
import SystemPackage
import TestSupport
import Testing

@testable import Storage

struct CapacityLedgerTests {
    /// A ledger over one blob of 1,000 bytes from docker.io, which takes a block of 4,096, and with 10 bytes of overhead.
    ///
    /// Every reservation is of whole blocks, and of one more for the names of what comes.
    private static func ledger(maxSize: Int64 = 0, minFree: Int64 = 0, shares: [Namespace: Int64] = [:]) throws -> CapacityLedger
    {
        let folder = try TemporaryDirectory()
        let path = FilePath(folder.path)
        let catalog = Catalog()
        catalog.apply(.blob(try Sample.digest(1), size: 1_000, repository: try Sample.repository(), at: 0))
        return CapacityLedger(
            configuration: StoreConfiguration(path: path, maxSize: maxSize, minFree: minFree, shares: shares), catalog: catalog,
            root: try StoreRoot(opening: path), overhead: { 10 })
    }

    private static func refusal(_ ledger: CapacityLedger, _ bytes: Int64, for namespace: Namespace) -> StorageError? {
        do {
            let reservation = try ledger.reserve(bytes, for: namespace)
            _ = consume reservation
            return nil
        } catch {
            return error as? StorageError
        }
    }

    @Test("without limits there is always room", arguments: [0, 1, 1 << 40, (1 << 62) - 8_192] as [Int64])
    func unlimited(_ bytes: Int64) throws {
        #expect(Self.refusal(try Self.ledger(), bytes, for: try Namespace(parsing: "docker.io")) == nil)
    }

    @Test("sizes that no disk has are refused, one by one and in their sum")
    func absurd() throws {
        let namespace = try Namespace(parsing: "docker.io")
        let ledger = try Self.ledger()
        #expect(Self.refusal(ledger, .max, for: namespace)?.code == .full)
        let reservation = try ledger.reserve((1 << 62) - 4_096, for: namespace)
        #expect(Self.refusal(ledger, 1, for: namespace)?.code == .full)
        #expect(Self.refusal(ledger, .max, for: namespace)?.code == .full)
        _ = consume reservation
        #expect(Self.refusal(ledger, 1, for: namespace) == nil)
    }

    @Test(
        "what is stored, overhead and reservations stay within maxSize",
        arguments: [
            (4_095, true), (4_096, true), (4_097, false), (Int64.max - 4_106, false), (Int64.max - 4_105, false), (.max, false),
        ]
            as [(Int64, Bool)])
    func maxSize(_ bytes: Int64, _ fits: Bool) throws {
        let refusal = Self.refusal(try Self.ledger(maxSize: 4_106 + 8_192), bytes, for: try Namespace(parsing: "ghcr.io"))
        #expect((refusal == nil) == fits)
        if !fits { #expect(refusal?.code == .full) }
        if bytes == 4_097 { #expect(refusal?.message.contains("store.maxSize") == true) }
    }

    @Test("two reservations share what is left, and the end of one gives its part back")
    func release() throws {
        let ledger = try Self.ledger(maxSize: 4_106 + 5 * 4_096)
        let namespace = try Namespace(parsing: "ghcr.io")
        let first = try ledger.reserve(500, for: namespace)
        #expect(Self.refusal(ledger, 8_192, for: namespace) == nil)
        #expect(Self.refusal(ledger, 8_193, for: namespace)?.code == .full)
        _ = consume first
        #expect(Self.refusal(ledger, 16_384, for: namespace) == nil)
        #expect(Self.refusal(ledger, 16_385, for: namespace)?.code == .full)
    }

    @Test("a registry's cap counts what was pulled from it first")
    func shares() throws {
        let docker = try Namespace(parsing: "docker.io")
        let other = try Namespace(parsing: "ghcr.io")
        let ledger = try Self.ledger(shares: [docker: 5 * 4_096, other: 3 * 4_096])
        #expect(Self.refusal(ledger, 12_288, for: docker) == nil)
        #expect(Self.refusal(ledger, 12_289, for: docker)?.message.contains("docker.io") == true)
        #expect(Self.refusal(ledger, 8_192, for: other) == nil)
        #expect(Self.refusal(ledger, 8_193, for: other)?.code == .full)
        #expect(Self.refusal(ledger, .max, for: docker)?.code == .full)
        #expect(Self.refusal(ledger, 1 << 40, for: try Namespace(parsing: "quay.io")) == nil)
        let reservation = try ledger.reserve(200, for: other)
        #expect(Self.refusal(ledger, 1, for: other)?.code == .full)
        #expect(Self.refusal(ledger, 12_288, for: docker) == nil)
        _ = consume reservation
        #expect(Self.refusal(ledger, 8_192, for: other) == nil)
    }

    @Test("minFree bytes of the disk stay free")
    func minFree() throws {
        let namespace = try Namespace(parsing: "docker.io")
        let refusal = Self.refusal(try Self.ledger(minFree: .max), 1, for: namespace)
        #expect(refusal?.code == .full)
        #expect(refusal?.message.contains("store.minFree") == true)
        let ledger = try Self.ledger(minFree: 1)
        #expect(Self.refusal(ledger, 1, for: namespace) == nil)
        #expect(Self.refusal(ledger, .max, for: namespace)?.code == .full)
        let reservation = try ledger.reserve(1_000, for: namespace)
        #expect(Self.refusal(ledger, .max, for: namespace)?.code == .full)
        _ = consume reservation
    }

    @Test("a download of unknown length grows its reservation in steps of 4 MiB")
    func extend() throws {
        let step: Int64 = 4_194_304
        let namespace = try Namespace(parsing: "ghcr.io")
        let ledger = try Self.ledger(maxSize: 4_106 + 3 * step + 4_096)
        var reservation = try ledger.reserve(step, for: namespace)
        #expect(reservation.bytes == step + 4_096)
        try reservation.extend(to: step)
        #expect(reservation.bytes == step + 4_096)
        try reservation.extend(to: step + 1)
        #expect(reservation.bytes == 2 * step + 4_096)
        try reservation.extend(to: 3 * step)
        #expect(reservation.bytes == 3 * step + 4_096)
        #expect(throws: StorageError.self) { try reservation.extend(to: 3 * step + 1) }
        #expect(reservation.bytes == 3 * step + 4_096)
        #expect(throws: StorageError.self) { try reservation.extend(to: .max) }
        #expect(Self.refusal(ledger, 1, for: namespace)?.code == .full)
        _ = consume reservation
        #expect(Self.refusal(ledger, 3 * step, for: namespace) == nil)
    }

    @Test("what is written already does not count twice for minFree")
    func written() throws {
        let namespace = try Namespace(parsing: "ghcr.io")
        let ledger = try Self.ledger()
        var reservation = try ledger.reserve(100_000, for: namespace)
        #expect(ledger.reservedBytes == 106_496)
        #expect(ledger.comingBytes == 106_496)
        reservation.note(written: 60_000)
        #expect(ledger.comingBytes == 46_496)
        reservation.note(written: 50_000)
        #expect(ledger.comingBytes == 46_496)
        reservation.note(written: 1 << 40)
        #expect(ledger.comingBytes == 0)
        _ = consume reservation
        #expect(ledger.comingBytes == 0)
        #expect(ledger.reservedBytes == 0)
    }

    @Test("room is made once for all who wait, and what more than half the cap needs is not tried")
    func makesRoom() throws {
        let namespace = try Namespace(parsing: "ghcr.io")
        let ledger = try Self.ledger(maxSize: 4_106 + 3 * 4_096)
        let asked = Mutex<[Int64]>([])
        ledger.evict { bytes, namespace in
            #expect(namespace == nil)
            asked.withLock { $0.append(bytes) }
            return 0
        }
        let first = try ledger.reserve(1, for: namespace)
        #expect(Self.refusal(ledger, 1, for: namespace)?.code == .full)
        #expect(asked.withLock { $0 } == [4_096])
        _ = consume first
        #expect(Self.refusal(ledger, 8_193, for: namespace)?.code == .full)
        #expect(asked.withLock { $0.count } == 1)
    }

    @Test("what was stored takes the place of its reservation")
    func stored() async throws {
        try await StoreFixture.run { (fixture) async throws in
            try await fixture.withStore(maxSize: 4_000_000) { (store) async throws in
                let repository = try Sample.repository()
                try await onThread {
                    let reservation = try store.capacity.reserve(3, for: repository.namespace)
                    let abc = try Sample.abc()
                    var writer = try store.makeWriter(for: abc.digest)
                    try abc.bytes.withUnsafeBytes { try writer.append($0) }
                    try writer.publish()
                    store.didPublish(abc.digest, size: 3, facts: nil, in: repository)
                    _ = consume reservation
                }
                #expect(store.catalog.total.bytes == 3)
                #expect(store.capacity.reservedBytes == 0)
                #expect(store.capacity.usedBytes >= 4_096)
            }
        }
    }
}
