import Foundation
import Logging
import NIOPosix
import Synchronization
import TestSupport
import Testing

@testable import amargo

/// The watchdog is pinged while this process makes progress, and only then.
struct WatchdogTests {
    private static let quiet = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }

    /// Runs a watchdog on a clock of ours; `tick` lets one interval pass and says whether it pinged.
    private static func watching(
        _ probes: [any ProgressProbe], _ body: (_ tick: () async throws -> Bool) async throws -> Void
    ) async throws {
        let clock = ManualClock()
        let pings = Atomic<Int>(0)
        let watchdog = Watchdog(interval: .seconds(30), probes: probes, clock: clock, logger: Self.quiet) {
            pings.add(1, ordering: .relaxed)
        }
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { await watchdog.watch() }
            try await eventually("the watchdog sleeps") { clock.sleeperCount == 1 }
            try await body {
                let before = pings.load(ordering: .relaxed)
                clock.advance(by: .seconds(30))
                // It sleeps again when it has looked and said what it had to say.
                try await eventually("the watchdog has looked") { clock.sleeperCount == 1 }
                return pings.load(ordering: .relaxed) > before
            }
            group.cancelAll()
            try await group.waitForAll()
        }
    }

    private static func state(_ name: String, _ condition: ThreadState.Condition) -> ThreadState {
        ThreadState(name: name, condition: condition)
    }

    @Test("with loops and pools at work it pings each time; not while one loop of several hangs, and again when it goes on")
    func loop() async throws {
        let group = MultiThreadedEventLoopGroup(numberOfThreads: 2)
        let pool = NIOThreadPool(numberOfThreads: 1)
        pool.start()
        let gate = Gate()
        let loops = group.makeIterator().map { LoopProbe($0, threads: { [Self.state("NIO-ELT-0-#0", .waiting)] }) }
        let probes: [any ProgressProbe] = loops + [PoolProbe(pool, "writing", threads: { [] })]
        try await Self.watching(probes) { tick in
            for _ in 0..<3 { #expect(try await Self.eventuallyTrue(tick)) }
            group.next().execute { gate.wait() }
            try await gate.waitUntilReached()
            // The errand of the last look may have been done before the loop was stopped.
            _ = try await tick()
            #expect(try await !tick())
            #expect(try await !tick())
            gate.open()
            #expect(try await Self.eventuallyTrue(tick))
        }
        try await pool.shutdownGracefully()
        try await group.shutdownGracefully()
    }

    /// What is handed in at one look is done by the next one, if the machine has let the thread run meanwhile.
    private static func eventuallyTrue(_ tick: () async throws -> Bool) async throws -> Bool {
        for _ in 0..<200 where try await tick() { return true }
        return false
    }

    @Test(
        "a pool whose threads all wait is stuck; one whose threads compute or wait for a disk is busy",
        arguments: [ThreadState.Condition.waiting, .computing, .waitingForDisk])
    func pool(_ condition: ThreadState.Condition) async throws {
        let pool = NIOThreadPool(numberOfThreads: 2)
        pool.start()
        let gate = Gate()
        for _ in 0..<2 { pool.submit { _ in gate.wait() } }
        try await gate.waitUntilReached(by: 2)
        let probe = PoolProbe(
            pool, "writing",
            threads: {
                // The loops are at work, and that does not count.
                [Self.state("NIO-ELT-0-#0", .computing), Self.state("TP-#0", .waiting), Self.state("TP-#1", condition)]
            })
        let found = await probe.look()
        #expect(found == (condition == .waiting ? "nothing new is begun by the threads for writing" : nil))
        gate.open()
        try await eventually("the pool works again") { await probe.look() == nil }
        try await pool.shutdownGracefully()
    }

    @Test("a thread's state is read from behind its name, whatever the name is")
    func threadState() throws {
        let stuck = ThreadState(stat: "4711 (TP-#3) D 1 4711 4711 0 -1")
        #expect(stuck == ThreadState(name: "TP-#3", condition: .waitingForDisk))
        #expect(stuck?.isOfPool == true)
        let loop = ThreadState(stat: "4712 (NIO-ELT-0-#1) S 1 4711")
        #expect(loop == ThreadState(name: "NIO-ELT-0-#1", condition: .waiting))
        #expect(loop?.isOfLoop == true)
        #expect(ThreadState(stat: "1 (a) R (b) R 1") == ThreadState(name: "a) R (b", condition: .computing))
        for odd in ["", "4711", "4711 ()", "4711 )( S"] { #expect(ThreadState(stat: odd) == nil) }
    }

    @Test("the threads of this process are found with what they do")
    func threads() async throws {
        let gate = Gate()
        Thread {
            let name = fopen("/proc/thread-self/comm", "we")
            fputs("watched", name)
            fclose(name)
            gate.wait()
        }.start()
        try await gate.waitUntilReached()
        try await eventually("the thread waits") {
            ThreadState.all().contains(ThreadState(name: "watched", condition: .waiting))
        }
        gate.open()
    }
}
