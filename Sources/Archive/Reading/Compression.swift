/// How a file is compressed, by its first bytes.
enum Compression: Hashable {
    case none
    case gzip
    /// One that is not read here: what it is called, and what unpacks it.
    case other(name: String, program: String)

    /// As many bytes as it takes to tell.
    static let prefix = 6

    init(_ bytes: some Collection<UInt8>) {
        func begins(_ magic: [UInt8]) -> Bool { bytes.starts(with: magic) }
        if begins([0x1F, 0x8B]) {
            self = .gzip
        } else if begins([0x28, 0xB5, 0x2F, 0xFD]) {
            self = .other(name: "zstd", program: "zstd -d")
        } else if begins([0xFD, 0x37, 0x7A, 0x58, 0x5A, 0x00]) {
            self = .other(name: "xz", program: "xz -d")
        } else if begins(Array("BZh".utf8)) {
            self = .other(name: "bzip2", program: "bzip2 -d")
        } else if begins([0x04, 0x22, 0x4D, 0x18]) {
            self = .other(name: "lz4", program: "lz4 -d")
        } else if begins(Array("LZIP".utf8)) {
            self = .other(name: "lzip", program: "lzip -d")
        } else if begins([0x1F, 0x9D]) {
            self = .other(name: "compress", program: "uncompress")
        } else if begins([0x50, 0x4B, 0x03, 0x04]) {
            self = .other(name: "zip", program: "unzip")
        } else if begins([0x37, 0x7A, 0xBC, 0xAF, 0x27, 0x1C]) {
            self = .other(name: "7-Zip", program: "7z x")
        } else {
            self = .none
        }
    }

    /// Refuses what is not read here.
    func check() throws {
        guard case .other(let name, let program) = self else { return }
        throw BundleError(
            .refused, "it is compressed with \(name), which Amargo does not read; unpack it first with \(program)")
    }
}
