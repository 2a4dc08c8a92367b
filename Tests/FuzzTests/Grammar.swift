import Foundation

/// A grammar as its specification writes it, matched by ICU: nothing of the code under test.
struct Grammar: Sendable {
    private let expression: NSRegularExpression

    init(_ pattern: String) {
        do {
            self.expression = try NSRegularExpression(pattern: "\\A(?:\(pattern))\\z")
        } catch {
            preconditionFailure("\(pattern): \(error)")
        }
    }

    func matches(_ text: some StringProtocol) -> Bool { !self.groups(text).isEmpty }

    /// The whole and the groups, an empty text for a group that took no part; empty when the text does not match.
    func groups(_ text: some StringProtocol) -> [String] {
        let text = NSString(string: String(text))
        let whole = NSRange(location: 0, length: text.length)
        guard let match = self.expression.firstMatch(in: text as String, range: whole) else { return [] }
        return (0..<match.numberOfRanges).map { index in
            let range = match.range(at: index)
            return range.location == NSNotFound ? "" : text.substring(with: range)
        }
    }
}

extension Grammar {
    /// Distribution spec, "Pulling manifests": `<name>`.
    static let name = Grammar(#"[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*(\/[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*)*"#)
    /// Distribution spec, "Pulling manifests": `<reference>` as a tag.
    static let tag = Grammar(#"[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}"#)
    /// Image spec, "Digests": the registered algorithms.
    static let digest = Grammar(#"sha256:[a-f0-9]{64}|sha512:[a-f0-9]{128}"#)
    /// RFC 1123, 2.1, in lower case, and a port.
    static let host = Grammar(
        #"(?=.{1,255}\z)[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?)*(?::[0-9]{1,5})?"#)
    /// Distribution, `reference`: `[host/]name[:tag][@digest]`.
    static let reference = Grammar(#"([^@]*?)(?::([^:@\/]*))?(?:@(.*))?"#)
    /// RFC 9110, 8.3.1, in lower case.
    static let mediaType = Grammar(#"[!#$%&'*+.^_`|~0-9a-z-]+\/[!#$%&'*+.^_`|~0-9a-z-]+"#)
    /// RFC 9110, 14.4; sizes and ends beyond 64 bits are for nobody.
    static let contentRange = Grammar(#"bytes ([0-9]+)-([0-9]+)\/([0-9]+|\*)"#)
    /// RFC 9110, 14.1.1 and 14.1.2: one range.
    static let byteRange = Grammar(#"bytes=([0-9]*)-([0-9]*)"#)

    static func isName(_ text: some StringProtocol) -> Bool { text.utf8.count <= 255 && Self.name.matches(text) }
}
