import OCI

/// What a bundle can have, by its name there.
package enum BundleMember: Hashable, Sendable {
    /// `oci-layout`
    case layout
    /// `index.json`
    case index
    /// `manifest.json` of what `docker save` writes.
    case dockerManifest
    /// `repositories`, which `docker save` still writes for versions before 1.10. Read by nobody.
    case repositories
    case blob(Digest)

    package init?(path: String) {
        switch path {
        case "oci-layout": self = .layout
        case "index.json": self = .index
        case "manifest.json": self = .dockerManifest
        case "repositories": self = .repositories
        default:
            let parts = path.split(separator: "/", omittingEmptySubsequences: false)
            guard parts.count == 3, parts[0] == "blobs", let algorithm = Digest.Algorithm(rawValue: String(parts[1])),
                let digest = Digest(algorithm, hex: Array(parts[2].utf8))
            else { return nil }
            self = .blob(digest)
        }
    }

    package var path: String {
        switch self {
        case .layout: "oci-layout"
        case .index: "index.json"
        case .dockerManifest: "manifest.json"
        case .repositories: "repositories"
        case .blob(let digest): "blobs/\(digest.algorithm.rawValue)/\(digest.hex)"
        }
    }

    /// The folders that a layout has.
    static func isFolder(path: String) -> Bool {
        path.isEmpty || path == "." || path == "blobs" || Digest.Algorithm.allCases.contains { path == "blobs/\($0.rawValue)" }
    }
}
