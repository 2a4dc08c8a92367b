import Glibc

/// Applies records on a thread of its own, in their order, while whoever reads them reads on.
///
/// Reading a line and remembering what it says cost about the same, so that side by side a long journal takes not much more than half
/// the time. A short one, of a batch at most, is applied where it is read.
final class RecordQueue: @unchecked Sendable {  // what both threads touch is guarded by `mutex`
    private static let batchSize = 512
    /// Batches that may wait; then the reader does.
    private static let depth = 16

    private typealias Batch = [(record: JournalRecord, isBehindGap: Bool)]

    private let apply: @Sendable (JournalRecord, Bool) -> Void
    /// The reader's alone.
    private var batch: Batch = []
    private var thread: pthread_t?

    private let mutex = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
    private let changed = UnsafeMutablePointer<pthread_cond_t>.allocate(capacity: 1)
    private var waiting: [Batch] = []
    private var isFinished = false

    init(_ apply: @escaping @Sendable (JournalRecord, Bool) -> Void) {
        self.apply = apply
        pthread_mutex_init(self.mutex, nil)
        pthread_cond_init(self.changed, nil)
    }

    deinit {
        pthread_cond_destroy(self.changed)
        pthread_mutex_destroy(self.mutex)
        self.changed.deallocate()
        self.mutex.deallocate()
    }

    /// Called by one thread.
    func add(_ record: JournalRecord, _ isBehindGap: Bool) {
        if self.batch.count == Self.batchSize { self.handOver() }
        self.batch.append((record, isBehindGap))
    }

    /// Returns when everything is applied. Has to be called, once, by the thread that added.
    func finish() {
        guard let thread = self.thread else { return self.apply(self.batch) }
        pthread_mutex_lock(self.mutex)
        self.waiting.append(self.batch)
        self.isFinished = true
        pthread_cond_signal(self.changed)
        pthread_mutex_unlock(self.mutex)
        pthread_join(thread, nil)
    }

    private func handOver() {
        defer {
            self.batch = []
            self.batch.reserveCapacity(Self.batchSize)
        }
        // Without another thread it takes longer, no more.
        guard self.thread != nil || self.startThread() else { return self.apply(self.batch) }
        pthread_mutex_lock(self.mutex)
        while self.waiting.count >= Self.depth { pthread_cond_wait(self.changed, self.mutex) }
        self.waiting.append(self.batch)
        pthread_cond_signal(self.changed)
        pthread_mutex_unlock(self.mutex)
    }

    private func startThread() -> Bool {
        var thread = pthread_t()
        let context = Unmanaged.passUnretained(self).toOpaque()  // `finish` waits for the thread
        let result = pthread_create(
            &thread, nil,
            { context in
                if let context { Unmanaged<RecordQueue>.fromOpaque(context).takeUnretainedValue().run() }
                return nil
            }, context)
        guard result == 0 else { return false }
        self.thread = thread
        return true
    }

    private func run() {
        while let batches = self.next() {
            for batch in batches { self.apply(batch) }
        }
    }

    /// All that waits; nil at the end.
    private func next() -> [Batch]? {
        pthread_mutex_lock(self.mutex)
        defer { pthread_mutex_unlock(self.mutex) }
        while self.waiting.isEmpty {
            if self.isFinished { return nil }
            pthread_cond_wait(self.changed, self.mutex)
        }
        defer {
            self.waiting = []
            pthread_cond_signal(self.changed)
        }
        return self.waiting
    }

    private func apply(_ batch: Batch) {
        for (record, isBehindGap) in batch { self.apply(record, isBehindGap) }
    }
}
