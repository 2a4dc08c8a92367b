import OCI
import SystemPackage
import TestSupport
import Testing

@testable import Storage

struct CapacityLedgerTests {
    /// A ledger over a catalog of 1,000 bytes from docker.io and with 10 bytes of overhead.
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

    @Test("without limits there is always room", arguments: [0, 1, 1 << 40, 1 << 62] as [Int64])
    func unlimited(_ bytes: Int64) throws {
        #expect(Self.refusal(try Self.ledger(), bytes, for: try Namespace(parsing: "docker.io")) == nil)
    }

    @Test("sizes that no disk has are refused, one by one and in their sum")
    func absurd() throws {
        let namespace = try Namespace(parsing: "docker.io")
        let ledger = try Self.ledger()
        #expect(Self.refusal(ledger, .max, for: namespace)?.code == .full)
        let reservation = try ledger.reserve(1 << 62, for: namespace)
        #expect(Self.refusal(ledger, 1, for: namespace)?.code == .full)
        #expect(Self.refusal(ledger, .max, for: namespace)?.code == .full)
        _ = consume reservation
        #expect(Self.refusal(ledger, 1, for: namespace) == nil)
    }

    @Test(
        "what is stored, overhead and reservations stay within maxSize",
        arguments: [
            (989, true), (990, true), (991, false), (Int64.max - 1_010, false), (Int64.max - 1_009, false), (.max, false),
        ]
            as [(Int64, Bool)])
    func maxSize(_ bytes: Int64, _ fits: Bool) throws {
        let refusal = Self.refusal(try Self.ledger(maxSize: 2_000), bytes, for: try Namespace(parsing: "ghcr.io"))
        #expect((refusal == nil) == fits)
        if !fits { #expect(refusal?.code == .full) }
        if bytes == 991 { #expect(refusal?.message.contains("store.maxSize") == true) }
    }

    @Test("two reservations share what is left, and the end of one gives its part back")
    func release() throws {
        let ledger = try Self.ledger(maxSize: 2_000)
        let namespace = try Namespace(parsing: "ghcr.io")
        let first = try ledger.reserve(500, for: namespace)
        #expect(Self.refusal(ledger, 490, for: namespace) == nil)
        #expect(Self.refusal(ledger, 491, for: namespace)?.code == .full)
        _ = consume first
        #expect(Self.refusal(ledger, 990, for: namespace) == nil)
        #expect(Self.refusal(ledger, 991, for: namespace)?.code == .full)
    }

    @Test("a registry's cap counts what was pulled from it first")
    func shares() throws {
        let docker = try Namespace(parsing: "docker.io")
        let other = try Namespace(parsing: "ghcr.io")
        let ledger = try Self.ledger(shares: [docker: 1_500, other: 300])
        #expect(Self.refusal(ledger, 500, for: docker) == nil)
        #expect(Self.refusal(ledger, 501, for: docker)?.message.contains("docker.io") == true)
        #expect(Self.refusal(ledger, 300, for: other) == nil)
        #expect(Self.refusal(ledger, 301, for: other)?.code == .full)
        #expect(Self.refusal(ledger, .max, for: docker)?.code == .full)
        #expect(Self.refusal(ledger, 1 << 40, for: try Namespace(parsing: "quay.io")) == nil)
        let reservation = try ledger.reserve(200, for: other)
        #expect(Self.refusal(ledger, 101, for: other)?.code == .full)
        #expect(Self.refusal(ledger, 500, for: docker) == nil)
        _ = consume reservation
        #expect(Self.refusal(ledger, 300, for: other) == nil)
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
        let ledger = try Self.ledger(maxSize: 1_010 + 3 * step)
        var reservation = try ledger.reserve(step, for: namespace)
        try reservation.extend(to: step)
        #expect(reservation.bytes == step)
        try reservation.extend(to: step + 1)
        #expect(reservation.bytes == 2 * step)
        try reservation.extend(to: 3 * step)
        #expect(reservation.bytes == 3 * step)
        #expect(throws: StorageError.self) { try reservation.extend(to: 3 * step + 1) }
        #expect(reservation.bytes == 3 * step)
        #expect(throws: StorageError.self) { try reservation.extend(to: .max) }
        #expect(Self.refusal(ledger, 1, for: namespace)?.code == .full)
        _ = consume reservation
        #expect(Self.refusal(ledger, 3 * step, for: namespace) == nil)
    }

    @Test("what was stored takes the place of its reservation")
    func stored() async throws {
        try await StoreFixture.run { (fixture) async throws in
            try await fixture.withStore(maxSize: 100_000) { (store) async throws in
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
                #expect(Self.refusal(store.capacity, 100_000 - 3, for: repository.namespace)?.code == .full)
            }
        }
    }
}
