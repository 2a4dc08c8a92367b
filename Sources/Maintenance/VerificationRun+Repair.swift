import OCI
import Storage

/// Findings that are sure: told, and mended if that is asked for.
extension VerificationRun {
    /// Mends one thing, unless this run only looks, and tells what became of it.
    func repair(_ finding: Finding, _ mend: (ContentStore) throws -> Void) {
        guard let store = self.repairing else { return self.tell(finding, .found) }
        do {
            try mend(store)
            self.tell(finding, .repaired)
        } catch {
            self.tell(finding, .left("\(error)"))
        }
    }

    func confirm(_ findings: [Finding], _ subject: StoreInspection.Subject, _ holdings: Holdings?) {
        guard let store = self.repairing else {
            for finding in findings { self.tell(finding, .found) }
            return
        }
        do {
            try self.mend(subject, findings, store, holdings)
            let rest = try self.look().findings(subject, holdings.map { _ in Holdings(store.catalog) })
            for finding in findings {
                let isLeft = rest.contains { $0.kind == finding.kind }
                self.tell(
                    finding, isLeft ? .left(finding.remedy == "stays" ? "nothing can be done" : "it is still there") : .repaired)
            }
        } catch {
            for finding in findings { self.tell(finding, .left("\(error)")) }
        }
    }

    private func mend(
        _ subject: StoreInspection.Subject, _ findings: [Finding], _ store: ContentStore, _ holdings: Holdings?
    ) throws {
        switch subject {
        case .blob(let digest):
            for finding in findings {
                switch finding.kind {
                case .missingBlob: if try !store.restore(digest) { store.forget(digest) }
                case .unknownBlob: _ = store.adopt(digest, in: nil)
                case .unfinishedRemoval: store.retryRemovals()
                default: store.quarantine(digest)
                }
            }
        case .layout(let repository):
            try store.rebuildLayout(of: repository, self.look().layoutCondition(repository, holdings))
            store.flushLayouts()
        case .stranger(let path): try store.setAside(path)
        case .folder(let path): if findings.contains(where: { $0.kind == .missingFolder }) { try store.makeFolder(path) }
        case .rootEntry: break
        case .spool(let name):
            if let known = SpoolName(name), findings.contains(where: { $0.kind == .leftover }) {
                try store.removeLeftover(known)
            } else if let path = StoreLayout.found(name, in: StoreLayout.spool) {
                try store.setAside(path)
            }
        }
    }

    /// What lies there when the journal is gone: taken in without a line each.
    func adoptQuietly(_ digests: [Digest]) {
        guard let store = self.repairing else { return }
        for digest in digests where !self.isStopped {
            if store.adopt(digest, in: nil) { self.tally.withLock { $0.outcome.adopted += 1 } }
        }
    }

    // MARK: - What is looked at once

    /// Says how the journal was found. Opening a store mends it, so in a store that was opened for this it is mended.
    func judgeJournal() {
        guard let finding = self.journalFinding() else { return }
        switch self.access {
        case .reading: self.tell(finding, .found)
        case .holding(_, _, .idle): self.tell(finding, .repaired)
        case .holding(_, _, .serving): self.tell(finding, .left("a new journal is written at the next start"))
        }
    }

    private func journalFinding() -> Finding? {
        let name = StoreLayout.journal.description
        let rebuilt = "names are read back from the image layouts, blobs adopted by their hash"
        guard let replay = self.before.replay else {
            return self.holdsAnything
                ? Finding(.journalMissing, name, "the journal is missing", remedy: rebuilt) : nil
        }
        let isCrash = self.before.lock == .abandoned
        switch replay.damage {
        case .none: return nil
        case .unreadable:
            // An empty store that was killed at its birth.
            guard self.holdsAnything || replay.size > 0 else { return nil }
            return Finding(.journalUnreadable, name, "the journal cannot be read", remedy: "kept aside; \(rebuilt)")
        case .gap:
            return Finding(
                .journalGap, name, "the journal is damaged in the middle (\(replay.skippedLines) lines)",
                remedy: "kept aside; what can be read is written to a new one, the rest adopted or fetched again")
        case .tornTail:
            // Beside a server it is a line that is just being written.
            if case .held = self.before.lock { return nil }
            return Finding(
                .journalTail, name, "the last write to the journal was cut off (\(replay.size - replay.goodEnd) bytes)",
                remedy: "cut off at the next start", weight: isCrash ? .note : .finding)
        }
    }

    private var holdsAnything: Bool {
        var isFound = false
        for algorithm in Digest.Algorithm.allCases {
            for shard in UInt8.min...UInt8.max where !isFound {
                // What cannot be listed has a finding of its own.
                isFound = !((try? self.root.entries(of: StoreLayout.shard(algorithm, shard))) ?? []).isEmpty
            }
        }
        return isFound
    }

    /// Tags that name nothing, and what lies in quarantine: worth a line, no finding.
    func judgeRest() throws {
        if self.isStopped { return }
        let inspection = try self.look()
        for repository in inspection.catalog.allRepositories.sorted(by: { $0.description < $1.description }) {
            let empty = inspection.catalog.tags(in: repository).filter { !inspection.catalog.contains($0.value.digest) }.keys
            guard let first = empty.map(\.description).min(), inspection.isCatalogKnown else { continue }
            let sentence =
                empty.count == 1
                ? "tag \(first) of \(repository) names content that is not stored"
                : "\(empty.count) tags of \(repository) name content that is not stored (\(first), …)"
            self.tell(Finding(.emptyTag, "\(repository)", sentence, remedy: "fetched when asked for"), .found)
        }
        let names = try self.root.entries(of: StoreLayout.quarantine)
        guard !names.isEmpty else { return }
        let bytes = try names.reduce(Int64(0)) { bytes, name in
            guard let path = StoreLayout.found(name, in: StoreLayout.quarantine) else { return bytes }
            return bytes + (try self.root.status(of: path)?.size ?? 0)
        }
        let count = names.count == 1 ? "1 file" : "\(names.count) files"
        self.tell(
            Finding(
                .quarantine, "\(StoreLayout.quarantine)", "quarantine/ keeps \(count) of \(bytes) bytes",
                remedy: "can be removed by hand"), .found)
    }
}
