/// Deterministic content for tests.
package enum Fixtures {
    /// What a manifest says about a blob or another manifest; nothing checks that it is true.
    package struct Descriptor: Sendable, Equatable {
        package let mediaType: String
        package let digest: String
        package let size: Int
        /// `os/architecture`, for the children of an index.
        package let platform: String?

        package init(mediaType: String, digest: String, size: Int, platform: String? = nil) {
            self.mediaType = mediaType
            self.digest = digest
            self.size = size
            self.platform = platform
        }

        /// The descriptor of these bytes.
        package init(mediaType: String, of bytes: [UInt8], platform: String? = nil) {
            self.init(
                mediaType: mediaType, digest: "sha256:\(sha256Hex(bytes))", size: bytes.count, platform: platform)
        }

        var json: String {
            var text = "{\"mediaType\":\"\(self.mediaType)\",\"digest\":\"\(self.digest)\",\"size\":\(self.size)"
            if let platform {
                let parts = platform.split(separator: "/", maxSplits: 1).map(String.init)
                let (system, architecture) = (parts.first ?? "", parts.count > 1 ? parts[1] : "")
                text += ",\"platform\":{\"os\":\"\(system)\",\"architecture\":\"\(architecture)\"}"
            }
            return text + "}"
        }
    }

    /// Bytes that look random and do not compress; equal seeds give equal bytes, and a longer run starts with a
    /// shorter one's bytes up to its last multiple of 8.
    package static func pseudoRandomBytes(count: Int, seed: UInt64) -> [UInt8] {
        [UInt8](unsafeUninitializedCapacity: count) { buffer, initialized in
            // xorshift64: any state but 0. The multiplication keeps neighbouring seeds apart.
            var state = (seed &+ 1) &* 0x9E37_79B9_7F4A_7C15 | 1
            var offset = 0
            let raw = UnsafeMutableRawBufferPointer(buffer)
            while offset < count {
                state ^= state << 13
                state ^= state >> 7
                state ^= state << 17
                if count - offset >= 8 {
                    raw.storeBytes(of: state.littleEndian, toByteOffset: offset, as: UInt64.self)
                } else {
                    for index in offset..<count {
                        raw[index] = UInt8(truncatingIfNeeded: state >> (8 * (index - offset)))
                    }
                }
                offset += 8
            }
            initialized = count
        }
    }

    /// An image manifest, or a Docker schema 2 one.
    package static func imageManifest(
        config: Descriptor, layers: [Descriptor], flavour: ManifestFlavour = .oci
    ) -> [UInt8] {
        let list = layers.map(\.json).joined(separator: ",")
        return Array(
            """
            {"schemaVersion":2,"mediaType":"\(flavour.manifestType)","config":\(config.json),"layers":[\(list)]}
            """.utf8)
    }

    /// An image index, or a Docker manifest list.
    package static func imageIndex(manifests: [Descriptor], flavour: ManifestFlavour = .oci) -> [UInt8] {
        let list = manifests.map(\.json).joined(separator: ",")
        return Array(
            "{\"schemaVersion\":2,\"mediaType\":\"\(flavour.indexType)\",\"manifests\":[\(list)]}".utf8)
    }

    /// An image configuration; the diff ids are the layers' digests, as if they were not compressed.
    package static func imageConfig(layers: [Descriptor], platform: String = "linux/amd64", note: String = "")
        -> [UInt8]
    {
        let parts = platform.split(separator: "/", maxSplits: 1).map(String.init)
        let list = layers.map { "\"\($0.digest)\"" }.joined(separator: ",")
        return Array(
            """
            {"architecture":"\(parts.last ?? "")","os":"\(parts.first ?? "")","author":"\(note)","config":{},\
            "rootfs":{"type":"layers","diff_ids":[\(list)]}}
            """.utf8)
    }
}
