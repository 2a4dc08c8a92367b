import OCI

/// A manifest's children in as little memory as they need: there are about as many of them as there are blobs.
///
/// Each is a byte of role and algorithm, the hash, the size as LEB128, and, where there is one, the platform with its length before it.
struct PackedEdges: Hashable, Sendable {
    private static let roles: [Manifest.Role] = [.config, .layer, .foreignLayer, .manifest, .blob]
    private static let longHash: UInt8 = 0x08
    private static let hasPlatform: UInt8 = 0x10

    let count: Int
    private let bytes: [UInt8]

    init(_ edges: [Edge]) {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(edges.reduce(0) { $0 + Self.size(of: $1) })
        for edge in edges {
            var head = UInt8(Self.roles.firstIndex(of: edge.role) ?? 0)
            if edge.digest.algorithm == .sha512 { head |= Self.longHash }
            let platform = edge.platform.map { Array($0.utf8.prefix(1 << 16)) }
            if platform != nil { head |= Self.hasPlatform }
            bytes.append(head)
            edge.digest.appendHash(to: &bytes)
            Self.append(UInt64(bitPattern: edge.size), to: &bytes)
            if let platform {
                Self.append(UInt64(platform.count), to: &bytes)
                bytes += platform
            }
        }
        self.bytes = bytes
        self.count = edges.count
    }

    private static func size(of edge: Edge) -> Int {
        1 + edge.digest.algorithm.byteCount + Self.length(UInt64(bitPattern: edge.size))
            + (edge.platform.map { min($0.utf8.count, 1 << 16) + Self.length(UInt64(min($0.utf8.count, 1 << 16))) } ?? 0)
    }

    private static func length(_ number: UInt64) -> Int { max(1, (64 - number.leadingZeroBitCount + 6) / 7) }

    private static func append(_ number: UInt64, to bytes: inout [UInt8]) {
        var rest = number
        while rest >= 0x80 {
            bytes.append(UInt8(truncatingIfNeeded: rest) | 0x80)
            rest >>= 7
        }
        bytes.append(UInt8(rest))
    }

    /// The children as they were given, but for what a platform's text has beyond 64 KiB.
    var edges: [Edge] {
        var edges: [Edge] = []
        edges.reserveCapacity(self.count)
        self.visit {
            edges.append($0)
            return true
        }
        return edges
    }

    /// The first child with this digest, found without making a list of all.
    func first(_ digest: Digest) -> Edge? {
        var found: Edge?
        self.visit { edge in
            if edge.digest == digest { found = edge }
            return found == nil
        }
        return found
    }

    /// Calls `body` with each child until it says false.
    private func visit(_ body: (Edge) -> Bool) {
        self.scan { role, digest, size, platform in
            body(Edge(role: role, digest: digest, size: size, platform: platform.map { String(decoding: $0, as: UTF8.self) }))
        }
    }

    /// As `visit`, without making a text of the platform.
    func scan(_ body: (Manifest.Role, Digest, _ size: Int64, _ platform: UnsafeRawBufferPointer?) -> Bool) {
        self.bytes.withUnsafeBytes { bytes in
            var position = 0
            func number() -> UInt64 {
                var number: UInt64 = 0
                var shift: UInt64 = 0
                while true {
                    let byte = bytes[position]
                    position += 1
                    number |= UInt64(byte & 0x7F) << shift
                    if byte < 0x80 { return number }
                    shift += 7
                }
            }
            while position < bytes.count {
                let head = bytes[position]
                let algorithm: Digest.Algorithm = head & Self.longHash == 0 ? .sha256 : .sha512
                let hash = UnsafeRawBufferPointer(rebasing: bytes[(position + 1)..<(position + 1 + algorithm.byteCount)])
                position += 1 + algorithm.byteCount
                let size = Int64(bitPattern: number())
                var platform: UnsafeRawBufferPointer?
                if head & Self.hasPlatform != 0 {
                    let length = Int(number())
                    platform = UnsafeRawBufferPointer(rebasing: bytes[position..<(position + length)])
                    position += length
                }
                guard let digest = Digest(algorithm, hash: hash) else { break }
                guard body(Self.roles[Int(head & 0x07)], digest, size, platform) else { return }
            }
        }
    }
}
