/// What a manifest says about itself: its kind and the content it refers to. The bytes stay with whoever has them.
///
/// Sources: image spec, "Image Manifest" and "Image Index"; Docker's schema 2 and manifest list are the same shape.
package struct Manifest: Hashable, Sendable {
    /// What a child is to its parent.
    package enum Role: String, Sendable {
        case config
        case layer
        /// A layer that its publisher forbids to distribute; a registry need not have it.
        case foreignLayer = "foreign"
        case manifest
        /// A blob of the withdrawn OCI artifact manifest.
        case blob
    }

    package struct Child: Hashable, Sendable {
        package let role: Role
        package let descriptor: Descriptor

        package init(role: Role, descriptor: Descriptor) {
            self.role = role
            self.descriptor = descriptor
        }
    }

    /// 4 MiB: distribution spec, "Pushing Manifests", the size that registries should accept.
    package static let maximumSize = Limits.Documents.manifest

    package let mediaType: MediaType
    package let children: [Child]
    /// The manifest this one is about, for the referrers API.
    package let subject: Descriptor?

    /// Reads and checks a manifest.
    ///
    /// - Parameter mediaType: the type it came with. A document that says another of itself, or that could be both
    ///   an image and an index, has two meanings (CVE-2021-41190) and is refused.
    package init(parsing bytes: UnsafeRawBufferPointer, as mediaType: MediaType) throws(ManifestError) {
        guard bytes.count <= Self.maximumSize else { throw ManifestError("is larger than 4 MiB") }
        if mediaType.isSchema1 { throw ManifestError("is a Docker schema 1 manifest, which Amargo does not carry") }
        guard mediaType.isManifest else { throw ManifestError("came as \(mediaType), which is no manifest type") }
        let fields: Fields
        do {
            fields = try JSONReader.read(bytes) { try Fields(reading: &$0) }
        } catch let error as JSONError {
            throw ManifestError(error.description)
        } catch {
            throw ManifestError("\(error)")
        }
        if let own = fields.mediaType, own != mediaType {
            throw ManifestError("says that it is \(own) but came as \(mediaType)")
        }
        if mediaType != .ociArtifact, fields.schemaVersion != 2 { throw ManifestError("is not of schema version 2") }
        if fields.hasManifests, fields.hasLayers || fields.hasConfig {
            throw ManifestError("could be an image as well as an index")
        }
        if mediaType.isIndex {
            guard fields.hasManifests else { throw ManifestError("is an index without manifests") }
        } else if mediaType != .ociArtifact {
            guard fields.hasConfig, fields.hasLayers else { throw ManifestError("is an image without config or layers") }
        }
        self.mediaType = mediaType
        self.children = fields.children
        self.subject = fields.subject
    }
}

extension Manifest {
    /// The type of a document that came without one: what it declares, else what its fields can only mean.
    package static func declaredType(of bytes: UnsafeRawBufferPointer) -> MediaType? {
        do {
            let fields = try JSONReader.read(bytes) { try Fields(reading: &$0) }
            if let type = fields.mediaType { return type.isManifest ? type : nil }
            if fields.hasManifests { return .ociIndex }
            return fields.hasConfig && fields.hasLayers ? .ociManifest : nil
        } catch {
            return nil  // no manifest that could be believed
        }
    }
}

/// Why a document is no manifest that can be kept; `description` completes "the manifest …".
package struct ManifestError: Error, Hashable, Sendable, CustomStringConvertible {
    package let description: String

    package init(_ problem: String) {
        self.description = problem
    }
}

/// The fields of any kind of manifest, before they are judged.
private struct Fields {
    var schemaVersion: Int64?
    var mediaType: MediaType?
    var hasManifests = false
    var hasLayers = false
    var hasConfig = false
    var children: [Manifest.Child] = []
    var subject: Descriptor?

    init(reading reader: inout JSONReader) throws {
        guard try reader.peek() == .object else { throw ManifestError("is no JSON object") }
        var fields = Self.empty
        var configs: [Manifest.Child] = []
        try reader.object { reader, key in
            switch key {
            case "schemaVersion": fields.schemaVersion = try reader.integer()
            case "mediaType":
                let text = try reader.string()
                fields.mediaType = try text.isEmpty ? nil : MediaType(parsing: text)
                // Others compare it to the letter, and would take it for something else.
                guard fields.mediaType.map({ $0.description == text }) ?? true else {
                    throw ManifestError("says that it is \"\(text.prefix(160))\", which is not how a media type is written here")
                }
            case "config":
                fields.hasConfig = true
                configs.append(.init(role: .config, descriptor: try Descriptor(reading: &reader)))
            case "layers":
                fields.hasLayers = try fields.readList(&reader) { $0.isForeignLayer ? .foreignLayer : .layer }
            case "manifests": fields.hasManifests = try fields.readList(&reader) { _ in .manifest }
            case "blobs": _ = try fields.readList(&reader) { _ in .blob }
            case "subject":
                if try reader.peek() == .null {
                    try reader.skipValue()
                } else {
                    fields.subject = try Descriptor(reading: &reader)
                }
            default:
                // Readers that fold case (Go's encoding/json) would take such a key for the one it resembles.
                if Self.known.contains(key.foldedAsGo) { throw ManifestError("has the ambiguous key \"\(key)\"") }
                try reader.skipValue()
            }
        }
        fields.children = configs + fields.children
        self = fields
    }

    private init() {}
    private static var empty: Fields { Fields() }
    private static let known: Set<String> = [
        "schemaversion", "mediatype", "config", "layers", "manifests", "blobs", "subject", "fslayers",
    ]

    /// Go writes an empty list as `null`; that is a list all the same.
    private mutating func readList(_ reader: inout JSONReader, role: (Descriptor) -> Manifest.Role) throws -> Bool {
        if try reader.peek() == .null {
            try reader.skipValue()
            return true
        }
        var children: [Manifest.Child] = []
        try reader.array { reader in
            let descriptor = try Descriptor(reading: &reader)
            children.append(.init(role: role(descriptor), descriptor: descriptor))
        }
        self.children += children
        return true
    }
}

extension String {
    /// Lower case by way of upper case, so that U+017F is an s and U+212A a k, as in Go's encoding/json.
    fileprivate var foldedAsGo: String { self.uppercased().lowercased() }
}

extension Descriptor {
    /// Image spec, "Non-Distributable Layers", and Docker's foreign layers.
    fileprivate var isForeignLayer: Bool {
        let type = self.mediaType.description
        return type.contains(".nondistributable.") || type.contains("rootfs.foreign.")
    }

    fileprivate init(reading reader: inout JSONReader) throws {
        var mediaType: MediaType?
        var digest: Digest?
        var size: Int64?
        var platform: Platform?
        try reader.object { reader, key in
            switch key {
            case "mediaType":
                let text = try reader.string()
                mediaType = try text.isEmpty ? nil : MediaType(parsing: text)
            case "digest": digest = try Digest(parsing: try reader.string())
            case "size": size = try reader.integer()
            case "platform":
                if try reader.peek() == .null { try reader.skipValue() } else { platform = try Platform(reading: &reader) }
            default:
                if ["mediatype", "digest", "size"].contains(key.foldedAsGo) {
                    throw ManifestError("has the ambiguous key \"\(key)\"")
                }
                try reader.skipValue()
            }
        }
        guard let digest, let size, size >= 0 else { throw ManifestError("has a descriptor without digest or size") }
        self.init(mediaType: mediaType ?? .octetStream, digest: digest, size: size, platform: platform)
    }
}

extension Platform {
    fileprivate init(reading reader: inout JSONReader) throws {
        var os = ""
        var architecture = ""
        var variant: String?
        try reader.object { reader, key in
            switch key {
            case "os": os = try reader.string()
            case "architecture": architecture = try reader.string()
            case "variant": variant = try reader.string()
            default: try reader.skipValue()
            }
        }
        self.init(os: os, architecture: architecture, variant: variant?.isEmpty == true ? nil : variant)
    }
}
