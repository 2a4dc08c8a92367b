import OCI
import Storage
import Synchronization

/// Takes the images of bundles into a store.
///
/// Order: the whole bundle is looked at, and refused if anything is odd or there is no room, before anything is written. Then, a batch of
/// images at a time: content, each piece hashed and durable, known to nobody; then manifests, children first, and names, in one group
/// of lines. An image is there as a whole or not at all; what came of one that is not is given up again.
package final class ImageImporter: Sendable {
    let store: ContentStore
    let options: ImportOptions
    let report: @Sendable (ImportEvent) -> Void
    let isStopped: @Sendable () -> Bool
    /// Whether sharing blocks, or names, with the bundle's files has failed once; it would fail each time.
    let cannotClone = Atomic<Bool>(false)
    let cannotLink = Atomic<Bool>(false)

    /// Images that are made known together have so many bytes, or are so many.
    private static let batchBytes: Int64 = 256 << 20
    private static let batchImages = 256

    /// - Parameter isStopped: asked often; true ends the import before its next image.
    package init(
        _ store: ContentStore, _ options: ImportOptions, isStopped: @escaping @Sendable () -> Bool = { false },
        report: @escaping @Sendable (ImportEvent) -> Void
    ) {
        self.store = store
        self.options = options
        self.isStopped = isStopped
        self.report = report
    }

    /// Imports one bundle. Blocks for as long as that takes; says by events what becomes of each image.
    package func run(_ input: BundleInput, opener: any BundleOpener) -> ImportTally {
        var tally = ImportTally()
        do {
            try self.run(input, opener, &tally)
        } catch is CancellationError {
            tally.failed += 1
            self.report(
                .problem("\(input.name): the import was ended before all of it was done; import it again, and it goes on"))
        } catch let error as StorageError {
            tally.failed += 1
            let rest = tally.done > 0 ? "; what was said to be imported is" : "; the store is as it was"
            self.report(.problem("\(input.name) cannot be stored: \(error)\(rest)"))
        } catch {
            tally.failed += 1
            self.report(.problem("\(error)"))
        }
        return tally
    }

    private func run(_ input: BundleInput, _ opener: any BundleOpener, _ tally: inout ImportTally) throws {
        let reading = ProgressMeter(.reading, total: 0, self.report)
        let bundle = try Bundle(
            input, opener: opener, spool: StoreSpool(self.store, namespace: self.options.naming.fallback),
            goesOn: { count in
                reading.add(Int64(count))
                return !self.isStopped()
            })
        let plan = try BundlePlan(bundle, shelf: StoreShelf(store: self.store), naming: self.options.naming)
        for note in plan.notes { self.report(.note("\(input.name): \(note)")) }
        var images: [BundleImage] = []
        var older: Set<Digest> = []
        var taken: Set<Digest> = []
        for image in plan.images {
            if let (outcome, faults) = self.verdict(on: image, taken, older) {
                if outcome == .older { older.insert(image.digest) }
                self.end(image, outcome, faults: faults, bundle, &tally)
            } else {
                let kept = self.withoutOlderNames(image)
                for name in image.names where !kept.names.contains(where: { $0.tag == name.tag }) {
                    let title = "\(image.repository):\(name.tag)"
                    self.report(.note("\(title) stays as it is: what the store has by that name is newer than the bundle"))
                }
                images.append(kept)
                taken.insert(image.digest)
            }
        }
        if bundle.delta != nil, tally.failed > 0 {
            self.report(
                .note(
                    "\(input.name) is a delta: it has only what a receipt does not list, and this store has lost some of that, or is another "
                        + "one than the receipt's; bring a receipt of this store for the next export, or a bundle made without --since"
                ))
        }
        let room = try ImportRoom(for: images, bundle, self.store, self.options)
        guard self.options.purpose == .store else {
            var counted: Set<Digest> = []
            for image in images {
                let new = Self.bytes(of: image, &counted) { !self.store.catalog.contains($0) }
                self.end(image, .planned, newBytes: new, bundle, &tally)
            }
            return
        }
        try self.store(images, bundle, room, &tally)
    }

    /// Why an image is not to be stored; nil when it is.
    private func verdict(
        on image: BundleImage, _ taken: Set<Digest>, _ older: Set<Digest>
    ) -> (ImportedImage.Outcome, [Digest])? {
        if let target = image.attachedTo, older.contains(target), !self.store.catalog.contains(target) { return (.older, []) }
        if !image.missing.isEmpty { return (.incomplete, image.missing) }
        // What belongs to an image that does not come has nothing to do here.
        if let subject = image.subject, !taken.contains(subject), !self.store.catalog.contains(subject) {
            return (.incomplete, [subject])
        }
        if !image.names.isEmpty, self.withoutOlderNames(image).names.isEmpty { return (.older, []) }
        return nil
    }

    /// The image without the names for which the store knows something newer.
    private func withoutOlderNames(_ image: BundleImage) -> BundleImage {
        var image = image
        image.names.removeAll { self.store.knowsNewer($0, in: image.repository) }
        return image
    }

    // MARK: - Storing

    private func store(_ images: [BundleImage], _ bundle: Bundle, _ room: ImportRoom, _ tally: inout ImportTally) throws {
        let meter = ProgressMeter(.storing, total: room.bytes, self.report)
        var rest = images[...]
        while !rest.isEmpty {
            guard !self.isStopped() else { throw CancellationError() }
            var batch: [BundleImage] = []
            var bytes: Int64 = 0
            while let image = rest.first,
                batch.isEmpty || batch.count < Self.batchImages && bytes + image.bytes <= Self.batchBytes
            {
                batch.append(image)
                bytes += image.bytes
                rest.removeFirst()
            }
            try self.store(batch: batch, bundle, room, meter, &tally)
        }
    }

    private func store(
        batch: [BundleImage], _ bundle: Bundle, _ room: ImportRoom, _ meter: ProgressMeter, _ tally: inout ImportTally
    ) throws {
        // Nothing of it is evicted from here on, whoever brought it.
        let digests = Set(batch.flatMap { $0.contents.map(\.digest) })
        let leases = digests.map { self.store.expect($0) }
        let placing = try self.place(digests.sorted(), from: bundle, room, meter)
        var unchanged: Set<Int> = []
        try withExtendedLifetime(leases) {
            if let failure = placing.failure {
                // What is stored already is not stored again the next time.
                if !(failure is CancellationError) { try self.giveUp(placing.placed) }
                throw failure
            }
            var incoming: [IncomingImage] = []
            for (index, image) in batch.enumerated() where placing.damaged.isDisjoint(with: image.contents.lazy.map(\.digest)) {
                if let news = self.incoming(image) { incoming.append(news) } else { unchanged.insert(index) }
            }
            do {
                if !incoming.isEmpty { try self.store.receive(incoming) }
            } catch {
                try self.giveUp(placing.placed)
                throw error
            }
        }
        var counted: Set<Digest> = []
        for (index, image) in batch.enumerated() {
            let faults = image.contents.map(\.digest).filter { placing.damaged.contains($0) }
            let new = Self.bytes(of: image, &counted) { placing.placed.contains($0) }
            if !faults.isEmpty {
                self.end(image, .damaged, faults: faults, bundle, &tally)
            } else {
                self.end(image, unchanged.contains(index) ? .unchanged : .imported, newBytes: new, bundle, &tally)
            }
        }
        try self.giveUp(placing.placed)
    }

    /// Lets go of content that no image came of.
    private func giveUp(_ digests: Set<Digest>) throws {
        if !digests.isEmpty { try self.store.giveUp(digests.sorted()) }
    }

    /// What the store does not know of an image yet; nil when that is nothing.
    func incoming(_ image: BundleImage) -> IncomingImage? {
        let catalog = self.store.catalog
        let repository = image.repository
        var pins: [Reference] = []
        if self.options.pinning == .pinned, !image.isAttachment {
            pins = image.names.isEmpty ? [.digest(image.digest)] : image.names.map { .tag($0.tag) }
        }
        let known = catalog.pins(in: repository)
        pins.removeAll { known[$0] != nil }
        let incoming = IncomingImage(
            repository: repository,
            blobs: image.blobs.map(\.digest).filter { !catalog.holds($0, in: repository) },
            manifests: image.manifests.filter {
                !catalog.holds($0.digest, in: repository) || catalog.content($0.digest)?.manifest == nil
            },
            names: image.names.filter { name in
                // What an upstream has confirmed stays confirmed.
                guard let entry = catalog.tag(name.tag, in: repository), entry.digest == name.digest else { return true }
                return entry.isImported && entry.fetchedAt < name.at
            },
            pins: pins, contents: image.contents.map(\.digest))
        let isNothing =
            incoming.blobs.isEmpty && incoming.manifests.isEmpty && incoming.names.isEmpty && incoming.pins.isEmpty
        return isNothing ? nil : incoming
    }

    /// Bytes of an image's content that is so. What an image before it has brought is not counted again: their sum is what came.
    private static func bytes(of image: BundleImage, _ counted: inout Set<Digest>, where isSo: (Digest) -> Bool) -> Int64 {
        image.contents.reduce(0) { isSo($1.digest) && counted.insert($1.digest).inserted ? $0 + $1.size : $0 }
    }

    private func end(
        _ image: BundleImage, _ outcome: ImportedImage.Outcome, newBytes: Int64 = 0, faults: [Digest] = [], _ bundle: Bundle,
        _ tally: inout ImportTally
    ) {
        let ended = ImportedImage(image, outcome, newBytes: newBytes, faults: faults, form: bundle.form)
        tally.add(ended)
        self.report(.image(ended))
    }
}

/// What a store has.
struct StoreShelf: BundleShelf {
    let store: ContentStore

    func size(of digest: Digest) -> Int64? { self.store.isThere(digest) ? self.store.catalog.content(digest)?.size : nil }

    func document(_ digest: Digest) throws -> [UInt8]? { try self.store.document(digest) }
}

/// Says how far something is, a few times a second.
final class ProgressMeter: Sendable {
    private struct State {
        var bytes: Int64 = 0
        var reportedAt: ContinuousClock.Instant
    }

    private let stage: ImportProgress.Stage
    private let total: Int64
    private let start = ContinuousClock.now
    private let report: @Sendable (ImportEvent) -> Void
    private let state: Mutex<State>

    init(_ stage: ImportProgress.Stage, total: Int64, _ report: @escaping @Sendable (ImportEvent) -> Void) {
        self.stage = stage
        self.total = total
        self.report = report
        self.state = Mutex(State(reportedAt: .now))
    }

    func add(_ bytes: Int64) {
        let done = self.state.withLock { state -> Int64? in
            state.bytes += bytes
            guard state.reportedAt.duration(to: .now) >= .milliseconds(200) else { return nil }
            state.reportedAt = .now
            return state.bytes
        }
        guard let done else { return }
        let time = self.start.duration(to: .now) / .milliseconds(1)
        self.report(.progress(ImportProgress(stage: self.stage, bytes: done, totalBytes: self.total, milliseconds: Int64(time))))
    }
}
