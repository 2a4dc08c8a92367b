/// An image as people name it: `nginx`, `nginx:1.27`, `ghcr.io/org/app@sha256:…`, `registry.local:5000/app:v1`.
///
/// What is left out is filled in by whoever knows the defaults. Source: distribution's `reference` grammar, as every engine
/// follows it: a first component is a registry when it has a `.` or a `:`, or is `localhost`.
package struct ImageReference: Hashable, Sendable, CustomStringConvertible {
    /// Nil when the name does not begin with a registry.
    package let namespace: Namespace?
    package let name: RepositoryName
    package let tag: Tag?
    package let digest: Digest?

    package init(parsing text: some StringProtocol) throws(ReferenceError) {
        var rest = Substring(text)
        if let at = rest.firstIndex(of: "@") {
            self.digest = try Digest(parsing: rest[rest.index(after: at)...])
            rest = rest[..<at]
        } else {
            self.digest = nil
        }
        // A colon behind the last slash begins a tag; one before it is a port.
        let path = rest.lastIndex(of: "/").map { rest.index(after: $0) } ?? rest.startIndex
        if let colon = rest[path...].firstIndex(of: ":") {
            self.tag = try Tag(parsing: rest[rest.index(after: colon)...])
            rest = rest[..<colon]
        } else {
            self.tag = nil
        }
        if let slash = rest.firstIndex(of: "/"), Namespace.looksLikeHost(rest[..<slash]) {
            self.namespace = try Namespace(parsing: rest[..<slash])
            rest = rest[rest.index(after: slash)...]
        } else {
            self.namespace = nil
        }
        self.name = try RepositoryName(parsing: rest)
    }

    /// The one thing it points at: the digest when there is one, else the tag, else nothing was said.
    package var reference: Reference? { self.digest.map { .digest($0) } ?? self.tag.map { .tag($0) } }

    package var description: String {
        (self.namespace.map { "\($0)/" } ?? "") + self.name.description + (self.tag.map { ":\($0)" } ?? "")
            + (self.digest.map { "@\($0)" } ?? "")
    }
}
