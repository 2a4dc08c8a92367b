import OCI

/// A platform as people write it, `linux/amd64` or `linux/arm/v7`, and what it means: without a variant every one, for arm64 `v8` also
/// the plain one.
package struct PlatformChoice: Hashable, Sendable, CustomStringConvertible {
    package let platform: Platform

    /// Nil for anything but two or three words of letters, digits and `._-` with slashes between them.
    package init?(parsing text: some StringProtocol) {
        let parts = String(text).split(separator: "/", omittingEmptySubsequences: false)
        guard (2...3).contains(parts.count), parts.allSatisfy({ Self.isWord($0) }) else { return nil }
        self.platform = Platform(
            os: String(parts[0]), architecture: String(parts[1]), variant: parts.count == 3 ? String(parts[2]) : nil)
    }

    private static func isWord(_ text: Substring) -> Bool {
        (1...64).contains(text.utf8.count)
            && text.utf8.allSatisfy { byte in
                switch byte {
                case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                    UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "."), UInt8(ascii: "_"), UInt8(ascii: "-"):
                    true
                default: false
                }
            }
    }

    package func includes(_ other: Platform) -> Bool {
        guard other.os == self.platform.os, other.architecture == self.platform.architecture else { return false }
        guard let variant = self.platform.variant, variant != other.variant else { return true }
        return other.variant == nil && other.architecture == "arm64" && variant == "v8"
    }

    package var description: String { self.platform.description }
}
