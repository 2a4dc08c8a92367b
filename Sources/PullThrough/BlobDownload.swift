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

    private struct Shared {
        var machine = StateMachine()
        var wakes: [@Sendable () -> Void] = []
    }

    /// What only the intake's job touches, and the download's own task when that job rests.
    private struct Spool: ~Copyable {
        var writer: BlobWriter?
        var reservation: Reservation?
        /// The hash of what had been stored when storing failed.
        var handover: DigestVerifier?
    }

    init(
        digest: Digest, source: RoutedRepository, store: ContentStore, table: DownloadTable, absences: NegativeAnswers,
        logger: Logger
    ) {
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
        let intake = BlobIntake(sink: self, store: self.store)
        do {
            if try await self.store.run({ self.store.adopt(self.digest, in: self.source.repository) }) {
                self.table.remove(self)
                self.change { $0.stored() }
                return
            }
            let expected = self.store.catalog.expectedSize(of: self.digest, in: self.source.repository)
            if expected != nil || self.store.hasPartial(self.digest) {
                // With the size known, a lack of room shows before the upstream is asked; a partial says where to go on.
                try await self.store.run { try self.prepareForStoring(size: expected) }
            }
            if try await self.store.run({ self.isWhole() }) {
                self.change { $0.began(size: nil) }
            } else {
                try await self.transfer(intake)
            }
            try await self.store.run { try self.verify() }
            self.change { $0.verified() }
            try await self.store.run { try self.publish() }
            self.table.remove(self)
            self.logger.info("[\(self.source.upstream.name)] Cached blob \(self.digest)")
        } catch is Detached {
            // Followers have been told to go on alone.
        } catch {
            self.absences.note(error, .digest(self.digest), in: self.source.repository)
            self.table.remove(self)
            let failure = PullThroughError(error)
            self.logger.warning("[\(self.source.upstream.name)] Download of \(self.digest) failed: \(failure)")
            self.change { $0.failed(failure) }
        }
        self.store.submit { self.release() }
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
            try await transfer.run(into: BlobIntake(sink: self, store: self.store)) {
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
        let writer = self.spool.withLock { spool in
            spool.reservation = nil
            return spool.writer.take()
        }
        if keeps, let writer { self.store.keep(writer) }
    }

    /// There is nobody to run it any more.
    func refuse() {
        self.table.remove(self)
        self.change { $0.failed(PullThroughError(.unavailable, "Amargo is stopping")) }
    }

    /// Storing failed and the followers know; nothing more is to be said.
    private struct Detached: Error {}

    /// Reserves room and makes the spool file. Blocks.
    private func prepareForStoring(size: Int64?) throws {
        do {
            try self.spool.withLock { spool in
                guard spool.writer == nil else { return }
                let bytes = size ?? Reservation.step
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
            throw PullThroughError(.invalidUpstreamResponse, "the upstream sent other content than \(self.digest)")
        }
    }

    private func publish() throws {
        let size = try self.spool.withLock { spool -> Int64 in
            guard let writer = spool.writer.take() else { return 0 }
            let size = writer.byteCount
            try writer.publish()
            return size
        }
        self.store.didPublish(self.digest, size: size, facts: nil, in: self.source.repository)
        self.spool.withLock { $0.reservation = nil }
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

    func begin(_ head: BlobHead) throws {
        let (known, watermark) = self.shared.withLock { ($0.machine.size, $0.machine.watermark) }
        let expected = known ?? self.store.catalog.expectedSize(of: self.digest, in: self.source.repository)
        if let size = head.size, let expected, size != expected {
            throw PullThroughError(
                .invalidUpstreamResponse, "the upstream says that \(self.digest) has \(size) bytes; its manifest says \(expected)"
            )
        }
        guard head.offset == watermark else {
            throw PullThroughError(.invalidUpstreamResponse, "the upstream resumed \(self.digest) at the wrong byte")
        }
        self.change { $0.began(size: head.size) }
    }

    func take(_ parts: [ByteBuffer]) throws {
        try self.prepareForStoring(size: self.size)
        var failure: (any Error)?
        let watermark = self.spool.withLock { spool in
            do {
                for part in parts {
                    let total = (spool.writer?.byteCount ?? 0) + Int64(part.readableBytes)
                    try spool.reservation?.extend(to: total)
                    try part.withUnsafeReadableBytes { try spool.writer?.append($0) }
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
