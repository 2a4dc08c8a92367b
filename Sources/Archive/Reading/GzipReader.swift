import CZlib
import OCI

/// Unpacks gzip data as it comes, and stops where it becomes more than such data can be.
///
/// Sources: RFC 1952; several members in a row are one text, as every tool reads them.
struct GzipReader: ~Copyable {
    /// On the heap: zlib compares its address with the one that it began with.
    private let stream: UnsafeMutablePointer<z_stream>
    private var output = [UInt8](repeating: 0, count: 256 << 10)
    private var isMemberEnded = false
    /// Only zeros have come since the last member's end, as on a tape.
    private var isPadding = false
    private var taken: Int64 = 0
    private var given: Int64 = 0

    init() {
        self.stream = .allocate(capacity: 1)
        self.stream.initialize(to: z_stream())
        let result = inflateInit2_(self.stream, 16 + MAX_WBITS, ZLIB_VERSION, CInt(MemoryLayout<z_stream>.size))
        precondition(result == Z_OK, "no memory for zlib")
    }

    deinit {
        inflateEnd(self.stream)
        self.stream.deallocate()
    }

    /// Takes the next bytes in and hands over what they become.
    mutating func take(_ input: UnsafeRawBufferPointer, _ body: (UnsafeRawBufferPointer) throws -> Void) throws {
        var rest = input
        while !rest.isEmpty {
            if self.isMemberEnded {
                if self.isPadding || rest[0] == 0 {
                    guard rest.allSatisfy({ $0 == 0 }) else {
                        throw BundleError(.refused, "something follows behind its gzip data")
                    }
                    self.isPadding = true
                    return
                }
                guard rest[0] == 0x1F else { throw BundleError(.refused, "something follows behind its gzip data") }
                guard inflateReset(self.stream) == Z_OK else { throw BundleError(.unreadable, "zlib cannot go on") }
                self.isMemberEnded = false
            }
            let used = try self.inflate(rest, body)
            rest = UnsafeRawBufferPointer(rebasing: rest[used...])
        }
    }

    /// Takes note that nothing more comes.
    func finish() throws {
        guard self.isMemberEnded else { throw BundleError(.refused, "its gzip data is cut off") }
    }

    /// Returns how many bytes of the input are used up.
    private mutating func inflate(_ input: UnsafeRawBufferPointer, _ body: (UnsafeRawBufferPointer) throws -> Void) throws -> Int
    {
        let bytes = input.bindMemory(to: UInt8.self)
        self.stream.pointee.next_in = UnsafeMutablePointer(mutating: bytes.baseAddress)
        self.stream.pointee.avail_in = uInt(bytes.count)
        defer { self.stream.pointee.next_in = nil }
        while true {
            let before = Int(self.stream.pointee.avail_in)
            let (result, count) = self.output.withUnsafeMutableBufferPointer { output in
                self.stream.pointee.next_out = output.baseAddress
                self.stream.pointee.avail_out = uInt(output.count)
                let result = CZlib.inflate(self.stream, Z_NO_FLUSH)
                return (result, output.count - Int(self.stream.pointee.avail_out))
            }
            self.taken += Int64(before - Int(self.stream.pointee.avail_in))
            self.given += Int64(count)
            guard result == Z_OK || result == Z_STREAM_END || result == Z_BUF_ERROR else {
                throw BundleError(.refused, "its gzip data is damaged")
            }
            guard self.given <= Limits.Bundles.ratioSlack || self.given / Limits.Bundles.ratio <= self.taken else {
                throw BundleError(
                    .refused,
                    "its gzip data becomes more than \(Limits.Bundles.ratio) times as large, which no images do; if it is to be trusted, unpack "
                        + "it first with gzip -d")
            }
            try self.output.withUnsafeBytes { try body(UnsafeRawBufferPointer(rebasing: $0[..<count])) }
            if result == Z_STREAM_END {
                self.isMemberEnded = true
                break
            }
            // What fits into the output has come out, and the input is used up.
            if count < self.output.count, self.stream.pointee.avail_in == 0 { break }
            if result == Z_BUF_ERROR { break }
        }
        return bytes.count - Int(self.stream.pointee.avail_in)
    }
}
