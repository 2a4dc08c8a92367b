/// What a `Range` header asks of content of a known size.
///
/// Source: RFC 9110, 14.1 and 14.2. All arithmetic is checked: the numbers come from outside.
enum ByteRange: Hashable {
    /// No range, several ranges, another unit or a malformed one: the whole content is the right answer.
    case whole
    /// From `first` up to, not including, `end`.
    case part(first: Int64, end: Int64)
    case unsatisfiable

    init(_ header: String?, size: Int64) {
        guard let header, header.hasPrefix("bytes="), !header.contains(",") else {
            self = .whole
            return
        }
        let ends = header.dropFirst(6).split(separator: "-", omittingEmptySubsequences: false)
        guard ends.count == 2, ends.allSatisfy({ $0.utf8.allSatisfy { (0x30...0x39).contains($0) } }) else {
            self = .whole
            return
        }
        // Digits that do not fit 64 bits are beyond any size.
        let last = ends[1].isEmpty ? nil : Int64(ends[1]) ?? .max
        if ends[0].isEmpty {
            guard let suffix = last else {
                self = .whole
                return
            }
            self = suffix == 0 || size == 0 ? .unsatisfiable : .part(first: max(0, size - suffix), end: size)
            return
        }
        let first = Int64(ends[0]) ?? .max
        if let last, last < first {
            self = .whole
        } else if first >= size {
            self = .unsatisfiable
        } else {
            self = .part(first: first, end: min(last ?? size - 1, size - 1) + 1)
        }
    }
}
