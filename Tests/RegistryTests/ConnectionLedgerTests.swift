import NIOCore
import Testing

@testable import Registry

struct ConnectionLedgerTests {
    private static let one = ClientAddress.v4(1)
    private static let two = ClientAddress.v4(2)
    private static let now = NIODeadline.uptimeNanoseconds(100_000_000_000)

    /// A ledger that `#expect` can change.
    private final class Book {
        var ledger: ConnectionLedger<Int>

        init(connections: Int, perClient: Int) {
            var limits = ServerLimits()
            limits.connections = connections
            limits.connectionsPerClient = perClient
            self.ledger = ConnectionLedger(limits: limits)
        }

        func admit(
            _ key: Int, from client: ClientAddress, idleSince: (Int) -> NIODeadline? = { _ in nil }
        ) -> ConnectionLedger<Int>.Admission {
            self.ledger.admit(key, from: client, at: ConnectionLedgerTests.now, idleSince: idleSince)
        }

        func reclaim(_ count: Int, idleSince: (Int) -> NIODeadline?) -> [Int] {
            self.ledger.reclaim(count, idleSince: idleSince)
        }
    }

    private static func ago(_ seconds: Int64) -> NIODeadline { self.now - .seconds(seconds) }

    @Test("connections in all: one more is refused while all are busy, and taken once one has gone")
    func connections() {
        let book = Book(connections: 2, perClient: 9)
        #expect(book.admit(1, from: Self.one) == .accept)
        #expect(book.admit(2, from: Self.two) == .accept)
        #expect(book.admit(3, from: Self.two) == .refuse)
        book.ledger.remove(1)
        #expect(book.admit(4, from: Self.two) == .accept)
        #expect(book.ledger.count == 2)
    }

    @Test("connections of one client: its own limit, which others do not feel")
    func connectionsPerClient() {
        let book = Book(connections: 9, perClient: 2)
        for key in 1...2 { #expect(book.admit(key, from: Self.one) == .accept) }
        #expect(book.admit(3, from: Self.one) == .refuse)
        #expect(book.admit(4, from: Self.two) == .accept)
    }

    @Test("the one that has been idle for longest makes room; of another client only when all places are taken")
    func replaces() {
        let idle: [Int: NIODeadline] = [1: Self.ago(5), 2: Self.ago(9), 3: Self.ago(20)]
        let book = Book(connections: 4, perClient: 2)
        for key in 1...2 { _ = book.admit(key, from: Self.one) { idle[$0] } }
        _ = book.admit(3, from: Self.two) { idle[$0] }
        #expect(book.admit(4, from: Self.one) { idle[$0] } == .replace(2))
        #expect(book.admit(5, from: Self.two) { idle[$0] } == .accept)
        #expect(book.admit(6, from: .v4(3)) { idle[$0] } == .replace(3))
    }

    @Test("a connection that has just been made is not taken for idle")
    func idleGrace() {
        let book = Book(connections: 1, perClient: 1)
        _ = book.admit(1, from: Self.one)
        #expect(book.admit(2, from: Self.one) { _ in Self.now - .milliseconds(900) } == .refuse)
        #expect(book.admit(3, from: Self.one) { _ in Self.now - .milliseconds(1000) } == .replace(1))
    }

    @Test("who was told to go is not told again, and counts again when it stays")
    func keeps() {
        let book = Book(connections: 1, perClient: 1)
        _ = book.admit(1, from: Self.one)
        #expect(book.admit(2, from: Self.one) { $0 == 1 ? Self.ago(5) : nil } == .replace(1))
        #expect(book.admit(3, from: Self.one) { $0 == 1 ? Self.ago(5) : nil } == .refuse)
        book.ledger.keep(1)
        book.ledger.remove(2)
        #expect(book.admit(4, from: Self.one) == .refuse)
        book.ledger.remove(1)
        book.ledger.remove(1)
        #expect(book.ledger.staying == 0)
        #expect(book.admit(5, from: Self.one) == .accept)
    }

    @Test("for want of descriptors the longest idle go, however short that is")
    func reclaims() {
        let book = Book(connections: 9, perClient: 9)
        let idle: [Int: NIODeadline] = [1: Self.ago(1), 2: Self.ago(3), 3: Self.ago(2)]
        for key in 1...4 { _ = book.admit(key, from: Self.one) }
        #expect(book.reclaim(2) { idle[$0] } == [2, 3])
        #expect(book.reclaim(2) { idle[$0] } == [1])
        #expect(book.reclaim(2) { idle[$0] }.isEmpty)
    }
}
