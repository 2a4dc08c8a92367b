import SystemPackage

/// Why the store could not do something.
package struct StorageError: Error, Sendable, CustomStringConvertible {
    package enum Code: Sendable {
        /// The store's folder cannot be used as it is: wrong owner, not a store, unreadable.
        case unusable
        /// Another process holds the store's lock.
        case inUse
        /// The store was written by a newer version.
        case tooNew
        /// There is no room: disk, quota, inodes or a configured cap.
        case full
        /// The disk, or the file system, failed.
        case io
        /// The content is not what its name says.
        case digestMismatch
        case notFound
        /// A sync failed: what was written is not on the disk and must not be believed, not even by those who read it already.
        case unsynced
        /// The store, or the disk that it is on, cannot be written to.
        case readOnly
    }

    package let code: Code
    package let message: String
    package let errno: Errno?

    package init(_ code: Code, _ message: String, errno: Errno? = nil) {
        self.code = code
        self.message = message
        self.errno = errno
    }

    /// Wraps a failed call, telling a full disk from a broken one.
    package init(_ errno: Errno, _ action: String) {
        switch errno {
        case .noSpace, .diskQuotaExceeded: self.code = .full
        case .noSuchFileOrDirectory: self.code = .notFound
        case .readOnlyFileSystem: self.code = .readOnly
        default: self.code = .io
        }
        self.message = "cannot \(action): \(errno)"
        self.errno = errno
    }

    package var description: String { self.message }
}
