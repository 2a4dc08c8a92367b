import Synchronization
import TestSupport
import Testing

@testable import Upstream

struct SingleFlightTests {
    private struct Failure: Error, Equatable {
        let text: String
    }

    /// Counts runs; each waits until the test lets it go.
    private final class Work: Sendable {
        private struct State {
            var runs = 0
            var isOpen = false
        }

        private let state = Mutex(State())

        var runs: Int { self.state.withLock { $0.runs } }

        func open() { self.state.withLock { $0.isOpen = true } }

        func run() async throws -> Int {
            let run = self.state.withLock { state in
                state.runs += 1
                return state.runs
            }
            try await eventually("the work's end") { self.state.withLock { $0.isOpen } }
            return run
        }
    }

    /// A key that shows how far its caller has come. All keys of one name are equal.
    private final class Caller: Hashable, Sendable {
        private let name: String
        private let lookups = Atomic(0)

        init(_ name: String = "a") {
            self.name = name
        }

        /// Whether this caller stands in the line behind a run: it has looked for one, looked again, and lined up.
        var isWaiting: Bool { self.lookups.load(ordering: .relaxed) >= 3 }

        static func == (left: Caller, right: Caller) -> Bool { left.name == right.name }

        func hash(into hasher: inout Hasher) {
            self.lookups.add(1, ordering: .relaxed)
            hasher.combine(self.name)
        }
    }

    @Test("many callers at the same time cause one run and share its result")
    func shares() async throws {
        let flight = SingleFlight<Caller, Int>()
        let work = Work()
        let followers = (0..<99).map { _ in Caller() }
        try await withThrowingTaskGroup(of: Int.self) { group in
            group.addTask { try await flight.run(Caller()) { try await work.run() } }
            try await eventually("the run") { work.runs == 1 }
            for follower in followers { group.addTask { try await flight.run(follower) { try await work.run() } } }
            try await eventually("99 who wait") { followers.allSatisfy(\.isWaiting) }
            work.open()
            for try await result in group { #expect(result == 1) }
        }
        #expect(work.runs == 1)
    }

    @Test("other keys do not wait")
    func keys() async throws {
        let flight = SingleFlight<Caller, Int>()
        let work = Work()
        async let slow = flight.run(Caller()) { try await work.run() }
        try await eventually("the first run") { work.runs == 1 }
        #expect(try await flight.run(Caller("b")) { 7 } == 7)
        work.open()
        #expect(try await slow == 1)
    }

    @Test("nothing is remembered afterwards")
    func again() async throws {
        let flight = SingleFlight<Caller, Int>()
        #expect(try await flight.run(Caller()) { 1 } == 1)
        #expect(try await flight.run(Caller()) { 2 } == 2)
        await #expect(throws: Failure.self) { try await flight.run(Caller()) { throw Failure(text: "x") } }
        #expect(try await flight.run(Caller()) { 3 } == 3)
    }

    @Test("a run that fails fails for all who wait")
    func sharesFailure() async throws {
        let flight = SingleFlight<Caller, Int>()
        let work = Work()
        let followers = (0..<9).map { _ in Caller() }
        try await withThrowingTaskGroup(of: Failure?.self) { group in
            @Sendable func failure(of caller: Caller) async throws -> Failure? {
                do {
                    _ = try await flight.run(caller) {
                        _ = try await work.run()
                        throw Failure(text: "the registry is down")
                    }
                    return nil
                } catch {
                    return error as? Failure
                }
            }
            group.addTask { try await failure(of: Caller()) }
            try await eventually("the run") { work.runs == 1 }
            for follower in followers { group.addTask { try await failure(of: follower) } }
            try await eventually("9 who wait") { followers.allSatisfy(\.isWaiting) }
            work.open()
            for try await failure in group { #expect(failure == Failure(text: "the registry is down")) }
        }
        #expect(work.runs == 1)
    }

    @Test("when the one who runs is cancelled, another runs instead")
    func cancelledLeader() async throws {
        let flight = SingleFlight<Caller, Int>()
        let work = Work()
        let leader = Task { try await flight.run(Caller()) { try await work.run() } }
        try await eventually("the first run") { work.runs == 1 }
        let waiting = Caller()
        async let follower = flight.run(waiting) { try await work.run() }
        try await eventually("one who waits") { waiting.isWaiting }
        leader.cancel()
        await #expect(throws: CancellationError.self) { try await leader.value }
        try await eventually("the second run") { work.runs == 2 }
        work.open()
        #expect(try await follower == 2)
    }

    @Test("one who was cancelled while waiting does not run the work himself")
    func cancelledFollower() async throws {
        let flight = SingleFlight<Caller, Int>()
        let work = Work()
        let leader = Task { try await flight.run(Caller()) { try await work.run() } }
        try await eventually("the first run") { work.runs == 1 }
        let waiting = Caller()
        let follower = Task { try await flight.run(waiting) { try await work.run() } }
        try await eventually("one who waits") { waiting.isWaiting }
        follower.cancel()
        leader.cancel()
        await #expect(throws: CancellationError.self) { try await leader.value }
        await #expect(throws: CancellationError.self) { try await follower.value }
        #expect(work.runs == 1)
    }
}
