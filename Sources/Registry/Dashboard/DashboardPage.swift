import CPage
import FoundationEssentials
import NIOCore
import OCI

/// The page at `/`: markup, style and scripts in one document that asks nobody else for anything.
struct DashboardPage: Sendable {
    let body: ByteBuffer
    /// Changes with every byte of the page; by it an open page knows that it is an old one.
    let version: String
    /// What a browser lets the page do: run its own script, ask this server, and nothing else.
    let policy: String

    static let embedded = DashboardPage(
        document: Self.text(cpage_document()), style: Self.text(cpage_style()), script: Self.text(cpage_script()))

    init(document: String, style: String, script: String) {
        let version = String(Self.digest(document + style + script).hex.prefix(16))
        var page = document
        // The sources work by themselves in a browser, too: they name each other as files.
        Self.replace("<link rel=\"stylesheet\"", upTo: ">", with: "<style>\(style)</style>", in: &page)
        Self.replace("<script src=", upToLast: "</script>", with: "<script>\(script)</script>", in: &page)
        Self.replace("<html", upTo: ">", with: "<html lang=\"en\" data-page=\"\(version)\">", in: &page)
        self.body = ByteBuffer(string: page)
        self.version = version
        self.policy = """
            default-src 'none'; script-src '\(Self.source(script))'; style-src '\(Self.source(style))'; img-src data:; \
            connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; \
            require-trusted-types-for 'script'; trusted-types 'none'
            """
    }

    private static func text(_ part: cpage_part) -> String {
        String(decoding: UnsafeBufferPointer(start: part.bytes, count: part.count), as: UTF8.self)
    }

    private static func digest(_ text: String) -> Digest {
        var text = text
        return text.withUTF8 { Digest(.sha256, of: UnsafeRawBufferPointer($0)) }
    }

    /// A hash source: Content Security Policy Level 3, 2.3.1.
    private static func source(_ text: String) -> String {
        var hash: [UInt8] = []
        Self.digest(text).appendHash(to: &hash)
        return "sha256-\(Data(hash).base64EncodedString())"
    }

    private static func replace(
        _ start: String, upTo end: String? = nil, upToLast last: String? = nil, with text: String, in page: inout String
    ) {
        guard let first = page.range(of: start),
            let end = end.flatMap({ page.range(of: $0, in: first.lowerBound) })
                ?? last.flatMap({ page.lastRange(of: $0) })
        else { preconditionFailure("the page has no \(start)") }
        page.replaceSubrange(first.lowerBound..<end.upperBound, with: text)
    }
}

extension String {
    /// The first place of an ASCII text, from `start` on.
    fileprivate func range(of text: String, in start: String.Index? = nil) -> Range<String.Index>? {
        let (all, part) = (self.utf8, Array(text.utf8))
        var index = start ?? self.startIndex
        while index < self.endIndex {
            if all[index...].starts(with: part) { return index..<all.index(index, offsetBy: part.count) }
            index = all.index(after: index)
        }
        return nil
    }

    fileprivate func lastRange(of text: String) -> Range<String.Index>? {
        var found: Range<String.Index>?
        var start = self.startIndex
        while let next = self.range(of: text, in: start) {
            found = next
            start = next.upperBound
        }
        return found
    }
}
