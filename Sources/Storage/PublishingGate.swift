import Glibc

/// Keeps publishing and removing apart: any number may publish at once, and whoever removes is alone.
///
/// Else a blob that is fetched again while its removal runs could be unlinked right after its second publication, or a layout
/// be given a link to what is going. Held across file calls, so it is for threads of the pool alone.
final class PublishingGate: @unchecked Sendable {  // the lock is the C library's, which does its own synchronizing
    private let lock: UnsafeMutablePointer<pthread_rwlock_t>

    init() {
        self.lock = .allocate(capacity: 1)
        let result = pthread_rwlock_init(self.lock, nil)
        precondition(result == 0, "no memory for a lock")
    }

    deinit {
        pthread_rwlock_destroy(self.lock)
        self.lock.deallocate()
    }

    func publishing<T>(_ body: () throws -> T) rethrows -> T {
        pthread_rwlock_rdlock(self.lock)
        defer { pthread_rwlock_unlock(self.lock) }
        return try body()
    }

    func removing<T>(_ body: () throws -> T) rethrows -> T {
        pthread_rwlock_wrlock(self.lock)
        defer { pthread_rwlock_unlock(self.lock) }
        return try body()
    }
}
