/// A part of a blob, in bytes.
package enum BlobRange: Sendable, Hashable {
    case whole
    /// From the first byte to the last, both included; without a last one to the end.
    case from(Int64, through: Int64?)
}

/// `bytes FIRST-LAST/SIZE`: RFC 9110, 14.4.
struct ContentRange: Sendable, Hashable {
    let first: Int64
    let last: Int64
    let size: Int64?

    init?(parsing value: String) {
        guard value.hasPrefix("bytes ") else { return nil }
        let parts = value.dropFirst(6).split(separator: "/", omittingEmptySubsequences: false)
        guard parts.count == 2 else { return nil }
        let ends = parts[0].split(separator: "-", omittingEmptySubsequences: false)
        guard ends.count == 2, let first = Self.number(ends[0]), let last = Self.number(ends[1]), last >= first else {
            return nil
        }
        if parts[1] == "*" {
            self.size = nil
        } else {
            guard let size = Self.number(parts[1]), last < size else { return nil }
            self.size = size
        }
        self.first = first
        self.last = last
    }

    /// Digits alone: `Int64` would take a sign.
    private static func number(_ text: Substring) -> Int64? {
        text.utf8.allSatisfy { (0x30...0x39).contains($0) } ? Int64(text) : nil
    }
}
