/// A media type without parameters, such as `application/vnd.oci.image.manifest.v1+json`.
package struct MediaType: Hashable, Sendable, CustomStringConvertible {
    package let description: String

    /// Takes the type out of a `Content-Type` value: parameters and space around it are dropped (RFC 9110, 8.3.1).
    package init(parsing text: some StringProtocol) throws(ReferenceError) {
        let type = Array(text.utf8.prefix { $0 != UInt8(ascii: ";") }.drop(while: \.isSpace))
        let end = type.lastIndex { !$0.isSpace }.map { $0 + 1 } ?? 0
        // ASCII letters only: some others have lower-case forms that are ASCII.
        let bare = String(decoding: type[..<end].map(\.asciiLowercased), as: UTF8.self)
        let parts = bare.split(separator: "/", omittingEmptySubsequences: false)
        guard bare.utf8.count <= 255, parts.count == 2, parts.allSatisfy({ !$0.isEmpty }), bare.utf8.allSatisfy(\.isTokenByte)
        else { throw ReferenceError(.invalidMediaType, String(text.prefix(160))) }
        self.description = bare
    }

    private init(known: String) {
        self.description = known
    }

    package static let ociManifest = MediaType(known: "application/vnd.oci.image.manifest.v1+json")
    package static let ociIndex = MediaType(known: "application/vnd.oci.image.index.v1+json")
    package static let ociArtifact = MediaType(known: "application/vnd.oci.artifact.manifest.v1+json")
    package static let dockerManifest = MediaType(known: "application/vnd.docker.distribution.manifest.v2+json")
    package static let dockerList = MediaType(known: "application/vnd.docker.distribution.manifest.list.v2+json")
    package static let dockerSchema1 = MediaType(known: "application/vnd.docker.distribution.manifest.v1+json")
    package static let dockerSchema1Signed = MediaType(known: "application/vnd.docker.distribution.manifest.v1+prettyjws")
    package static let octetStream = MediaType(known: "application/octet-stream")

    /// Every kind of manifest we ask an upstream for: all but schema 1, so that a tag is one digest.
    package static let manifests: [MediaType] = [.ociIndex, .dockerList, .ociManifest, .dockerManifest, .ociArtifact]

    package var isIndex: Bool { self == .ociIndex || self == .dockerList }
    package var isManifest: Bool { Self.manifests.contains(self) }
    package var isSchema1: Bool { self == .dockerSchema1 || self == .dockerSchema1Signed }
}

extension UInt8 {
    fileprivate var isSpace: Bool { self == 0x20 || self == 0x09 }

    fileprivate var asciiLowercased: UInt8 { (UInt8(ascii: "A")...UInt8(ascii: "Z")).contains(self) ? self | 0x20 : self }

    /// RFC 9110, 5.6.2: `tchar`, and the slash between type and subtype.
    fileprivate var isTokenByte: Bool {
        switch self {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "0")...UInt8(ascii: "9"): true
        default: "!#$%&'*+-.^_`|~/".utf8.contains(self)
        }
    }
}
