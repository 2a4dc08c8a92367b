import Glibc
import OCI

/// Hashes on a thread of its own what another one reads into its buffers and writes elsewhere meanwhile.
///
/// The buffers form a ring: one is filled again when its hash has been taken, and whoever fills them is done with one before the next.
final class HashingThread: @unchecked Sendable {
    // `lock` makes this true: it guards everything that both threads change. The bytes of a buffer belong to the filling thread until
    // `submit`, and are only read from then until `next` returns the buffer again.

    static let bufferSize = 1 << 20
    private static let buffers = 4

    private struct Job {
        var buffer = 0
        var count = 0
        var begins: Digest.Algorithm?
        /// What the blob's bytes have to hash to, with its last piece.
        var expected: Digest?
    }

    private let lock = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
    private let changed = UnsafeMutablePointer<pthread_cond_t>.allocate(capacity: 1)
    private let memory = UnsafeMutableRawBufferPointer.allocate(
        byteCount: HashingThread.bufferSize * HashingThread.buffers, alignment: 4096)
    private var jobs = [Job](repeating: Job(), count: HashingThread.buffers)
    private var submitted = 0
    private var done = 0
    private var isEnding = false
    private var damaged: Digest?
    private var thread: pthread_t?

    init() throws {
        pthread_mutex_init(self.lock, nil)
        pthread_cond_init(self.changed, nil)
        var thread = pthread_t()
        let context = Unmanaged.passRetained(self)
        let result = pthread_create(
            &thread, nil,
            { context in
                guard let context else { return nil }
                Unmanaged<HashingThread>.fromOpaque(context).takeRetainedValue().run()
                return nil
            }, context.toOpaque())
        guard result == 0 else {
            context.release()
            throw BundleError(.io, "cannot start a thread: \(String(cString: strerror(result)))")
        }
        self.thread = thread
    }

    deinit {
        pthread_cond_destroy(self.changed)
        pthread_mutex_destroy(self.lock)
        self.lock.deallocate()
        self.changed.deallocate()
        self.memory.deallocate()
    }

    private func withLock<T>(_ body: () throws -> T) rethrows -> T {
        pthread_mutex_lock(self.lock)
        defer { pthread_mutex_unlock(self.lock) }
        return try body()
    }

    private func buffer(_ number: Int) -> UnsafeMutableRawBufferPointer {
        UnsafeMutableRawBufferPointer(rebasing: self.memory[(number * Self.bufferSize)..<((number + 1) * Self.bufferSize)])
    }

    // MARK: - The filling thread

    /// A buffer that may be filled; waits for one.
    ///
    /// - Throws: the digest of a blob that turned out to be something else.
    func next() throws(DamagedContent) -> UnsafeMutableRawBufferPointer {
        let (number, damaged) = self.withLock {
            while self.submitted - self.done >= Self.buffers { pthread_cond_wait(self.changed, self.lock) }
            return (self.submitted % Self.buffers, self.damaged)
        }
        if let damaged { throw DamagedContent(digest: damaged) }
        return self.buffer(number)
    }

    /// Has the first `count` bytes of the buffer that `next` gave hashed; they may be read until `next` is called again.
    func submit(_ count: Int, begins: Digest.Algorithm?, ends expected: Digest?) {
        self.withLock {
            let number = self.submitted % Self.buffers
            self.jobs[number] = Job(buffer: number, count: count, begins: begins, expected: expected)
            self.submitted += 1
            pthread_cond_broadcast(self.changed)
        }
    }

    /// Waits until everything is hashed.
    func wait() throws(DamagedContent) {
        let damaged = self.withLock {
            while self.done < self.submitted { pthread_cond_wait(self.changed, self.lock) }
            return self.damaged
        }
        if let damaged { throw DamagedContent(digest: damaged) }
    }

    /// Ends the thread, at once. To be called exactly once.
    func end() {
        self.withLock {
            self.isEnding = true
            pthread_cond_broadcast(self.changed)
        }
        if let thread = self.thread { pthread_join(thread, nil) }
        self.thread = nil
    }

    // MARK: - The hashing thread

    private func run() {
        var verifier = DigestVerifier(.sha256)
        while let job = self.nextJob() {
            if let algorithm = job.begins { verifier = DigestVerifier(algorithm) }
            verifier.update(UnsafeRawBufferPointer(rebasing: self.buffer(job.buffer)[..<job.count]))
            let isDamaged = job.expected.map { verifier.digest() != $0 } ?? false
            self.withLock {
                if isDamaged, self.damaged == nil { self.damaged = job.expected }
                self.done += 1
                pthread_cond_broadcast(self.changed)
            }
        }
    }

    private func nextJob() -> Job? {
        self.withLock {
            while self.done == self.submitted, !self.isEnding { pthread_cond_wait(self.changed, self.lock) }
            return self.isEnding ? nil : self.jobs[self.done % Self.buffers]
        }
    }
}

/// A blob is not what its name says.
struct DamagedContent: Error {
    let digest: Digest
}
