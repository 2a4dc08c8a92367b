/// Why a text is no digest, tag, repository name or namespace.
package struct ReferenceError: Error, Hashable, Sendable, CustomStringConvertible {
    package enum Code: Sendable {
        case invalidDigest
        case unsupportedDigest
        case invalidTag
        case invalidName
        case invalidNamespace
        case invalidMediaType
    }

    package let code: Code
    /// The offending text, cut to a length that can be logged.
    package let text: String

    package init(_ code: Code, _ text: String) {
        self.code = code
        self.text = text.count > 160 ? String(text.prefix(160)) + "…" : text
    }

    package var description: String {
        switch self.code {
        case .invalidDigest:
            "\"\(self.text)\" is not a digest: expected sha256: and 64, or sha512: and 128 lower-case hex digits"
        case .unsupportedDigest:
            "\"\(self.text)\" is not a digest of a supported algorithm (sha256, sha512)"
        case .invalidTag:
            "\"\(self.text)\" is not a tag: expected 1 to 128 of A-Z a-z 0-9 _ . - not beginning with . or -"
        case .invalidName:
            "\"\(self.text)\" is not a repository name: expected lower-case path components such as library/nginx"
        case .invalidNamespace:
            "\"\(self.text)\" is not a registry namespace: expected a host such as docker.io or registry.local:5000"
        case .invalidMediaType:
            "\"\(self.text)\" is not a media type"
        }
    }
}
