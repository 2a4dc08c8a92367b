import OCI
import Synchronization
import TestSupport
import Testing

@testable import PullThrough

/// P7: at most 64 questions to an upstream at once, and trouble in one repository does not hold up another.
struct FairGateTests {
    private static func name(_ text: String) throws -> RepositoryName { try RepositoryName(parsing: Substring(text)) }

    @Test("a repository has half of the places, all together have all of them")
    func places() throws {
        var gate = FairGate.StateMachine(limit: 64)
        let (a, b, c) = (try Self.name("a"), try Self.name("b"), try Self.name("c"))
        let first = (0..<40).map { _ in gate.arrive(a) == nil }
        #expect(first.filter { $0 }.count == 32)
        let second = (0..<40).map { _ in gate.arrive(b) == nil }
        #expect(second.filter { $0 }.count == 32)
        let third = gate.arrive(c)
        #expect(third != nil)
    }

    @Test("those who wait are let in one repository after the other")
    func turns() throws {
        var gate = FairGate.StateMachine(limit: 2)
        let (a, b) = (try Self.name("a"), try Self.name("b"))
        _ = gate.arrive(a)
        _ = gate.arrive(b)
        let waiting = [gate.arrive(a), gate.arrive(a), gate.arrive(a), gate.arrive(b)]
        let tickets = waiting.compactMap { $0 }
        try #require(tickets.count == 4)
        // b's one does not stand behind all of a's.
        let afterB = gate.leave(b)
        #expect(afterB == [tickets[3]], "a has its share already")
        let afterA = gate.leave(a)
        #expect(afterA == [tickets[0]])
        let afterB2 = gate.leave(b)
        #expect(afterB2.isEmpty)
        let afterA2 = gate.leave(a)
        #expect(afterA2 == [tickets[1]])
    }

    @Test("who does not wait any more is passed over")
    func cancelled() throws {
        var gate = FairGate.StateMachine(limit: 2)
        let a = try Self.name("a")
        _ = gate.arrive(a)
        let waiting = [gate.arrive(a), gate.arrive(a)]
        let tickets = waiting.compactMap { $0 }
        gate.cancel(tickets[0])
        let admitted = gate.leave(a)
        #expect(admitted == [tickets[1]])
        let none = gate.leave(a)
        #expect(none.isEmpty)
    }

    /// Who is in at this moment, and how many there were at most.
    private final class Occupancy: Sendable {
        private let state = Mutex((now: 0, most: 0))

        var most: Int { self.state.withLock { $0.most } }
        var isTaken: Bool { self.state.withLock { $0.now > 0 } }

        func enter() {
            self.state.withLock { state in
                state.now += 1
                state.most = max(state.most, state.now)
            }
        }

        func leave() { self.state.withLock { $0.now -= 1 } }
    }

    @Test("a thousand questions are asked, never more at once than there are places")
    func many() async throws {
        let gate = FairGate(limit: 8)
        let occupancy = Occupancy()
        let repositories = try ["a", "b", "c", "d", "e"].map { try Self.name($0) }
        try await withThrowingTaskGroup(of: Void.self) { group in
            for number in 0..<1000 {
                let repository = repositories[number % 5]
                group.addTask {
                    try await gate.pass(repository, within: .seconds(600)) {
                        occupancy.enter()
                        await Task.yield()
                        occupancy.leave()
                    }
                }
            }
            try await group.waitForAll()
        }
        #expect((1...8).contains(occupancy.most))
    }

    @Test("who waits too long is told so, who is cancelled goes, and the place is there for the next")
    func impatient() async throws {
        let gate = FairGate(limit: 1)
        let name = try Self.name("a")
        let door = AsyncStream.makeStream(of: Never.self)
        let occupancy = Occupancy()
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask {
                try await gate.pass(name, within: .seconds(600)) {
                    occupancy.enter()
                    for await _ in door.stream {}
                    occupancy.leave()
                }
            }
            try await eventually("the place is taken") { occupancy.isTaken }
            do {
                try await gate.pass(name, within: .milliseconds(1)) { occupancy.enter() }
            } catch let error as PullThroughError {
                #expect(error.code == .unavailable)
            }
            await withTaskGroup(of: Void.self) { waiting in
                waiting.addTask {
                    await #expect(throws: CancellationError.self) {
                        try await gate.pass(name, within: .seconds(600)) { occupancy.enter() }
                    }
                }
                waiting.cancelAll()
            }
            #expect(occupancy.most == 1)
            door.continuation.finish()
            try await group.waitForAll()
        }
        let answer = try await gate.pass(name, within: .seconds(600)) { 5 }
        #expect(answer == 5)
    }
}
