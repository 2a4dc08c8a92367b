import OCI
import Storage

/// The images of a bundle by their names, with everything that they need.
package struct BundlePlan: Sendable {
    package private(set) var images: [BundleImage] = []
    /// What is worth a word.
    package private(set) var notes: [String] = []

    /// Reads every manifest that the bundle describes. Blocks.
    package init(_ bundle: Bundle, shelf: any BundleShelf, naming: BundleNaming, unnamed: Unnamed = .refused) throws {
        let walk = BundleWalk(bundle, shelf)
        var roots: [BundleRoot] = []
        for entry in bundle.index.entries {
            if let type = entry.mediaType, !type.isManifest, type != .octetStream {
                // Image spec, "index.json file": other types are not an error.
                self.notes.append("\(entry.digest) is of type \(type), which is no image, and is left out")
                continue
            }
            do {
                roots.append(try BundleRoot(entry, naming))
            } catch let error as BundleError {
                throw BundleError(error.code, "\(bundle.input.name): \(error.message)")
            }
        }
        guard !roots.isEmpty else { throw BundleError(.refused, "\(bundle.input.name): it has no image") }
        var subjects: [Digest?] = []
        for root in roots { subjects.append(try walk.subject(of: root)) }
        try Self.settle(&roots, subjects, naming, bundle.input.name, unnamed)
        try self.gather(roots, subjects, walk, bundle.input.name)
    }

    /// What becomes of an image that nobody gives a name.
    package enum Unnamed: Sendable {
        case refused
        /// It is called by a name that nobody has: for whoever only looks.
        case accepted
    }

    // MARK: - Names

    /// Gives every image the repository and tag under which it will be known.
    private static func settle(
        _ roots: inout [BundleRoot], _ subjects: [Digest?], _ naming: BundleNaming, _ bundle: String, _ unnamed: Unnamed
    ) throws {
        // What is attached goes where it is attached to.
        for _ in 0..<Limits.Bundles.depth {
            let known = Dictionary(roots.map { ($0.entry.digest, $0.repository) }) { $0 ?? $1 }
            for (index, subject) in subjects.enumerated() where roots[index].repository == nil {
                guard let subject else { continue }
                roots[index].repository = known[subject] ?? nil
            }
        }
        let primary = roots.indices.filter { subjects[$0] == nil && roots[$0].subjectOfTag == nil }
        if let replacement = naming.replacement {
            try Self.rename(&roots, primary, to: replacement, naming, bundle)
        }
        guard let nameless = roots.first(where: { $0.repository == nil }) else { return }
        if unnamed == .accepted, let none = try? QualifiedRepository(parsing: "localhost/unnamed") {  // a constant that parses
            for index in roots.indices where roots[index].repository == nil { roots[index].repository = none }
            return
        }
        let count = roots.count { $0.repository == nil }
        let others = count > 1 ? " and \(count - 1) others" : ""
        throw BundleError(
            .unnamed,
            nameless.tag.map {
                "\(bundle): it calls an image\(others) only by the tag \"\($0)\", not by its name; say the repository, such as "
                    + "--as docker.io/library/nginx, and the tag stays"
            } ?? "\(bundle): it has an image\(others) without a name (\(nameless.entry.digest)); name it, such as "
                + "--as docker.io/library/nginx:1.27")
    }

    private static func rename(
        _ roots: inout [BundleRoot], _ primary: [Int], to replacement: ImageReference, _ naming: BundleNaming, _ bundle: String
    ) throws {
        let repositories = Set(roots.map(\.repository))
        guard repositories.count == 1 else {
            throw BundleError(
                .unnamed,
                "\(bundle): it has images of \(repositories.count) repositories, and --as gives one name: \(replacement)")
        }
        let digests = Set(primary.map { roots[$0].entry.digest })
        let target = naming.repository(replacement)
        for index in roots.indices { roots[index].repository = target }
        if let tag = replacement.tag {
            guard digests.count == 1 else {
                throw BundleError(
                    .unnamed,
                    "\(bundle): it has \(digests.count) images, and --as names one: \(replacement); without a tag, --as \(target) gives them "
                        + "that repository and leaves their tags as they are")
            }
            for index in primary { roots[index].tag = tag }
        } else if primary.count == 1, roots[primary[0]].tag == nil {
            roots[primary[0]].tag = try Tag(parsing: "latest")
        }
    }

    // MARK: - Content

    private mutating func gather(_ roots: [BundleRoot], _ subjects: [Digest?], _ walk: BundleWalk, _ bundle: String) throws {
        struct Key: Hashable {
            let repository: QualifiedRepository
            let digest: Digest
        }
        struct FullName: Hashable {
            let repository: QualifiedRepository
            let tag: Tag
        }
        var named: [FullName: Digest] = [:]
        var places: [Key: Int] = [:]
        var attachments: [BundleImage] = []
        for (root, subject) in zip(roots, subjects) {
            guard let repository = root.repository else { continue }
            let name = root.tag.map { IncomingImage.Name(tag: $0, digest: root.entry.digest, at: root.at) }
            if let tag = root.tag {
                let other = named.updateValue(root.entry.digest, forKey: FullName(repository: repository, tag: tag))
                guard other == nil || other == root.entry.digest else {
                    throw BundleError(.refused, "\(bundle): it has two images by the name \(repository):\(tag)")
                }
                if other != nil { continue }
            }
            let key = Key(repository: repository, digest: root.entry.digest)
            if let place = places[key], root.subjectOfTag == nil {
                if let name { self.images[place].names.append(name) }
                continue
            }
            let findings = try walk.findings(for: root)
            let isAttachment = subject != nil || root.subjectOfTag != nil
            let image = BundleImage(
                digest: root.entry.digest, repository: repository, names: [name].compactMap { $0 },
                manifests: findings.manifests, blobs: findings.blobs, missing: findings.missing,
                platforms: findings.platforms, absentPlatforms: findings.absentPlatforms, isAttachment: isAttachment,
                subject: subject, attachedTo: subject ?? root.subjectOfTag)
            if isAttachment {
                attachments.append(image)
            } else {
                places[key] = self.images.count
                self.images.append(image)
            }
        }
        // After what they are attached to.
        self.images += attachments
    }
}
