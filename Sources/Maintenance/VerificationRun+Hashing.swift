import OCI
import Storage
import Synchronization

/// The bytes: every core hashes the next blob until there is none.
extension VerificationRun {
    private final class Queue: Sendable {
        private let blobs: [Blob]
        private let next = Atomic(0)

        init(_ blobs: [Blob]) {
            self.blobs = blobs
        }

        func take() -> Blob? {
            let index = self.next.add(1, ordering: .relaxed).oldValue
            return index < self.blobs.count ? self.blobs[index] : nil
        }
    }

    func hash(_ blobs: [Blob], _ inspection: StoreInspection) async throws {
        guard !blobs.isEmpty, !self.isStopped else { return }
        let total = blobs.reduce(0) { $0 + $1.size }
        self.tally.withLock { $0.progress.totalBytes = total }
        let queue = Queue(blobs)
        try await withThrowingTaskGroup(of: Bool.self) { group in
            for _ in 0..<min(self.threads, blobs.count) {
                group.addTask {
                    try await self.perform { try self.work(on: queue, inspection) }
                    return true
                }
            }
            group.addTask { await self.reportProgress() }
            var running = min(self.threads, blobs.count)
            while let isWorker = try await group.next() {
                if isWorker { running -= 1 }
                if running == 0 { break }
            }
            group.cancelAll()
        }
        self.tellProgress()
    }

    private func reportProgress() async -> Bool {
        while !Task.isCancelled {
            do {
                try await Task.sleep(for: .milliseconds(250))
            } catch {
                break  // all is hashed, or it is to end
            }
            self.tellProgress()
        }
        return false
    }

    private func work(on queue: Queue, _ inspection: StoreInspection) throws {
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: ReadableFile.piece, alignment: 4096)
        defer { buffer.deallocate() }
        while !self.isStopped, let blob = queue.take() { try self.check(blob, inspection, buffer) }
    }

    /// Hashes a blob and says what is wrong with it.
    private func check(_ blob: Blob, _ inspection: StoreInspection, _ buffer: UnsafeMutableRawBufferPointer) throws {
        let digest = blob.digest
        var file: BlobFile?
        do {
            let opened = try BlobFile(opening: StoreLayout.blob(digest), in: self.root)
            file = opened
            let found = try opened.content.digest(digest.algorithm, buffer: buffer) { count in
                self.tally.withLock { $0.progress.bytes += Int64(count) }
                return !self.isStopped
            }
            guard let found else { return }
            self.tally.withLock { tally in
                tally.progress.blobs += 1
                tally.outcome.hashedBlobs += 1
                tally.outcome.hashedBytes += opened.content.size
            }
            guard found == digest else {
                return try self.condemn(blob, .damagedBlob, "damaged blob", opened, inspection, buffer)
            }
            try self.checkFacts(blob, opened, inspection, buffer)
        } catch let error as StorageError where error.code == .notFound {
            return  // removed meanwhile
        } catch let error as StorageError {
            // Only what stands under the name now counts: it was a file when it was listed.
            guard let file else { return try self.condemnReplaced(blob, error, inspection) }
            try self.condemn(blob, .unreadableBlob, "blob that cannot be read (\(error))", file, inspection, buffer)
        }
    }

    private func condemn(
        _ blob: Blob, _ kind: Finding.Kind, _ what: String, _ file: BlobFile, _ inspection: StoreInspection,
        _ buffer: UnsafeMutableRawBufferPointer
    ) throws {
        let digest = blob.digest
        guard let there = try self.root.status(of: StoreLayout.blob(digest)) else { return }  // quarantined meanwhile
        if there.inode != file.inode { return try self.check(blob, inspection, buffer) }
        let isKnown = inspection.catalog.contains(digest)
        let finding = Finding(
            kind, "\(digest)", "\(what) \(digest)\(inspection.holders(digest))",
            remedy: isKnown ? StoreInspection.quarantineRemedy : "goes to quarantine")
        self.repair(finding) { try $0.quarantine(digest, unlessReplaced: file) }
    }

    private func condemnReplaced(_ blob: Blob, _ error: StorageError, _ inspection: StoreInspection) throws {
        let findings = try self.look().findings(.blob(blob.digest), nil)
        if findings.isEmpty { throw error }
        self.confirm(findings, .blob(blob.digest), nil)
    }

    /// Compares what the journal says of a manifest with its bytes, which are right.
    private func checkFacts(
        _ blob: Blob, _ file: BlobFile, _ inspection: StoreInspection, _ buffer: UnsafeMutableRawBufferPointer
    ) throws {
        let digest = blob.digest
        self.noteSound(digest)
        guard let content = inspection.catalog.content(digest) else {
            // In the first look it was unknown, so it may be known by now.
            if let store = self.repairing, self.isNamingLost {
                try store.adopt(digest, verified: file)
                return self.tally.withLock { $0.outcome.adopted += 1 }
            }
            return self.tally.withLock { $0.soundStrangers.append(digest) }
        }
        guard let known = content.manifest, content.size <= Int64(Manifest.maximumSize) else { return }
        var bytes = [UInt8](repeating: 0, count: Int(content.size))
        let count = try bytes.withUnsafeMutableBytes { try file.content.read(at: 0, into: $0) }
        guard count == bytes.count else { return }
        let said = Self.facts(bytes, as: known.mediaType)
        if let said, said.isSame(as: known) { return }
        let finding = Finding(
            .wrongFacts, "\(digest)", "manifest \(digest)\(inspection.holders(digest)) is not what the journal says of it",
            remedy: "the journal's entry is corrected")
        self.repair(finding) { store in
            guard let facts = said ?? Self.facts(bytes, as: nil) else {
                throw StorageError(.digestMismatch, "the content is no manifest")
            }
            try store.correct(digest, to: facts)
        }
    }

    /// What bytes say as a manifest of a type, or of the one that they declare; nil when they are none.
    private static func facts(_ bytes: [UInt8], as type: MediaType?) -> ManifestFacts? {
        bytes.withUnsafeBytes { bytes in
            guard let type = type ?? Manifest.declaredType(of: bytes) else { return nil }
            do {
                return ManifestFacts(try Manifest(parsing: bytes, as: type))
            } catch {
                return nil  // the answer to the question
            }
        }
    }

    private func noteSound(_ digest: Digest) {
        if case .holding(let store, _, _) = self.access { store.noteCheck(of: digest) }
    }
}

extension ManifestFacts {
    /// The journal leaves out platforms that no system has.
    fileprivate func isSame(as other: ManifestFacts) -> Bool {
        self.mediaType == other.mediaType && self.subject == other.subject && self.children.count == other.children.count
            && zip(self.children, other.children).allSatisfy { mine, theirs in
                mine.role == theirs.role && mine.digest == theirs.digest && mine.size == theirs.size
                    && (mine.platform == theirs.platform || (theirs.platform == nil && (mine.platform ?? "").utf8.count > 128))
            }
    }
}
