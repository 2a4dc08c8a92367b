import NIOCore
import NIOPosix
import Synchronization

/// Finds out whether some part of this process still does what it is given.
protocol ProgressProbe: Sendable {
    /// What is stuck since the last look; nil when all is well.
    func look() async -> String?
}

/// Whether a piece of work that was handed in has been done.
private final class Errand: Sendable {
    private let isDone = Atomic<Bool>(true)

    /// Hands in the next one if the last one has been done; false when it has not.
    func renew(_ handIn: (@escaping @Sendable () -> Void) -> Void) -> Bool {
        guard self.isDone.exchange(false, ordering: .acquiringAndReleasing) else { return false }
        handIn { self.isDone.store(true, ordering: .releasing) }
        return true
    }
}

/// An event loop has to answer between two looks.
final class LoopProbe: ProgressProbe {
    private let loop: any EventLoop
    private let errand = Errand()
    private let threads: @Sendable () -> [ThreadState]

    init(_ loop: any EventLoop, threads: @escaping @Sendable () -> [ThreadState] = { ThreadState.all() }) {
        self.loop = loop
        self.threads = threads
        _ = self.errand.renew { self.loop.execute($0) }
    }

    func look() async -> String? {
        if self.errand.renew({ self.loop.execute($0) }) { return nil }
        // It waits for no file; but a page of the program itself may have to be read again from a disk that hangs.
        if self.threads().contains(where: { $0.isOfLoop && $0.condition == .waitingForDisk }) { return nil }
        return "an event loop does not answer"
    }
}

/// A pool of threads has to begin something new between two looks, unless its threads compute or wait for a disk: then it is busy.
final class PoolProbe: ProgressProbe {
    /// A thread that is at work may sleep at the moment of a look: so many looks, in a row, with a pause in between.
    private static let glances = 5
    private static let pause = Duration.milliseconds(20)

    private let pool: NIOThreadPool
    private let name: String
    private let errand = Errand()
    private let threads: @Sendable () -> [ThreadState]

    init(_ pool: NIOThreadPool, _ name: String, threads: @escaping @Sendable () -> [ThreadState] = { ThreadState.all() }) {
        self.pool = pool
        self.name = name
        self.threads = threads
        _ = self.errand.renew(self.handIn)
    }

    private func handIn(_ work: @escaping @Sendable () -> Void) { self.pool.submit { _ in work() } }

    func look() async -> String? {
        for glance in 0..<Self.glances {
            if self.errand.renew(self.handIn) { return nil }
            if self.threads().contains(where: { $0.isOfPool && $0.condition != .waiting }) { return nil }
            guard glance < Self.glances - 1 else { break }
            try? await Task.sleep(for: Self.pause)  // ended early when the end is asked for
        }
        return "nothing new is begun by the threads for \(self.name)"
    }
}
