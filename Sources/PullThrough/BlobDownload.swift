import Logging
import NIOCore
import OCI
import Storage
import Synchronization
import Upstream

/// One download of one blob, whoever asks: upstream bytes go to a spool file, and followers read that.
///
/// A follower holds an offset, not bytes: a slow one costs nothing, a late one starts at 0, and none of them keeps the
/// upstream waiting. The download belongs to the `DownloadService`: it goes on when every follower has left.
package final class BlobDownload: Sendable {
    package let digest: Digest
    package let source: RoutedRepository
    private let store: ContentStore
    private let table: DownloadTable
    private let absences: NegativeAnswers
    private let logger: Logger
    private let shared = Mutex(Shared())
    private let spool = Mutex(Spool())
    private let spoolFile = Mutex<ReadableFile?>(nil)
    let following = Mutex(Following())
    let outcomes = Mutex(Ending())
    /// Says each time that the last follower has left.
    let departures = AsyncStream.makeStream(of: Void.self, bufferingPolicy: .bufferingNewest(1))
    /// Ends when the spool file has been let go of.
    private let ending = AsyncStream.makeStream(of: Never.self)
    /// A download of the same that was given up, and whose spool file is to be gone on with.
    private let predecessor: Mutex<BlobDownload?>

    /// For people.
    private let beganAt = ContinuousClock.now

    private struct Shared {
        var machine = StateMachine()
        /// What a stored manifest says that the blob measures, in bytes.
        var announced: Int64?
        var wakes: [@Sendable () -> Void] = []
    }

    /// What only the intake's job touches, and the download's own task when that job rests.
    private struct Spool: ~Copyable {
        var writer: BlobWriter?
        var reservation: Reservation?
        var lease: WriteLease?
        /// The hash of what had been stored when storing failed.
        var handover: DigestVerifier?
    }

    init(
        digest: Digest, source: RoutedRepository, store: ContentStore, table: DownloadTable, absences: NegativeAnswers,
        logger: Logger, predecessor: BlobDownload? = nil
    ) {
        self.predecessor = Mutex(predecessor)
        self.digest = digest
        self.source = source
        self.store = store
        self.table = table
        self.absences = absences
        self.logger = logger
    }

    // MARK: - Following

    /// Whether the response's head may go out; `wake` is called once when that may have changed.
    package func headStep(isImpatient: Bool, wake: @escaping @Sendable () -> Void) -> StateMachine.HeadStep {
        self.shared.withLock { shared in
            let step = shared.machine.headStep(isImpatient: isImpatient)
            if case .wait = step { shared.wakes.append(wake) }
            return step
        }
    }

    /// What a follower at `offset` does next; `wake` is called once when a wait may be over.
    package func bodyStep(at offset: Int64, upTo end: Int64?, wake: @escaping @Sendable () -> Void) -> StateMachine.BodyStep {
        self.shared.withLock { shared in
            let step = shared.machine.bodyStep(at: offset, upTo: end)
            if case .wait = step { shared.wakes.append(wake) }
            return step
        }
    }

    /// The growing file; there is one when a step says `send`.
    package var file: ReadableFile? { self.spoolFile.withLock { $0 } }

    /// Bytes from the start that followers may have now.
    package var releasedCount: Int64 { self.shared.withLock { $0.machine.released } }

    /// Size in bytes, once known.
    package var size: Int64? { self.shared.withLock { $0.machine.size } }

    package var progress: DownloadProgress {
        let (received, size) = self.shared.withLock { ($0.machine.watermark, $0.machine.size ?? $0.announced) }
        return DownloadProgress(
            digest: self.digest, upstream: self.source.upstream.name, repository: self.source.repository, received: received,
            size: size, followers: self.following.withLock { $0.count }, elapsed: self.beganAt.duration(to: .now))
    }

    private func change(_ event: (inout StateMachine) -> Bool) {
        let wakes = self.shared.withLock { shared -> [@Sendable () -> Void] in
            guard event(&shared.machine) else { return [] }
            defer { shared.wakes = [] }
            return shared.wakes
        }
        for wake in wakes { wake() }
    }

    // MARK: - Running

    /// Does the whole job; returns when the blob is stored, or cannot be.
    package func run() async {
        let intake = self.makeIntake()
        if let predecessor = self.predecessor.withLock({ $0.take() }) { for await _ in predecessor.ending.stream {} }
        do {
            if try await self.isOnShelf() {
                self.table.remove(self)
                self.change { $0.stored() }
                self.end(nil)
                return
            }
            let expected = self.store.catalog.expectedSize(of: self.digest, in: self.source.repository)
            self.shared.withLock { $0.announced = expected }
            if expected != nil || self.store.hasPartial(self.digest) {
                // With the size known, a lack of room shows before the upstream is asked; a partial says where to go on.
                try await self.store.run { try self.prepareForStoring(size: expected) }
            }
            if try await self.store.run({ self.isWhole() }) {
                self.change { $0.began(size: nil) }
            } else {
                try await self.whileFollowed { try await self.transfer(intake) }
            }
            try await self.store.run { try self.verify() }
            self.change { $0.verified() }
            try await self.finish()
            self.end(nil)
        } catch is Detached {
            // Followers have been told to go on alone.
            self.end(nil)
        } catch {
            self.absences.note(error, .digest(self.digest), in: self.source.repository)
            let failure = PullThroughError(error)
            if self.isAbandoned {
                self.logger.notice("[\(self.source.upstream.name)] Download of \(self.digest) is stopped: \(failure)")
            } else {
                self.table.remove(self)
                self.logger.warning("[\(self.source.upstream.name)] Download of \(self.digest) failed: \(failure)")
            }
            self.change { $0.failed(failure) }
            self.end(failure)
        }
        self.store.submit {
            self.release()
            // Whoever comes from now on finds what is kept.
            self.table.remove(self)
            self.ending.continuation.finish()
        }
    }

    private func makeIntake() -> BlobIntake {
        BlobIntake(sink: self, source: self.source, store: self.store)
    }

    /// Whether the content is here and may go to this repository.
    private func isOnShelf() async throws -> Bool {
        try await Shelf(store: self.store, source: self.source).has(self.digest) {
            try await self.source.ask { try await $0.blobSize(self.digest, in: $1) }
        }
    }

    /// Puts verified content on the shelf. Followers are owed its bytes, not that: they are cut only when the sync failed, since
    /// what they read may turn wrong then.
    private func finish() async throws {
        defer { self.table.remove(self) }
        do {
            try await self.store.run { try self.publish() }
            self.logger.info("[\(self.source.upstream.name)] Cached blob \(self.digest)")
        } catch let error as StorageError where error.code != .unsynced {
            self.store.noteFailure(error)
            self.noteUnstored(error)
            self.logger.warning("[\(self.source.upstream.name)] Blob \(self.digest) is not stored: \(error.message)")
        } catch let error as StorageError {
            self.store.noteFailure(error)
            throw error
        }
    }

    /// Whether an earlier process had everything but the last step.
    private func isWhole() -> Bool {
        self.spool.withLock { spool in
            guard let count = spool.writer?.byteCount, count > 0 else { return false }
            return spool.writer?.currentDigest() == self.digest
        }
    }

    private func transfer(_ intake: BlobIntake) async throws {
        let transfer = BlobTransfer(digest: self.digest, source: self.source, logger: self.logger)
        do {
            try await transfer.run(into: intake) { self.shared.withLock { $0.machine.watermark } }
        } catch let error as UpstreamError where error.code == .rangeIgnored {
            // What an earlier process left cannot be gone on with; nobody has had a byte of it yet.
            guard try await self.store.run({ self.restart() }) else { throw error }
            try await transfer.run(into: self.makeIntake()) {
                self.shared.withLock { $0.machine.watermark }
            }
        }
    }

    private func restart() -> Bool {
        var restarts = false
        self.change { machine in
            restarts = machine.restarted()
            return false
        }
        if restarts { self.spool.withLock { $0.writer = nil } }
        return restarts
    }

    /// Lets go of the spool file: what has come is kept when it was the upstream that failed. Blocks.
    private func release() {
        let keeps = self.shared.withLock { $0.machine.isWorthKeeping }
        self.spool.withLock { spool in
            if keeps, let writer = spool.writer.take() { self.store.keep(writer) }
            // The file loses its name with the writer; its room comes free when the last follower has read it.
            if spool.writer != nil, let reservation = spool.reservation.take() { self.file?.hold(reservation) }
            spool.writer = nil
            spool.reservation = nil
            spool.lease = nil
        }
    }

    /// There is nobody to run it any more.
    func refuse() {
        self.table.remove(self)
        let failure = PullThroughError(.unavailable, "Amargo is stopping")
        self.change { $0.failed(failure) }
        self.end(failure)
        self.ending.continuation.finish()
    }

    /// Storing failed and the followers know; nothing more is to be said.
    private struct Detached: Error {}

    /// Reserves room and makes the spool file. Blocks.
    private func prepareForStoring(size: Int64?) throws {
        do {
            try self.spool.withLock { spool in
                guard spool.writer == nil else { return }
                let bytes = size ?? Reservation.step
                spool.lease = self.store.expect(self.digest)
                spool.reservation = try self.store.capacity.reserve(bytes, for: self.source.repository.namespace)
                let writer = try self.store.makeWriter(for: self.digest)
                self.spoolFile.withLock { $0 = writer.file }
                if writer.byteCount > 0 {
                    let resumed = writer.byteCount
                    self.logger.notice("[\(self.source.upstream.name)] Going on with blob \(self.digest) at byte \(resumed)")
                    self.change { $0.advanced(to: resumed) }
                }
                spool.writer = consume writer
            }
        } catch let error as StorageError {
            throw self.detach(error)
        }
    }

    /// Tells every follower to go on alone from what the spool holds, and new ones not to come here.
    private func detach(_ error: StorageError) -> Detached {
        self.table.remove(self)
        self.store.noteFailure(error)
        self.noteUnstored(error)
        self.logger.warning(
            "[\(self.source.upstream.name)] Relaying blob \(self.digest) without storing it: \(error.message)")
        self.spool.withLock { spool in
            spool.handover = spool.writer?.verifierCopy() ?? DigestVerifier(self.digest.algorithm)
        }
        self.change { $0.detached() }
        return Detached()
    }

    private func verify() throws {
        // An empty blob has had no bytes that would have made a spool file.
        try self.prepareForStoring(size: self.size)
        let (digest, count) = self.spool.withLock { spool in (spool.writer?.currentDigest(), spool.writer?.byteCount ?? 0) }
        if let size = self.size, size != count {
            throw PullThroughError(
                .invalidUpstreamResponse, "the upstream sent \(count) bytes of \(self.digest) instead of \(size)")
        }
        guard digest == self.digest else {
            let error = PullThroughError(.invalidUpstreamResponse, "the upstream sent other content than \(self.digest)")
            self.source.noteWrongContent(self.digest, error, self.logger)
            throw error
        }
    }

    private func publish() throws {
        try self.spool.withLock { spool in
            guard let writer = spool.writer.take() else { return }
            try self.store.publish(writer, facts: nil, in: self.source.repository)
            spool.reservation = nil
        }
    }

    // MARK: - Relays

    /// What a follower needs to go on without this download.
    struct Handover: ~Copyable {
        /// The hash of the bytes up to the watermark.
        let verifier: DigestVerifier
        /// Those of them that were still withheld.
        let withheld: ByteBuffer
        let size: Int64?

        consuming func takeVerifier() -> DigestVerifier { self.verifier }
    }

    /// Reads the withheld bytes back from the spool. Blocks.
    func handover() throws -> Handover {
        let (released, watermark, size) = self.shared.withLock { shared in
            (shared.machine.released, shared.machine.watermark, shared.machine.size)
        }
        var withheld = ByteBuffer()
        if let file = self.file, watermark > released {
            let count = Int(watermark - released)
            let read = try withheld.writeWithUnsafeMutableBytes(minimumWritableBytes: count) { buffer in
                try file.read(at: released, into: UnsafeMutableRawBufferPointer(rebasing: buffer[..<count]))
            }
            guard read == count else { throw PullThroughError(.unavailable, "the spool file is shorter than it was") }
        }
        let verifier = self.spool.withLock { spool -> DigestVerifier in
            spool.handover?.copy() ?? DigestVerifier(self.digest.algorithm)
        }
        return Handover(verifier: verifier, withheld: withheld, size: size)
    }
}

extension BlobDownload: BlobIntake.Sink {
    var isSaturated: Bool { false }

    func prefix() -> PrefixReplay.Known? {
        self.spool.withLock { spool in
            guard let verifier = spool.writer?.verifierCopy() else { return nil }
            return PrefixReplay.Known(verifier)
        }
    }

    func begin(_ head: BlobHead) throws {
        let (known, watermark, announced) = self.shared.withLock { ($0.machine.size, $0.machine.watermark, $0.announced) }
        let expected = known ?? announced
        if let size = head.size, let expected, size != expected {
            let error = PullThroughError(
                .invalidUpstreamResponse, "the upstream says that \(self.digest) has \(size) bytes; its manifest says \(expected)"
            )
            if announced != nil { self.source.upstream.wrongContent.noteSize(of: self.digest, error) }
            throw error
        }
        guard head.offset == watermark else {
            throw PullThroughError(.invalidUpstreamResponse, "the upstream resumed \(self.digest) at the wrong byte")
        }
        self.change { $0.began(size: head.size) }
    }

    func take(_ parts: [ByteBuffer]) throws {
        try self.prepareForStoring(size: self.size)
        var rest = parts[...]
        // Followers send what is here while the rest of a large batch is hashed.
        while !rest.isEmpty {
            var (count, bytes) = (0, 0)
            while count < rest.count, bytes < Self.stride {
                bytes += rest[rest.startIndex + count].readableBytes
                count += 1
            }
            try self.append(rest.prefix(count))
            rest = rest.dropFirst(count)
        }
    }

    /// Bytes after which followers are told.
    private static let stride = 256 << 10

    private func append(_ parts: ArraySlice<ByteBuffer>) throws {
        var failure: (any Error)?
        let watermark = self.spool.withLock { spool in
            do {
                for part in parts {
                    let total = (spool.writer?.byteCount ?? 0) + Int64(part.readableBytes)
                    try spool.reservation?.extend(to: total)
                    try part.withUnsafeReadableBytes { try spool.writer?.append($0) }
                    spool.reservation?.note(written: total)
                }
            } catch {
                failure = error
            }
            return spool.writer?.byteCount ?? 0
        }
        // Whatever happened, this many bytes are in the file and in the hash.
        self.change { $0.advanced(to: watermark) }
        if let failure = failure as? StorageError { throw self.detach(failure) }
        if let failure { throw failure }
    }
}
