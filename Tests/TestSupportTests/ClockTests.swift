import TestSupport
import Testing

struct ClockTests {
    @Test("a sleeper wakes when the clock reaches its deadline, not before")
    func wakes() async throws {
        let clock = ManualClock()
        async let slept: Void = clock.sleep(for: .seconds(10))
        try await clock.waitForSleepers(1)
        clock.advance(by: .seconds(9))
        #expect(clock.sleeperCount == 1)
        clock.advance(by: .seconds(1))
        try await slept
        #expect(clock.now.offset == .seconds(10))
    }

    @Test("it serves as any clock, and a deadline that has passed does not sleep")
    func existential() async throws {
        let clock: any Clock<Duration> = ManualClock()
        try await clock.sleep(for: .zero)
    }

    @Test("cancelling ends a sleep")
    func cancels() async throws {
        let clock = ManualClock()
        let task = Task { try await clock.sleep(for: .seconds(1)) }
        try await clock.waitForSleepers(1)
        task.cancel()
        await #expect(throws: CancellationError.self) { try await task.value }
        #expect(clock.sleeperCount == 0)
    }

    @Test("the wall clock goes both ways")
    func wallClock() {
        let clock = ManualWallClock(now: 100)
        let read = clock.read
        clock.advance(by: -150)
        #expect(read() == -50)
        clock.set(to: 7)
        #expect(read() == 7)
    }
}
