import Foundation

/// Debian's Chromium without a window, driven by chromedriver. Source: W3C WebDriver; Chrome DevTools Protocol behind `goog/cdp`.
///
/// It can reach this host only: every other name is looked up in vain.
struct Browser: Sendable {
    /// The address of the session.
    private let session: String

    enum Theme: String, CaseIterable, Sendable {
        case light, dark
    }

    struct Size: Sendable {
        let name: String
        let width: Int
        let height: Int
        let isPhone: Bool

        static let desktop = Size(name: "desktop", width: 1280, height: 900, isPhone: false)
        static let phone = Size(name: "phone", width: 390, height: 844, isPhone: true)
    }

    /// Runs a browser while `body` runs; it is gone afterwards, however that ends.
    static func run<T: Sendable>(in lab: Lab, _ body: @Sendable (Browser) async throws -> T) async throws -> T {
        let folder = try lab.newFolder("browser")
        let port = try LoopbackPort.free()
        let address = "http://127.0.0.1:\(port)"
        let driver = Daemon(
            "chromedriver", try Program.chromedriver.url(), ["--port=\(port)", "--log-level=WARNING"],
            environment: ["HOME": folder.path], log: folder.appendingPathComponent("chromedriver.log"))
        try await lab.start(driver) { try await Curl.answers("\(address)/status") }
        let browser = try await Self.open(address, folder)
        let result: T
        do {
            result = try await body(browser)
        } catch {
            try? await browser.close()  // the failure above is the news
            throw error
        }
        try await browser.close()
        return result
    }

    private static func open(_ address: String, _ folder: URL) async throws -> Browser {
        let arguments = [
            "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--hide-scrollbars",
            "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync",
            "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1", "--user-data-dir=\(folder.path)/profile",
        ]
        let capabilities: [String: Any] = [
            "capabilities": [
                "alwaysMatch": [
                    "browserName": "chrome",
                    "goog:loggingPrefs": ["browser": "ALL", "performance": "ALL"],
                    "goog:chromeOptions": ["binary": try Program.chromium.url().path, "args": arguments],
                ]
            ]
        ]
        let value = try await Self.send("POST", "\(address)/session", capabilities) as? [String: Any]
        guard let id = value?["sessionId"] as? String else {
            throw ConditionFailure(description: "chromedriver made no session: \(value ?? [:])")
        }
        return Browser(session: "\(address)/session/\(id)")
    }

    private func close() async throws { _ = try await Self.send("DELETE", self.session, nil) }

    // MARK: - What a person does

    func open(_ url: String) async throws { _ = try await self.call("url", ["url": url]) }

    /// Clicks where the element is, as a mouse would.
    func click(_ selector: String) async throws {
        let element = try await self.element(selector)
        // A click at the very edge of the window would be one on what lies above it.
        _ = try await self.call(
            "execute/sync", ["script": "arguments[0].scrollIntoView({block: 'center', behavior: 'instant'})", "args": [element]])
        _ = try await self.call("element/\(element.values.first ?? "")/click", [:])
    }

    /// Types into an element.
    func type(_ text: String, into selector: String) async throws {
        let element = try await self.element(selector)
        _ = try await self.call("element/\(element.values.first ?? "")/value", ["text": text])
    }

    /// Types on the keyboard, whatever has the focus.
    func press(_ keys: String) async throws {
        let actions = keys.flatMap { key in
            [["type": "keyDown", "value": String(key)], ["type": "keyUp", "value": String(key)]]
        }
        _ = try await self.call("actions", ["actions": [["type": "key", "id": "keyboard", "actions": actions] as [String: Any]]])
    }

    /// Keys without a letter: WebDriver, 17.4.2.
    enum Key {
        static let enter = "\u{E007}", escape = "\u{E00C}", right = "\u{E014}", down = "\u{E015}"
    }

    // MARK: - What a person sees

    /// The text that is shown in an element.
    func text(_ selector: String) async throws -> String {
        try await self.evaluate("document.querySelector(\(Self.quoted(selector)))?.innerText ?? '(none)'")
    }

    func shows(_ text: String, in selector: String) async throws -> Bool { try await self.text(selector).contains(text) }

    func isVisible(_ selector: String) async throws -> Bool {
        try await self.evaluate("Boolean(document.querySelector(\(Self.quoted(selector)))?.checkVisibility())") == "true"
    }

    /// A value of the page, as text.
    func evaluate(_ expression: String) async throws -> String {
        try await self.call("execute/sync", ["script": "return String(\(expression))", "args": []]) as? String ?? "(nothing)"
    }

    /// What has been copied.
    func clipboard() async throws -> String {
        _ = try await self.command("Browser.grantPermissions", ["permissions": ["clipboardReadWrite"]])
        let script = "navigator.clipboard.readText().then(arguments[0], (error) => arguments[0](String(error)))"
        return try await self.call("execute/async", ["script": script, "args": []]) as? String ?? "(nothing)"
    }

    /// What the page and the browser have complained of since the last call.
    func complaints() async throws -> [String] {
        let entries = try await self.call("se/log", ["type": "browser"]) as? [[String: Any]] ?? []
        return entries.map { "\($0["level"] ?? ""): \($0["message"] ?? "")" }
    }

    /// Every address that was asked for since the last call.
    func requests() async throws -> [String] {
        let entries = try await self.call("se/log", ["type": "performance"]) as? [[String: Any]] ?? []
        return try entries.compactMap { entry in
            let text = entry["message"] as? String ?? ""
            let event = (try JSONSerialization.jsonObject(with: Data(text.utf8)) as? [String: Any])?["message"] as? [String: Any]
            guard let method = event?["method"] as? String, let parameters = event?["params"] as? [String: Any] else {
                return nil
            }
            switch method {
            case "Network.requestWillBeSent": return (parameters["request"] as? [String: Any])?["url"] as? String
            case "Network.webSocketCreated": return parameters["url"] as? String
            default: return nil
            }
        }
    }

    func setSize(_ size: Size) async throws {
        _ = try await self.command(
            "Emulation.setDeviceMetricsOverride",
            ["width": size.width, "height": size.height, "deviceScaleFactor": 1, "mobile": size.isPhone])
    }

    func setTheme(_ theme: Theme) async throws {
        _ = try await self.command(
            "Emulation.setEmulatedMedia", ["features": [["name": "prefers-color-scheme", "value": theme.rawValue]]])
    }

    /// A picture of the page from its top: all of it, or no more than `height` of it.
    func picture(upTo height: Int? = nil) async throws -> Data {
        let size = try await self.evaluate("[innerWidth, document.documentElement.scrollHeight].join(' ')").split(separator: " ")
        guard let width = size.first.flatMap({ Int($0) }), let all = size.last.flatMap({ Int($0) }) else {
            throw ConditionFailure(description: "a page of the size \(size)")
        }
        let clip = ["x": 0, "y": 0, "width": width, "height": min(height ?? all, all), "scale": 1]
        let value = try await self.command(
            "Page.captureScreenshot", ["format": "png", "captureBeyondViewport": true, "clip": clip])
        guard let text = value["data"] as? String, let data = Data(base64Encoded: text) else {
            throw ConditionFailure(description: "no picture")
        }
        return data
    }

    // MARK: - The wire

    private func element(_ selector: String) async throws -> [String: String] {
        let value = try await self.call("element", ["using": "css selector", "value": selector])
        guard let element = value as? [String: String] else { throw ConditionFailure(description: "there is no \(selector)") }
        return element
    }

    private func command(_ name: String, _ parameters: [String: Any]) async throws -> [String: Any] {
        try await self.call("goog/cdp/execute", ["cmd": name, "params": parameters]) as? [String: Any] ?? [:]
    }

    private func call(_ path: String, _ body: [String: Any]) async throws -> Any? {
        try await Self.send("POST", "\(self.session)/\(path)", body)
    }

    private static func send(_ method: String, _ url: String, _ body: [String: Any]?) async throws -> Any? {
        let text = try body.map { try JSONSerialization.data(withJSONObject: $0) }
        let response = try await Curl.send(text, to: url, method: method)
        let document = try JSONSerialization.jsonObject(with: response.body) as? [String: Any]
        guard response.status == 200 else {
            let error = document?["value"] as? [String: Any]
            throw ConditionFailure(description: "\(url): \(error?["error"] ?? ""): \(error?["message"] ?? "")")
        }
        return document?["value"]
    }

    private static func quoted(_ text: String) -> String {
        "'\(text.replacingOccurrences(of: "\\", with: "\\\\").replacingOccurrences(of: "'", with: "\\'"))'"
    }
}
