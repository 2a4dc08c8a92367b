import OCI

/// What an archive has, by name, after a look at every header of it.
///
/// Two forms are known: an OCI image layout, in which every member has its one possible name, and what `docker save` wrote before version
/// 25, in which `manifest.json` says what the others are.
struct TarDirectory: Sendable {
    enum Form: Sendable {
        case layout
        case docker
    }

    struct Place: Hashable, Sendable {
        let offset: Int64
        let size: Int64
    }

    /// A member of a `docker save` archive.
    enum Other: Hashable, Sendable {
        case file(Place)
        case link(to: String)
    }

    private(set) var form = Form.layout
    private(set) var members: [BundleMember: Place] = [:]
    /// Members whose names a layout does not have.
    private(set) var others: [String: Other] = [:]
    private var firstOther: String?
    private var firstLink: String?

    /// Members of a `docker save` archive: four a layer, and a layer is seldom one of hundreds.
    private static let othersLimit = 20_000

    /// Reads all headers. Blocks.
    init(_ file: BundleFile) throws {
        var reader = TarReader(file)
        var isEmpty = true
        while let member = try reader.next() {
            isEmpty = false
            try self.take(member)
        }
        guard !isEmpty else { throw BundleError(.refused, "it is an archive with nothing in it") }
        try self.judge()
    }

    private mutating func take(_ member: TarMember) throws {
        switch member.kind {
        case .folder:
            if !BundleMember.isFolder(path: member.name) { try self.noteOther(member.name) }
        case .file:
            let place = Place(offset: member.offset, size: member.size)
            if let known = BundleMember(path: member.name) {
                guard self.members.updateValue(place, forKey: known) == nil else { throw Self.twice(member.name) }
            } else {
                try self.noteOther(member.name)
                guard self.others.updateValue(.file(place), forKey: member.name) == nil else { throw Self.twice(member.name) }
            }
        case .symbolicLink(let target):
            try self.link(member.name, to: Self.resolve(target, from: member.name))
        case .hardLink(let target):
            try self.link(member.name, to: Self.resolve(target, from: ""))
        }
    }

    private mutating func link(_ name: String, to target: String?) throws {
        guard let target, BundleMember(path: name) == nil else {
            throw BundleError(.refused, "its member \(JSONText.quoted(name)) is a link; a bundle has regular files only")
        }
        try self.noteOther(name)
        if self.firstLink == nil { self.firstLink = name }
        guard self.others.updateValue(.link(to: target), forKey: name) == nil else { throw Self.twice(name) }
    }

    private mutating func noteOther(_ name: String) throws {
        if self.firstOther == nil { self.firstOther = name }
        guard self.others.count < Self.othersLimit else {
            throw BundleError(.refused, "it has more than \(Self.othersLimit) members that no image layout has")
        }
    }

    private static func twice(_ name: String) -> BundleError {
        BundleError(.refused, "it has the member \(JSONText.quoted(name)) twice, and which one counts nobody can say")
    }

    /// Where a link leads within the archive; nil when that is outside.
    private static func resolve(_ target: String, from name: String) -> String? {
        guard !target.hasPrefix("/") else { return nil }
        var parts = name.split(separator: "/").dropLast().map(String.init)
        for part in target.split(separator: "/", omittingEmptySubsequences: false) {
            switch part {
            case "": return nil
            case ".": continue
            case "..":
                guard !parts.isEmpty else { return nil }
                parts.removeLast()
            default: parts.append(String(part))
            }
        }
        return parts.isEmpty ? nil : parts.joined(separator: "/")
    }

    private mutating func judge() throws {
        if self.members[.layout] != nil {
            self.form = .layout
            if let firstLink {
                throw BundleError(.refused, "its member \(JSONText.quoted(firstLink)) is a link; a bundle has regular files only")
            }
            if let firstOther {
                throw BundleError(.refused, "its member \(JSONText.quoted(firstOther)) is none that an OCI image layout has")
            }
            guard self.members[.index] != nil else { throw BundleError(.refused, "it has no index.json") }
        } else if self.members[.dockerManifest] != nil {
            self.form = .docker
            for case (let name, .link) in self.others where self.place(of: name) == nil {
                throw BundleError(
                    .refused, "its member \(JSONText.quoted(name)) is a link to something that the archive does not have")
            }
        } else if let folder = self.others.keys.first(where: { $0.hasSuffix("/oci-layout") })?.dropLast(11) {
            throw BundleError(
                .refused,
                "its image layout is in the folder \(JSONText.quoted(String(folder))); unpack it and import that folder, or pack it with "
                    + "tar -C \(folder) -cf BUNDLE.tar .")
        } else {
            throw BundleError(
                .refused, "it is neither an OCI image layout nor a docker save archive: it has no oci-layout and no manifest.json"
            )
        }
        // What the layouts of others carry besides, nobody reads; that it can be read by somebody is enough.
        for member in [BundleMember.layout, .index, .dockerManifest, .repositories] {
            guard self.members[member]?.size ?? 0 <= Int64(Limits.Bundles.document) else {
                throw BundleError(.refused, "its \(member.path) is larger than 4 MiB")
            }
        }
    }

    /// Where a member of a `docker save` archive is, links followed by name.
    func place(of name: String) -> Place? {
        var name = name
        for _ in 0...Limits.Bundles.links {
            if let known = BundleMember(path: name) { return self.members[known] }
            switch self.others[name] {
            case .file(let place): return place
            case .link(let target): name = target
            case nil: return nil
            }
        }
        return nil
    }
}
