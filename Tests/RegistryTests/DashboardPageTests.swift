import Foundation
import OCI
import TestSupport
import Testing

@testable import Registry

/// The page as it is sent, and under which conditions.
struct DashboardPageTests {
    private static var page: String { String(buffer: DashboardPage.embedded.body) }

    @Test("the page asks nobody for anything: no address of another host, no file, no attribute that runs")
    func selfContained() throws {
        let page = Self.page
        #expect(page.hasPrefix("<!doctype html>"))
        #expect(!page.contains("<link rel=\"stylesheet\""))
        #expect(!page.contains("<script src"))
        #expect(page.components(separatedBy: "<script>").count == 2)
        #expect(page.components(separatedBy: "<style>").count == 2)
        // The name space of SVG is a name, not an address.
        let addresses = page.replacingOccurrences(of: "http://www.w3.org/2000/svg", with: "")
        #expect(!addresses.contains("https://"))
        #expect(!addresses.contains("http://"))
        #expect(!addresses.contains("url("))
        #expect(!addresses.contains("@import"))
        #expect(page.firstMatch(of: /<[a-z][^>]*\son[a-z]+=/) == nil)
        #expect(page.firstMatch(of: /<[a-z][^>]*\sstyle=/) == nil)
    }

    @Test(
        "text from outside is never taken for markup",
        arguments: ["innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "new Function", "srcdoc"])
    func noMarkup(_ word: String) {
        #expect(!Self.page.contains(word))
    }

    @Test("the policy names the very script and style that are in the page")
    func policy() throws {
        // As another tool works them out: printf %s SCRIPT | openssl sha256 -binary | base64.
        let page = DashboardPage(
            document:
                "<html lang=\"en\"><link rel=\"stylesheet\" href=\"a.css\"><script src=\"a.js\"></script>\n<script src=\"b.js\"></script></html>",
            style: "a{}", script: "let a")
        #expect(
            String(buffer: page.body)
                == "<html lang=\"en\" data-page=\"\(page.version)\"><style>a{}</style><script>let a</script></html>")
        #expect(page.policy.contains("script-src 'sha256-IfEXP/8HLuXoAiy0hZVrCAcjcLsZqYFpLOHDGj8enqE='"))
        #expect(page.policy.contains("style-src 'sha256-X1RutGBrXCt9KkSaXMK7tHftWiRscFHOhxsS8tv8hBk='"))
        #expect(page.policy.hasPrefix("default-src 'none'; "))
        for part in [
            "connect-src 'self'", "frame-ancestors 'none'", "base-uri 'none'", "form-action 'none'", "trusted-types 'none'",
        ] {
            #expect(page.policy.contains("; \(part)"))
        }
    }

    @Test("GET and HEAD of the page say the same; what is known already is not sent again")
    func answers() async throws {
        try await ServerHarness.run(try ScriptedUpstream()) { server async throws in
            let page = try await server.get("/")
            #expect(page.status == 200)
            #expect(page.header("content-type") == "text/html; charset=utf-8")
            #expect(page.header("content-security-policy") == DashboardPage.embedded.policy)
            #expect(page.header("x-content-type-options") == "nosniff")
            #expect(page.header("referrer-policy") == "no-referrer")
            #expect(page.header("cross-origin-resource-policy") == "same-origin")
            #expect(page.header("access-control-allow-origin") == nil)
            #expect(page.header("cache-control") == "private, no-cache")
            #expect(page.text == Self.page)
            let head = try await server.get("/", method: "HEAD")
            #expect(head.status == 200)
            #expect(head.body.isEmpty)
            #expect(head.header("content-length") == "\(page.body.count)")
            let tag = try #require(page.header("etag"))
            let again = try await server.get("/", headers: [("If-None-Match", tag)])
            #expect(again.status == 304)
            #expect(again.body.isEmpty)
            #expect(try await server.get("/", headers: [("If-None-Match", "\"other\"")]).status == 200)
        }
    }
}
