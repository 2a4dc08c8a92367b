import NIOCore
import NIOHTTP1

/// `/` and `/dashboard/…`: the page, and what it shows.
struct DashboardHandler {
    let dashboard: Dashboard

    func handle(_ request: DashboardRequest, _ exchange: Exchange) {
        if case .page = request { return Self.respond(DashboardPage.embedded, exchange) }
        guard exchange.request.isFromHere else {
            return exchange.fail(
                ErrorResponse(.forbidden, .denied, "this is for Amargo's own page, not for a page of another host"))
        }
        self.dashboard.document(
            for: request, on: exchange.eventLoop,
            then: exchange.resuming { document in
                var head = ResponseHead(.ok)
                head.add("content-type", "application/json")
                head.addCaution(policy: "default-src 'none'; frame-ancestors 'none'")
                Self.respond(head, document.body, tag: document.tag, exchange)
            })
    }

    private static func respond(_ page: DashboardPage, _ exchange: Exchange) {
        var head = ResponseHead(.ok)
        head.add("content-type", "text/html; charset=utf-8")
        head.addCaution(policy: page.policy)
        head.add("permissions-policy", "clipboard-write=(self)")
        Self.respond(head, page.body, tag: "\"\(page.version)\"", exchange)
    }

    /// - Parameter tag: nil for what must not be kept at all.
    private static func respond(_ head: ResponseHead, _ body: ByteBuffer, tag: String?, _ exchange: Exchange) {
        var head = head
        head.add("content-length", String(body.readableBytes))
        guard let tag else {
            head.add("cache-control", "no-store")
            return exchange.respond(head, .bytes(body))
        }
        // It may be kept and is asked for again each time, which costs a 304.
        head.add("cache-control", "private, no-cache")
        head.add("etag", tag)
        if exchange.request.headers[canonicalForm: "if-none-match"].contains(where: { $0 == tag || $0 == "*" || $0 == "W/\(tag)" }
        ) {
            head.turn(into: .notModified)
            return exchange.respond(head.withoutLength())
        }
        exchange.respond(head, .bytes(body))
    }
}

extension ResponseHead {
    /// What keeps an answer with private names where it belongs.
    fileprivate mutating func addCaution(policy: String) {
        self.add("content-security-policy", policy)
        self.add("x-content-type-options", "nosniff")
        self.add("referrer-policy", "no-referrer")
        self.add("cross-origin-resource-policy", "same-origin")
    }
}

extension HTTPRequestHead {
    /// Whether no page of another site has led a browser to ask. Source: Fetch Metadata Request Headers, 2.4.
    fileprivate var isFromHere: Bool {
        self.headers[canonicalForm: "sec-fetch-site"].allSatisfy { ["same-origin", "none"].contains($0) }
    }
}
