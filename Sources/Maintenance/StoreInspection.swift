import OCI
import Storage

/// Looks at one thing of a store at a time and says what is wrong with it, by what a catalog says. Reads names and sizes, no content.
///
/// All calls block.
struct StoreInspection: Sendable {
    /// What can be looked at again by itself, to see whether something was only on its way.
    enum Subject: Hashable, Sendable {
        case blob(Digest)
        case layout(QualifiedRepository)
        /// An entry of `blobs/` or a folder in it that is not ours.
        case stranger(StorePath)
        case folder(StorePath)
        case rootEntry(String)
        case spool(String)
    }

    /// What the catalog says of a subject. While that changes, nothing can be said of the subject.
    enum Expectation: Hashable, Sendable {
        case nothing
        case blob(size: Int64?)
        case layout(contents: Set<Digest>, tags: [Tag: Digest])
    }

    let root: StoreRoot
    let catalog: Catalog
    /// False when there was no journal to be read: then the catalog knows nothing, which says nothing of the disk.
    let isCatalogKnown: Bool
    /// Whether a process has the store open.
    let isInUse: Bool
    /// Whether the last process was killed: what that leaves is mended by the next start, and no finding.
    let isAbandoned: Bool
    /// False when the file system knows no hard links, as far as can be seen.
    let hasLinks: Bool

    func expectation(of subject: Subject, _ holdings: Holdings?) -> Expectation {
        switch subject {
        case .blob(let digest): .blob(size: self.catalog.content(digest)?.size)
        case .layout(let repository):
            .layout(
                contents: Set(holdings?.contents[repository] ?? []),
                tags: self.catalog.tags(in: repository).mapValues(\.digest))
        default: .nothing
        }
    }

    func findings(_ subject: Subject, _ holdings: Holdings?) throws -> [Finding] {
        switch subject {
        case .blob(let digest): try self.blob(digest)
        case .layout(let repository): try self.layout(repository, holdings)
        case .stranger(let path): try self.stranger(path)
        case .folder(let path): self.folder(path)
        case .rootEntry(let name): try self.rootEntry(name)
        case .spool(let name): try self.spool(name)
        }
    }

    private func weight(_ kind: Finding.Kind) -> Finding.Weight {
        self.isAbandoned && kind.isLeftByCrash ? .note : .finding
    }

    private func finding(_ kind: Finding.Kind, _ subject: String, _ sentence: String, _ remedy: String) -> Finding {
        Finding(kind, subject, sentence, remedy: remedy, weight: self.weight(kind))
    }

    // MARK: - Blobs

    private func blob(_ digest: Digest) throws -> [Finding] {
        let content = self.catalog.content(digest)
        guard let status = try self.root.status(of: StoreLayout.blob(digest)) else {
            guard content != nil else { return [] }
            let name = "\(digest)\(self.holders(digest))"
            return [self.finding(.missingBlob, "\(digest)", "missing blob \(name)", self.remedyForMissing(digest))]
        }
        guard status.isRegular else {
            return [
                self.finding(
                    .notAFile, "\(digest)", "what lies in the place of blob \(digest)\(self.holders(digest)) is no file",
                    Self.quarantineRemedy)
            ]
        }
        guard let content else { return self.isCatalogKnown ? self.unknown(digest, status) : [] }
        guard status.size != content.size else { return [] }
        return [
            self.finding(
                .wrongSize, "\(digest)",
                "damaged blob \(digest)\(self.holders(digest)) has \(status.size) bytes instead of \(content.size)",
                Self.quarantineRemedy)
        ]
    }

    static let quarantineRemedy = "goes to quarantine, fetched again when asked for"

    /// The repositories that hold content, in parentheses.
    func holders(_ digest: Digest) -> String {
        let names = self.catalog.repositories(holding: digest).map(\.description).sorted()
        guard let first = names.first else { return "" }
        return names.count > 1 ? " (\(first) and \(names.count - 1) more)" : " (\(first))"
    }

    private func remedyForMissing(_ digest: Digest) -> String {
        let size = self.catalog.content(digest)?.size
        let isLinked = self.catalog.repositories(holding: digest).contains { repository in
            // What cannot be looked at cannot be restored from either.
            guard let link = try? self.root.status(of: StoreLayout.layoutBlob(digest, in: repository)) else { return false }
            return link.isRegular && link.size == size
        }
        return isLinked ? "restored from an image layout that still has it" : "forgotten, fetched again when asked for"
    }

    private func unknown(_ digest: Digest, _ status: StoreRoot.FileStatus) -> [Finding] {
        if self.catalog.openRemovals[digest] != nil {
            return [
                self.finding(
                    .unfinishedRemoval, "\(digest)", "removal of \(digest) is not finished", "finished at the next start")
            ]
        }
        return [
            self.finding(
                .unknownBlob, "\(digest)", "unknown blob \(digest), of \(status.size) bytes", "adopted if its bytes are right")
        ]
    }

    // MARK: - Layouts

    func layoutCondition(_ repository: QualifiedRepository, _ holdings: Holdings?) throws -> LayoutCondition {
        try LayoutCondition(
            of: repository, holding: holdings?.contents[repository] ?? [], self.catalog, in: self.root, depth: .inodes,
            hasLinks: self.hasLinks)
    }

    private func layout(_ repository: QualifiedRepository, _ holdings: Holdings?) throws -> [Finding] {
        let condition: LayoutCondition
        do {
            condition = try self.layoutCondition(repository, holdings)
        } catch {
            return [
                self.finding(
                    .unreadableFolder, "\(repository)", "the image layout of \(repository) cannot be read: \(error)", "stays")
            ]
        }
        var findings: [Finding] = []
        func add(_ kind: Finding.Kind, _ digests: [Digest], _ one: String, _ many: String, _ remedy: String) {
            guard let first = digests.first else { return }
            let sentence =
                digests.count == 1
                ? "in the image layout of \(repository) \(one) (\(first))"
                : "in the image layout of \(repository) \(digests.count) \(many) (\(first), …)"
            findings.append(self.finding(kind, "\(repository)", sentence, remedy))
        }
        let removals = self.catalog.openRemovals
        add(.missingLink, condition.missing, "a link is missing", "links are missing", "linked again")
        add(
            .foreignLink, condition.foreign, "a link is another file than the blob", "links are other files than the blobs",
            "linked again")
        add(
            .leftoverLink, condition.leftover.filter { removals[$0] == nil }, "a link is to nothing that is held there",
            "links are to nothing that is held there", "removed")
        for (kind, name, state) in [
            (Finding.Kind.layoutIndex, "index.json", condition.index), (.layoutVersion, "oci-layout", condition.version),
        ] {
            guard let words = Self.words(state, isHeld: condition.isHeld) else { continue }
            findings.append(
                self.finding(
                    kind, "\(repository)", "\(name) of the image layout of \(repository) \(words)",
                    condition.isHeld ? "written again" : "removed"))
        }
        for path in condition.strangers {
            findings.append(
                Finding(
                    .stranger, "\(path)", "\(JSONText.quoted("\(path)")) is not Amargo's", remedy: "stays", weight: .note))
        }
        return findings
    }

    private static func words(_ state: LayoutCondition.Document, isHeld: Bool) -> String? {
        switch state {
        case .current: nil
        case .missing: "is missing"
        case .unreadable: "cannot be read"
        case .outdated: isHeld ? "does not say what the journal says" : "is left of a repository that holds nothing"
        }
    }

    // MARK: - Other things

    private func stranger(_ path: StorePath) throws -> [Finding] {
        guard try self.root.status(of: path) != nil else { return [] }
        return [
            Finding(.stranger, "\(path)", "\(JSONText.quoted("\(path)")) is not Amargo's", remedy: "moved to quarantine/")
        ]
    }

    private func folder(_ path: StorePath) -> [Finding] {
        do {
            if try self.root.status(of: path) == nil {
                return [Finding(.missingFolder, "\(path)", "the folder \(path) is missing", remedy: "made again")]
            }
            _ = try self.root.entries(of: path)
            return []
        } catch {
            return [Finding(.unreadableFolder, "\(path)", "the folder \(path) cannot be read: \(error)", remedy: "stays")]
        }
    }

    private func rootEntry(_ name: String) throws -> [Finding] {
        guard let path = StoreLayout.found(name, in: nil), try self.root.status(of: path) != nil else { return [] }
        return [
            Finding(
                .stranger, "\(path)", "\(JSONText.quoted(name)) in the store's folder is not Amargo's",
                remedy: "to be moved away by hand: amargo serve does not start beside it")
        ]
    }

    private func spool(_ name: String) throws -> [Finding] {
        guard let path = StoreLayout.found(name, in: StoreLayout.spool), let status = try self.root.status(of: path) else {
            return []
        }
        guard SpoolName(name) != nil, status.isRegular else {
            return [
                Finding(.stranger, "\(path)", "\(JSONText.quoted("\(path)")) is not Amargo's", remedy: "moved to quarantine/")
            ]
        }
        // A download in progress, or one that is gone on with when its content is asked for.
        if self.isInUse || status.size >= StoreLayout.resumableSize { return [] }
        return [self.finding(.leftover, "\(path)", "\(path) is left of a download", "removed at the next start")]
    }
}
