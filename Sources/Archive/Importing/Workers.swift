import Glibc
import Synchronization

/// Work that computes and waits for disks, on a thread a core.
enum Workers {
    /// As many as there are processors.
    static var count: Int { max(1, sysconf(CInt(_SC_NPROCESSORS_ONLN))) }

    /// Calls `body` with every number below `count`, on several threads at once, and returns when all have come back. Blocks.
    ///
    /// - Parameter body: false keeps further numbers from being begun.
    static func run(_ count: Int, _ body: @escaping @Sendable (Int) -> Bool) {
        let job = Job(count: count, body: body)
        var threads: [pthread_t] = []
        for _ in 1..<max(1, min(Self.count, count)) {
            var thread = pthread_t()
            let box = Unmanaged.passRetained(job)
            let result = pthread_create(
                &thread, nil,
                { pointer in
                    guard let pointer else { return nil }
                    Unmanaged<Job>.fromOpaque(pointer).takeRetainedValue().run()
                    return nil
                }, box.toOpaque())
            // With fewer threads it takes longer, no more.
            if result == 0 { threads.append(thread) } else { box.release() }
        }
        job.run()
        for thread in threads { pthread_join(thread, nil) }
    }

    private final class Job: Sendable {
        private let next = Atomic<Int>(0)
        private let isEnded = Atomic<Bool>(false)
        private let count: Int
        private let body: @Sendable (Int) -> Bool

        init(count: Int, body: @escaping @Sendable (Int) -> Bool) {
            self.count = count
            self.body = body
        }

        func run() {
            while !self.isEnded.load(ordering: .relaxed) {
                let number = self.next.wrappingAdd(1, ordering: .relaxed).oldValue
                guard number < self.count else { return }
                if !self.body(number) { self.isEnded.store(true, ordering: .relaxed) }
            }
        }
    }
}
