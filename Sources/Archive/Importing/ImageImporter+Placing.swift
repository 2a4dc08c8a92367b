import Glibc
import OCI
import Storage
import Synchronization

/// How content gets from a bundle to the shelf: verified, durable, and known to nobody yet.
extension ImageImporter {
    struct Placing: Sendable {
        /// What was not in the store and is now.
        var placed: Set<Digest> = []
        /// What in the bundle is not what its name says.
        var damaged: Set<Digest> = []
        /// Why nothing more can be stored.
        var failure: (any Error)?
    }

    /// Brings all of these to the shelf that are not there, on all processors. Blocks.
    func place(_ digests: [Digest], from bundle: Bundle, _ room: ImportRoom, _ meter: ProgressMeter) throws -> Placing {
        let state = Mutex(Placing())
        Workers.run(digests.count) { index in
            let digest = digests[index]
            guard !self.isStopped() else {
                state.withLock { $0.failure = $0.failure ?? CancellationError() }
                return false
            }
            do {
                if self.store.isThere(digest) { return true }
                guard let piece = try bundle.piece(digest) else {
                    throw StorageError(.notFound, "\(digest) was removed from the store meanwhile; import again")
                }
                try self.place(piece, digest, meter)
                room.spend(piece.size)
                bundle.release(piece)
                state.withLock { _ = $0.placed.insert(digest) }
                return true
            } catch let error as StorageError where error.code == .digestMismatch {
                state.withLock { _ = $0.damaged.insert(digest) }
                return true
            } catch {
                state.withLock { $0.failure = $0.failure ?? error }
                return false
            }
        }
        return state.withLock { $0 }
    }

    private func place(_ piece: BundlePiece, _ digest: Digest, _ meter: ProgressMeter) throws {
        if let descriptor = piece.wholeFile {
            if self.options.transfer == .link, !self.cannotLink.load(ordering: .relaxed) {
                if let writer = try self.store.makeWriter(for: digest, linking: descriptor) {
                    try self.store.publish(writer, facts: nil, in: nil)
                    return meter.add(piece.size)
                }
                if !self.cannotLink.exchange(true, ordering: .relaxed) {
                    self.report(
                        .note(
                            "the bundle's files cannot be linked into the store (that takes one file system, files of the store's owner, and "
                                + "nobody writing to them): they are copied"))
                }
            }
            if !self.cannotClone.load(ordering: .relaxed) {
                if let writer = try self.store.makeWriter(for: digest, cloning: descriptor) {
                    try self.store.publish(writer, facts: nil, in: nil)
                    return meter.add(piece.size)
                }
                self.cannotClone.store(true, ordering: .relaxed)
            }
        }
        // What an earlier download left may be other bytes after all: then it was not the bundle's fault.
        if try !self.copy(piece, digest, meter) { _ = try self.copy(piece, digest, meter) }
    }

    /// Copies and hashes; false when what was gone on with turned out wrong.
    private func copy(_ piece: BundlePiece, _ digest: Digest, _ meter: ProgressMeter) throws -> Bool {
        var writer = try self.store.makeWriter(for: digest)
        let start = writer.byteCount
        meter.add(start)
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 256 << 10, alignment: 64)
        defer { buffer.deallocate() }
        while writer.byteCount < piece.size {
            guard !self.isStopped() else { throw CancellationError() }
            let count = try piece.read(at: writer.byteCount, into: buffer)
            guard count > 0 else { break }
            try writer.append(UnsafeRawBufferPointer(rebasing: buffer[..<count]))
            meter.add(Int64(count))
        }
        if start > 0, writer.currentDigest() != digest { return false }
        try self.store.publish(writer, facts: nil, in: nil)
        return true
    }
}

/// Room for everything that an import will store, set aside before it begins.
final class ImportRoom: Sendable {
    /// Bytes that are to be stored.
    let bytes: Int64
    private let reservation = Mutex<Reservation?>(nil)

    /// - Throws: `BundleError.full`, with numbers, when there is no room, and evicting what may be evicted would not make any.
    init(for images: [BundleImage], _ bundle: Bundle, _ store: ContentStore, _ options: ImportOptions) throws {
        var needed: [Digest: Int64] = [:]
        for image in images { for content in image.contents { needed[content.digest] = content.size } }
        let new = needed.filter { !store.catalog.contains($0.key) }
        self.bytes = new.values.reduce(0, +)
        try Self.check(needed, new, bundle, store, options)
        guard options.purpose == .store, !new.isEmpty else { return }
        let total = new.values.reduce(0) { $0 + ContentStore.allocated($1) } + ContentStore.allocated(1) * Int64(new.count)
        // The origin of what several repositories share is the first of them.
        guard let namespace = images.first?.repository.namespace else { return }
        do {
            var held = try store.capacity.reserve(0, for: namespace)
            // In steps: what is larger than half a cap at once is refused without making room.
            let step = store.configuration.maxSize > 0 ? max(1, store.configuration.maxSize / 4) : total
            while held.bytes < total { try held.add(min(step, total - held.bytes)) }
            var kept: Reservation? = consume held
            self.reservation.withLock { $0 = kept.take() }
        } catch let error as StorageError where error.code == .full {
            throw BundleError(
                .full,
                "\(bundle.input.name): there is no room for its \(self.bytes) bytes that are not stored yet: \(error.message); nothing was stored"
            )
        }
    }

    /// Takes note that a piece is stored, and counts as such.
    func spend(_ bytes: Int64) { self.reservation.withLock { $0?.release(bytes) } }

    /// What is pinned is never evicted, and an import that evicts itself is none.
    private static func check(
        _ needed: [Digest: Int64], _ new: [Digest: Int64], _ bundle: Bundle, _ store: ContentStore, _ options: ImportOptions
    ) throws {
        let cap = store.configuration.maxSize
        guard cap > 0 else { return }
        let pinned = store.pinned()
        let more = needed.reduce(Int64(0)) { pinned.digests.contains($1.key) ? $0 : $0 + ContentStore.allocated($1.value) }
        let overhead = store.capacity.usedBytes - store.catalog.total.allocated
        guard more > cap - overhead - pinned.bytes else { return }
        let way =
            pinned.bytes > 0
            ? "raise store.maxSize, or take pins back with amargo unpin" : "raise store.maxSize, or import fewer images"
        throw BundleError(
            .full,
            "\(bundle.input.name): its images take \(more) bytes (\(new.values.reduce(0, +)) of content that is not stored yet), and with the "
                + "\(pinned.bytes) that are pinned already and \(overhead) for the store itself they would pass store.maxSize (\(cap) bytes); nothing was stored; \(way)"
        )
    }
}
