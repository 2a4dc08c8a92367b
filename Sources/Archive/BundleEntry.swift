import OCI

/// A line of a bundle's `index.json`: one name, or one manifest that has none, with what the other side has to know of it.
package struct BundleEntry: Hashable, Sendable {
    /// Media type, digest and size of the manifest.
    package let descriptor: Descriptor
    /// The repository as the store names it.
    package let repository: QualifiedRepository
    /// Nil for an image that was named by its digest, and for a referrer.
    package let tag: Tag?
    /// When the tag was last known to point here, in Unix seconds: what decides which of two bundles is the older one.
    package let at: Int64?
    /// The platforms of an index that were carried along; nil when nothing was left out.
    package let platforms: [Platform]?

    package init(
        descriptor: Descriptor, repository: QualifiedRepository, tag: Tag? = nil, at: Int64? = nil, platforms: [Platform]? = nil
    ) {
        self.descriptor = descriptor
        self.repository = repository
        self.tag = tag
        self.at = at
        self.platforms = platforms
    }

    /// `docker.io/library/nginx:alpine`; nil without a tag.
    package var name: String? { self.tag.map { "\(self.repository):\($0)" } }
}

extension BundleEntry {
    /// The keys of a descriptor's annotations.
    package enum Annotation {
        package static let at = "dev.amargo.at"
        package static let platforms = "dev.amargo.platforms"
        package static let repository = "dev.amargo.repository"
        /// containerd's name of an image; the full one.
        package static let containerdName = "io.containerd.image.name"
        /// Image spec, "Pre-Defined Annotation Keys". Here the full name as well, by which skopeo and podman find an image.
        package static let refName = "org.opencontainers.image.ref.name"
    }

    /// The descriptor's annotations, in the order in which they are written.
    var annotations: [(key: String, value: String)] {
        var list: [(key: String, value: String)] = []
        if let at = self.at { list.append((Annotation.at, "\(at)")) }
        if let platforms = self.platforms {
            list.append((Annotation.platforms, platforms.map(\.description).joined(separator: ",")))
        }
        list.append((Annotation.repository, "\(self.repository)"))
        if let name = self.name {
            list.append((Annotation.containerdName, name))
            list.append((Annotation.refName, name))
        }
        return list
    }

    /// What an entry stands behind in `index.json`: repository, name, digest.
    static func precedes(_ left: BundleEntry, _ right: BundleEntry) -> Bool {
        let (a, b) = (left.repository.description, right.repository.description)
        if a != b { return a.utf8.lexicographicallyPrecedes(b.utf8) }
        let (x, y) = (left.tag?.description ?? "", right.tag?.description ?? "")
        if x != y { return x.utf8.lexicographicallyPrecedes(y.utf8) }
        return left.descriptor.digest < right.descriptor.digest
    }
}

extension BundleEntry {
    /// Makes an entry of a descriptor and its annotations.
    ///
    /// - Throws: `BundleError.foreign` when another program wrote it, `.malformed` when its parts contradict each other.
    init(_ descriptor: Descriptor, annotations: [String: String]) throws(BundleError) {
        guard let repository = annotations[Annotation.repository] else {
            throw BundleError(.foreign, "index.json lists \(descriptor.digest) without \(Annotation.repository)")
        }
        do {
            self.repository = try QualifiedRepository(parsing: repository)
        } catch {
            throw BundleError(.malformed, "index.json names the repository of \(descriptor.digest) wrongly: \(error)")
        }
        self.descriptor = descriptor
        self.tag = try Self.tag(annotations, self.repository)
        self.at = try Self.time(annotations[Annotation.at])
        self.platforms = try Self.platforms(annotations[Annotation.platforms])
    }

    /// Both names, where they stand, have to be the one that the repository and a tag make.
    private static func tag(_ annotations: [String: String], _ repository: QualifiedRepository) throws(BundleError) -> Tag? {
        guard let name = annotations[Annotation.refName] else { return nil }
        let other = annotations[Annotation.containerdName] ?? name
        let prefix = "\(repository):"
        guard other.utf8.elementsEqual(name.utf8), name.utf8.starts(with: prefix.utf8) else {
            throw BundleError(.malformed, "index.json has the name \"\(name.prefix(300))\" in the repository \(repository)")
        }
        do {
            return try Tag(parsing: String(decoding: name.utf8.dropFirst(prefix.utf8.count), as: UTF8.self))
        } catch {
            throw BundleError(.malformed, "index.json has a name that is none: \(error)")
        }
    }

    private static func time(_ text: String?) throws(BundleError) -> Int64? {
        guard let text else { return nil }
        guard (1...18).contains(text.utf8.count), text.utf8.allSatisfy({ (0x30...0x39).contains($0) }), let time = Int64(text)
        else {
            throw BundleError(.malformed, "index.json has the time \"\(text.prefix(40))\", which is no number of seconds")
        }
        return time
    }

    private static func platforms(_ text: String?) throws(BundleError) -> [Platform]? {
        guard let text else { return nil }
        if text.isEmpty { return [] }
        var platforms: [Platform] = []
        for part in text.split(separator: ",", omittingEmptySubsequences: false) {
            guard let platform = PlatformChoice(parsing: part)?.platform else {
                throw BundleError(
                    .malformed, "index.json has the platform \"\(part.prefix(80))\"; expected linux/amd64 and the like")
            }
            platforms.append(platform)
        }
        return platforms
    }
}
