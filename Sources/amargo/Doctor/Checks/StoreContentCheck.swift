import Glibc
import OCI
import Storage

/// What the store says of itself: its journal, what was left over, and whether links work there.
struct StoreContentCheck: BlockingCheck {
    let id = "store.journal"
    let path: String
    /// Unix seconds.
    let now: Int64
    var limit: Duration = .seconds(30)

    /// Seconds after which content has its links, where there are any.
    private static let linking: Int64 = 10
    /// Content that is looked at to see whether files have further names.
    private static let sample = 64
    /// Partial downloads that are spoken of, in bytes.
    private static let muchSpool: Int64 = 1_000_000_000

    func look() -> [Diagnosis] {
        let store: StoreReader
        do {
            store = try StoreReader(folder: self.path)
        } catch let error as StorageError where error.code == .tooNew {
            return [Diagnosis("store.format", .problem, error.message.harmless, "Use the version that wrote it, or a newer one.")]
        } catch let error as StorageError {
            // An empty folder is no store yet, and somebody else's is spoken of already.
            let isSpokenOf = error.code == .notFound || error.errno == .permissionDenied || !self.hasStoreFile
            return isSpokenOf ? [] : [Diagnosis("store.format", .problem, error.message.harmless, "amargo verify says more.")]
        } catch {
            return [Diagnosis(self.id, .problem, "\(error)".harmless)]
        }
        let isHeld = if case .held = store.lock { true } else { false }
        return [self.judgeJournal(store, isHeld)] + self.keptJournals(store) + self.links(store) + self.quarantine(store)
            + self.spool(store, isHeld) + self.times(store)
    }

    private var hasStoreFile: Bool { access("\(self.path)/store.json", F_OK) == 0 }

    private func judgeJournal(_ store: StoreReader, _ isHeld: Bool) -> Diagnosis {
        guard let replay = store.replay else {
            return Diagnosis(
                self.id, isHeld ? .warning : .note, "there is no journal",
                isHeld
                    ? "Restart the server: it makes a new one of what is on the disk."
                    : "The next start makes one of what is on the disk.")
        }
        switch replay.damage {
        case .none: break
        case .tornTail where isHeld: break  // it is being written to
        case .tornTail:
            return Diagnosis(
                self.id, .note, "its last line is unfinished (\(replay.size - replay.goodEnd) bytes)",
                "What a crash leaves; the next start cuts it off and keeps a copy.")
        case .gap, .unreadable:
            return Diagnosis(
                self.id, .warning, "it is damaged: \(replay.skippedLines) of \(replay.lineCount) lines cannot be used",
                "The next start keeps it as journal.jsonl.bad-N and writes a new one; content is not lost.",
                "Is the disk in order? See dmesg and smartctl -a; then: amargo verify")
        }
        let total = store.catalog.total
        return Diagnosis(
            self.id, .ok,
            "\(replay.lineCount) line\(replay.lineCount == 1 ? "" : "s") in order: \(total.blobs) blobs, \(Quantity.describe(bytes: total.bytes))"
        )
    }

    private func keptJournals(_ store: StoreReader) -> [Diagnosis] {
        let names = ((try? store.root.entries(of: nil)) ?? []).filter { $0.hasPrefix("journal.jsonl.bad-") }.sorted()
        guard !names.isEmpty else { return [] }
        return [
            Diagnosis(
                "store.kept-journals", .note, "damaged journals are kept: \(names.joined(separator: ", ").harmless)",
                "If nothing is missed they can go: rm \(self.path)/journal.jsonl.bad-*")
        ]
    }

    private func links(_ store: StoreReader) -> [Diagnosis] {
        struct Enough: Error {}
        var digests: [Digest] = []
        do {
            try store.catalog.forEachContent { digest, content, origin in
                // Links follow a second behind their content.
                if origin != nil, content.storedAt < self.now - Self.linking { digests.append(digest) }
                if digests.count >= Self.sample { throw Enough() }
            }
        } catch {
            // There are enough of them.
        }
        let counts = digests.compactMap { try? store.root.status(of: StoreLayout.blob($0))?.linkCount }
        guard !counts.isEmpty else { return [] }
        if counts.contains(where: { $0 > 1 }) { return [Diagnosis("store.links", .ok, "hard links work")] }
        return [
            Diagnosis(
                "store.links", .note, "the image layouts in repositories/ have no content: no hard links are made there",
                "Pulling works; for the layouts the file system must know hard links, as ext4, xfs and btrfs do.")
        ]
    }

    private func quarantine(_ store: StoreReader) -> [Diagnosis] {
        let files = Self.files(in: StoreLayout.quarantine, store)
        guard files.count > 0 else { return [Diagnosis("store.quarantine", .ok, "no damaged content was found")] }
        return [
            Diagnosis(
                "store.quarantine", .warning,
                "\(files.count) damaged blob\(files.count == 1 ? "" : "s") (\(Quantity.describe(bytes: files.bytes))) were set aside",
                "They are fetched again when they are asked for; but a disk that damages files may be failing: smartctl -a, dmesg.",
                "When you have looked at them: rm \(self.path)/quarantine/*")
        ]
    }

    private func spool(_ store: StoreReader, _ isHeld: Bool) -> [Diagnosis] {
        let files = Self.files(in: StoreLayout.spool, store)
        guard !isHeld, files.bytes >= Self.muchSpool else { return [] }
        return [
            Diagnosis(
                "store.spool", .note, "\(Quantity.describe(bytes: files.bytes)) of unfinished downloads lie in spool/",
                "The next start goes on with them when they are asked for. To have the room now: rm \(self.path)/spool/*")
        ]
    }

    private static func files(in folder: StorePath, _ store: StoreReader) -> (count: Int, bytes: Int64) {
        let names = (try? store.root.entries(of: folder)) ?? []  // what cannot be listed is spoken of elsewhere
        let sizes = names.compactMap { StoreLayout.found($0, in: folder) }.compactMap {
            try? store.root.status(of: $0)?.allocated
        }
        return (sizes.count, sizes.reduce(0, +))
    }

    /// A clock that goes back makes tags fresh for too long, and images older than they are.
    private func times(_ store: StoreReader) -> [Diagnosis] {
        let newest = store.catalog.newestTime
        guard newest > self.now + 60 else { return [] }
        return [
            Diagnosis(
                "clock.store", .warning,
                "it is \(PlainDate.moment(self.now)) here, and the store has seen \(PlainDate.moment(newest)) already",
                "The clock is behind, or was ahead: timedatectl. Until it is right, tags may count as fresh for too long.")
        ]
    }
}
