/// What a registry says of how many pulls it still grants: `ratelimit-limit: 100;w=21600`, `ratelimit-remaining: 76;w=21600`.
///
/// Source: Docker Hub's documentation, "Pull usage and limits": the window, in seconds, follows behind `w=`.
package struct RateLimit: Sendable, Hashable {
    package let remaining: Int
    /// Nil when the registry did not say.
    package let limit: Int?
    package let window: Duration?

    /// Nil without a count of what remains.
    package init?(remaining: String?, limit: String?) {
        guard let remaining, let count = Self.count(remaining) else { return nil }
        self.remaining = count
        self.limit = limit.flatMap(Self.count)
        self.window = (Self.window(remaining) ?? limit.flatMap(Self.window)).map { .seconds($0) }
    }

    /// By how much longer than usual a tag is believed, so that what is left goes to what nobody has yet:
    /// twice below 20 % of the limit, four times below 10 %, eight times below 5 %.
    package var stretch: Int {
        guard let limit = self.limit, limit > 0 else { return 1 }
        switch Double(self.remaining) / Double(limit) {
        case ..<0.05: return 8
        case ..<0.1: return 4
        case ..<0.2: return 2
        default: return 1
        }
    }

    private static func count(_ value: String) -> Int? { Self.number(value.prefix { $0 != ";" }) }

    private static func window(_ value: String) -> Int? {
        for part in value.split(separator: ";").dropFirst() where part.hasPrefix("w=") {
            guard let seconds = Self.number(part.dropFirst(2)), seconds <= 31_536_000 else { return nil }
            return seconds
        }
        return nil
    }

    /// Digits alone: `Int` would take a sign.
    private static func number(_ text: Substring) -> Int? {
        !text.isEmpty && text.utf8.allSatisfy { (0x30...0x39).contains($0) } ? Int(text) : nil
    }
}
