import OCI

/// What things are called.
extension FuzzTarget {
    static let repository = FuzzTarget(
        "repository",
        corpus: ["a", "library/nginx", "a.b/c__d/e--f", "a/b/c/d/e/f/g/h", "0/1_2", String(repeating: "a/", count: 127) + "a"],
        words: nameWords,
        text: { text in
            guard let name = try? RepositoryName(parsing: text) else {
                return Grammar.isName(text) ? .broken("a name by the specification is refused") : .refused
            }
            guard Grammar.isName(text) else { return .broken("no name by the specification") }
            guard name.description.isSame(as: text) else { return .broken("is written as \(name)") }
            return name.components.joined(separator: "/").isSame(as: text) ? .accepted : .broken("has other components")
        })

    static let tag = FuzzTarget(
        "tag", corpus: ["latest", "v1.2.3-rc_4", "_", "0", String(repeating: "x", count: 128), "sha256-\(abc).sig"],
        words: nameWords,
        text: { text in
            guard let tag = try? Tag(parsing: text) else {
                return Grammar.tag.matches(text) ? .broken("a tag by the specification is refused") : .refused
            }
            guard Grammar.tag.matches(text) else { return .broken("no tag by the specification") }
            return tag.description.isSame(as: text) ? .accepted : .broken("is written as \(tag)")
        })

    static let digest = FuzzTarget(
        "digest", corpus: ["sha256:\(abc)", "sha512:\(longABC)"], words: nameWords + ["sha384:", "SHA256:", "md5:", "g", "F"],
        text: { text in
            let isDigest = Grammar.digest.matches(text)
            let fromBytes = Array(text.utf8).withUnsafeBytes { Digest(parsing: $0) }
            guard let digest = try? Digest(parsing: text) else {
                return isDigest || fromBytes != nil ? .broken("a digest by the specification is refused") : .refused
            }
            guard isDigest else { return .broken("no digest by the specification") }
            guard digest.description.isSame(as: text), digest.hex.isSame(as: text.dropFirst(7)) else {
                return .broken("is written as \(digest)")
            }
            return fromBytes == digest ? .accepted : .broken("its bytes are another digest")
        })

    static let namespace = FuzzTarget(
        "namespace",
        corpus: ["docker.io", "localhost", "registry.local:5000", "a-b.c:1", "1.2.3.4:65535", "localhost:80", "quay.io"],
        words: nameWords + ["[", "]", "::1", "xn--", ":00000", "::", String(repeating: "a.", count: 120)],
        text: { text in
            let isNamespace =
                Grammar.host.matches(text) && (text.isSame(as: "localhost") || text.utf8.contains { ".:".utf8.contains($0) })
            guard let namespace = try? Namespace(parsing: text) else {
                return isNamespace ? .broken("a host by RFC 1123 is refused") : .refused
            }
            guard isNamespace else { return .broken("no host by RFC 1123, or one that a repository could be called") }
            guard namespace.description.isSame(as: text) else { return .broken("is written as \(namespace)") }
            // What can be told from a repository's first component is found again in front of one.
            guard let repository = try? QualifiedRepository(parsing: "\(text)/a/b") else {
                return .broken("stands before no name")
            }
            return repository.description.isSame(as: "\(text)/a/b") ? .accepted : .broken("\(repository) is another repository")
        })

    static let reference = FuzzTarget(
        "reference",
        corpus: [
            "nginx", "nginx:1.27", "library/nginx", "ghcr.io/org/app@sha256:\(abc)", "registry.local:5000/app:v1",
            "localhost/a:b@sha512:\(longABC)", "localhost:80/a", "a/b/c:d",
        ], words: nameWords + ["@sha256:\(abc)", ":latest", ":@", "@:"],
        text: { text in
            let expected = Self.pieces(of: text)
            guard let reference = try? ImageReference(parsing: text) else {
                return expected == nil ? .refused : .broken("a reference by the grammar is refused")
            }
            guard let expected else { return .broken("no reference by the grammar") }
            guard reference.description.isSame(as: text) else { return .broken("is written as \(reference)") }
            let found = [
                reference.namespace?.description ?? "", reference.name.description, reference.tag?.description ?? "",
                reference.digest?.description ?? "",
            ]
            return found == expected ? .accepted : .broken("has the pieces \(found)")
        })

    /// Host, name, tag and digest of an image reference, read by the grammar; nil when it is none.
    private static func pieces(of text: String) -> [String]? {
        let groups = Grammar.reference.groups(text)
        guard groups.count == 4 else { return nil }
        var (host, name) = ("", groups[1])
        let (tag, digest) = (groups[2], groups[3])
        // Behind the first slash of one that begins with a host is its name; a host has a dot or a port, or is localhost.
        let parts = name.split(separator: "/", maxSplits: 1, omittingEmptySubsequences: false)
        if parts.count == 2, parts[0] == "localhost" || parts[0].utf8.contains(where: { ".:".utf8.contains($0) }) {
            (host, name) = (String(parts[0]), String(parts[1]))
            guard Grammar.host.matches(host) else { return nil }
        }
        let rebuilt =
            (host.isEmpty ? "" : host + "/") + name + (tag.isEmpty ? "" : ":" + tag) + (digest.isEmpty ? "" : "@" + digest)
        guard rebuilt.isSame(as: text), Grammar.isName(name), tag.isEmpty || Grammar.tag.matches(tag),
            digest.isEmpty || Grammar.digest.matches(digest)
        else { return nil }
        return [host, name, tag, digest]
    }

    static let mediaType = FuzzTarget(
        "media-type",
        corpus: [
            "application/vnd.oci.image.manifest.v1+json", "text/html; charset=utf-8", " application/json ;q=1",
            "Application/VND.docker.distribution.manifest.list.v2+JSON", "a/b",
        ], words: nameWords + [";", "; ", "/", "+json", "*", "*/*", "\"", ",", String(repeating: "x", count: 250)],
        text: { text in
            let bare = text.utf8.prefix { $0 != UInt8(ascii: ";") }
            let trimmed = String(Substring(bare)).trimming(" \t")
            guard let type = try? MediaType(parsing: text) else { return .refused }
            let written = type.description
            guard written.utf8.count <= 255, Grammar.mediaType.matches(written) else {
                return .broken("\(written) is no media type")
            }
            guard trimmed.utf8.elementsEqual(written.utf8, by: { $0 == $1 || $0 + 0x20 == $1 }) else {
                return .broken("is written as \(written)")
            }
            return (try? MediaType(parsing: written)) == type ? .accepted : .broken("\(written) is read as another")
        })
}

extension String {
    fileprivate func trimming(_ characters: String) -> String {
        let isTrimmed = { (byte: UInt8) in characters.utf8.contains(byte) }
        let start = self.utf8.drop(while: isTrimmed)
        let end = start.lastIndex { !isTrimmed($0) }.map { start.index(after: $0) } ?? start.startIndex
        return String(decoding: start[..<end], as: UTF8.self)
    }
}
