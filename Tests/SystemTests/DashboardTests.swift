import Foundation
import TestSupport
import Testing

extension SystemTests {
    /// The dashboard as a person has it: in a browser, on a desk and on a phone, with pulls going on.
    ///
    /// `AMARGO_PICTURES=FOLDER` keeps the pictures that are taken on the way.
    @Suite("Dashboard")
    struct DashboardTests {
        @Test("from empty to busy: a page that stays open shows a pull while it runs, and can be looked through")
        func pulls() async throws {
            try await Lab.run { lab in
                let scene = try Scene(in: lab)
                let amargo = try await lab.amargo(try scene.settings())
                try await Browser.run(in: lab) { browser in
                    try await browser.setSize(.desktop)
                    try await browser.open("\(amargo.url)/")
                    try await eventually("the page lives") { try await browser.text("#pulse-text") == "live" }
                    try await Self.expectEmpty(browser, amargo)
                    try await Self.takePictures(of: "empty", browser)

                    // From here on it is one page: what comes is to show by itself.
                    _ = try await browser.evaluate("window.stays = 'open'")
                    try await Self.expectToSeePulls(scene, browser, amargo, lab)
                    try await Self.expectTreemap(browser)
                    try await Self.expectSearchAndCopy(browser, amargo)
                    try await Self.expectEngines(browser, amargo)
                    #expect(try await browser.evaluate("window.stays") == "open")

                    #expect(try await browser.complaints() == [])
                    let foreign = try await browser.requests().filter {
                        !$0.hasPrefix("\(amargo.url)/") && !$0.hasPrefix("data:") && !$0.hasPrefix("chrome")
                    }
                    #expect(foreign == [], "no request leaves the host")
                }
            }
        }

        @Test("what is wrong is said first; a server that goes away and comes back needs no reload")
        func trouble() async throws {
            try await Lab.run { lab in
                let scene = try Scene(in: lab)
                var settings = try scene.settings()
                settings.others.append((namespaces: ["registry.example"], upstream: "http://127.0.0.1:9"))
                let amargo = try await lab.amargo(settings)
                for image in scene.images { try await scene.pull(image, amargo, lab) }
                try await Browser.run(in: lab) { browser in
                    try await browser.setSize(.desktop)
                    try await browser.open("\(amargo.url)/")
                    try await eventually("all is well") { try await browser.text("#verdict") == "Healthy" }

                    let store = amargo.settings.store
                    let away = store.deletingLastPathComponent().appendingPathComponent("away")
                    try FileManager.default.moveItem(at: store, to: away)
                    try await eventually("it says what is wrong") {
                        let verdict = try await browser.text("#verdict")
                        return try await browser.shows("is gone", in: "#reason") && verdict == "Degraded"
                    }
                    #expect(try await browser.evaluate("document.title").hasPrefix("Degraded"))
                    try await Self.takePictures(of: "degraded", browser)
                    try FileManager.default.moveItem(at: away, to: store)
                    try await eventually("all is well again") { try await browser.text("#verdict") == "Healthy" }
                    #expect(try await browser.complaints() == [])

                    #expect(try await Curl.get("\(amargo.url)/v2/registry.example/app/manifests/1").status >= 500)
                    try await eventually("a registry that is down is named") {
                        try await browser.text("#verdict") == "The registry other2 does not answer"
                    }
                    #expect(try await browser.isVisible("#upstream-rows .error:not(.past)"))

                    _ = try await browser.evaluate("window.stays = 'open'")
                    _ = await amargo.terminate()
                    try await eventually("it says that nobody answers") { try await browser.isVisible("#lost") }
                    #expect(try await browser.text("#pulse-text") == "not connected")
                    try await amargo.start()
                    try await eventually("it goes on by itself") {
                        let isLost = try await browser.isVisible("#lost")
                        return try await browser.shows("live", in: "#pulse-text") && !isLost
                    }
                    #expect(try await browser.evaluate("window.stays") == "open")
                    // What the browser itself says of a closed port, and nothing else.
                    for complaint in try await browser.complaints() { #expect(complaint.contains("ERR_CONNECTION")) }
                }
            }
        }

        // MARK: - Steps

        private static func expectEmpty(_ browser: Browser, _ amargo: AmargoProcess) async throws {
            #expect(try await browser.text("#verdict") == "Healthy")
            #expect(try await browser.isVisible("#start"))
            try await eventually("it says what to do") {
                try await browser.text("#start-code").contains("\"registry-mirrors\": [\"\(amargo.url)\"]")
            }
            #expect(try await browser.text("#map").contains("The store is empty"))
            #expect(try await browser.isVisible("#downloads-empty"))
            #expect(try await browser.isVisible("#images-empty"))
        }

        private static func expectToSeePulls(
            _ scene: Scene, _ browser: Browser, _ amargo: AmargoProcess, _ lab: Lab
        ) async throws {
            for image in scene.images { try await scene.pull(image, amargo, lab) }
            try await eventually("the pulls show") {
                let recent = try await browser.text("#recent-rows")
                return scene.images.suffix(5).allSatisfy { recent.contains($0.name) }
            }
            try await eventually("the images show") {
                try await browser.text("#images-count") == "\(scene.images.count) images"
            }
            #expect(try await !browser.isVisible("#start"))
            for image in scene.images { try await scene.pull(image, amargo, lab) }
            try await eventually("what came from the store counts as a hit") {
                try await browser.shows("from the store", in: "#recent-rows")
            }

            let pull = Task { try await scene.pull(scene.slow, amargo, lab) }
            try await eventually("the download shows, half-way") {
                let text = try await browser.text("#download-rows")
                let percent = try await browser.evaluate(
                    "document.querySelector('#download-rows [role=progressbar]')?.getAttribute('aria-valuenow')")
                return text.contains(scene.slow.repository) && (1...99).contains(Int(percent) ?? 0) && text.contains("1 client")
            }
            let before = try await browser.text("#download-rows")
            try await eventually("it moves") { try await browser.text("#download-rows") != before }
            try await Self.takePictures(of: "busy", browser)
            scene.finish()
            try await pull.value
            try await eventually("it has ended") { try await browser.isVisible("#downloads-empty") }
            try await eventually("and is among the images") {
                try await browser.text("#images-count") == "\(scene.images.count + 1) images"
            }
        }

        private static func expectTreemap(_ browser: Browser) async throws {
            func crumbs() async throws -> String {
                try await browser.text("#crumbs").replacingOccurrences(of: "\n", with: " ")
            }
            try await eventually("both registries are drawn") {
                let text = try await browser.text("#map")
                return text.contains("ghcr.io") && text.contains("docker.io")
            }
            try await browser.click("#map .group[data-key='ghcr.io'] b")
            try await eventually("a click opens the registry") { try await crumbs() == "Everything / ghcr.io" }
            try await eventually("with its repositories") { try await browser.text("#map").contains("org/app") }
            try await eventually("the keyboard's focus is in it") {
                try await browser.evaluate("document.activeElement.closest('#map') !== null") == "true"
            }
            try await browser.press(Browser.Key.enter)
            try await eventually("Enter opens what has the focus") { try await crumbs() == "Everything / ghcr.io / org/app" }
            try await eventually("down to the images") { try await browser.text("#map").contains("1.2") }
            try await eventually("and says what du says") {
                let detail = try await browser.text("#detail")
                return detail.contains("Unique") && detail.contains("org/app:1.2")
            }
            try await browser.press(Browser.Key.escape)
            try await eventually("Escape goes up") { try await crumbs() == "Everything / ghcr.io" }
            try await browser.press(Browser.Key.enter)
            try await eventually("and Enter down again") { try await crumbs() == "Everything / ghcr.io / org/app" }
            let first = try await browser.evaluate("document.activeElement.dataset.key")
            try await browser.press(Browser.Key.right + Browser.Key.down)
            #expect(try await browser.evaluate("document.activeElement.dataset.key") != first, "arrow keys lead to a neighbour")
            #expect(try await browser.evaluate("document.activeElement.closest('#map') !== null") == "true")
            try await browser.press(Browser.Key.enter)
            try await eventually("an image leads to the list of images") {
                try await browser.evaluate("document.getElementById('query').value").hasPrefix("ghcr.io/org/app:1.")
            }
            try await eventually("where it is found") { try await browser.shows("1 of ", in: "#images-count") }
            try await browser.press(Browser.Key.escape)
            #expect(try await browser.evaluate("document.getElementById('query').value") == "")
            try await browser.click("#crumbs button")
            try await eventually("and so does the path") { try await crumbs() == "Everything" }
            try await browser.click("#as-list")
            #expect(try await browser.text("#map-rows").contains("docker.io"))
            try await browser.click("#as-map")
            #expect(try await browser.isVisible("#map"))
        }

        private static func expectSearchAndCopy(_ browser: Browser, _ amargo: AmargoProcess) async throws {
            try await browser.press("/")
            try await browser.press("Postgres 16")
            #expect(try await browser.evaluate("document.activeElement.id") == "query")
            try await eventually("one image is found") {
                let rows = try await browser.evaluate("document.querySelectorAll('#image-rows tr').length")
                return try await browser.shows("library/postgres:16", in: "#image-rows") && rows == "1"
            }
            try await browser.click("#image-rows .copy")
            try await eventually("it is copied") { try await browser.text("#image-rows .copy") == "Copied" }
            #expect(
                try await browser.clipboard() == "docker pull 127.0.0.1:\(amargo.settings.port)/library/postgres:16")
            _ = try await browser.evaluate("document.getElementById('query').select()")
            try await browser.type("nothing like it", into: "#query")
            try await eventually("nothing is found") {
                try await browser.text("#images-empty").contains("No image has all of this")
            }
        }

        private static func expectEngines(_ browser: Browser, _ amargo: AmargoProcess) async throws {
            try await browser.click("#tab-podman")
            let text = "location = \"127.0.0.1:\(amargo.settings.port)/docker.io\""
            #expect(try await browser.text("#engine-panel").contains(text))
            try await browser.click("#engine-panel .copy")
            #expect(try await browser.clipboard().contains(text))
            _ = try await browser.evaluate("document.getElementById('address').select()")
            try await browser.type("cache.lan:8080", into: "#address")
            try await eventually("another address is put in") {
                try await browser.text("#engine-panel").contains("location = \"cache.lan:8080/docker.io\"")
            }
        }

        // MARK: - Pictures

        private static func takePictures(of state: String, _ browser: Browser) async throws {
            let folder = ProcessInfo.processInfo.environment["AMARGO_PICTURES"].map { URL(fileURLWithPath: $0) }
            for size in [Browser.Size.phone, .desktop] {
                try await browser.setSize(size)
                let overflow = try await browser.evaluate("document.documentElement.scrollWidth - \(size.width)")
                #expect(overflow == "0", "\(state): the page is wider than a \(size.name)")
                for theme in Browser.Theme.allCases {
                    try await browser.setTheme(theme)
                    let picture = try await browser.picture()
                    #expect(picture.count > 10_000)
                    guard let folder else { continue }
                    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
                    try picture.write(to: folder.appendingPathComponent("\(state)-\(size.name)-\(theme.rawValue).png"))
                    if theme == .light || !size.isPhone {
                        // For documents: what is seen first.
                        let top = try await browser.picture(upTo: size.isPhone ? 1400 : 1760)
                        try top.write(to: folder.appendingPathComponent("\(state)-\(size.name)-\(theme.rawValue)-top.png"))
                    }
                }
            }
            try await browser.setTheme(.light)
        }
    }
}

/// Registries with images to pull, one of which comes slowly.
private struct Scene: Sendable {
    struct Image: Sendable {
        let registry: String
        let repository: String
        let tag: String

        var name: String { "\(self.registry)/\(self.repository):\(self.tag)" }
    }

    let images: [Image]
    let slow = Image(registry: "docker.io", repository: "library/mariadb", tag: "11")
    private let other: ScriptedUpstream
    private let third: ScriptedUpstream
    private let docker: ScriptedUpstream
    private let gate = Gate()
    private let lab: Lab

    init(in lab: Lab) throws {
        self.lab = lab
        let docker = try ScriptedUpstream()
        let other = try ScriptedUpstream()
        let third = try ScriptedUpstream()
        var images: [Image] = []
        func add(
            _ upstream: ScriptedUpstream, _ registry: String, _ repository: String, _ tag: String, _ sizes: [Int], _ seed: UInt64
        ) {
            upstream.addImage(repository: repository, tag: tag, layerSizes: sizes, seed: seed)
            images.append(Image(registry: registry, repository: repository, tag: tag))
        }
        let MB = 1_000_000
        add(docker, "docker.io", "library/nginx", "1.27-alpine", [3 * MB, 2 * MB], 1)
        add(docker, "docker.io", "library/nginx", "1.28-alpine", [3 * MB, 1 * MB], 1)
        add(docker, "docker.io", "library/postgres", "16", [9 * MB, 4 * MB], 2)
        add(docker, "docker.io", "library/redis", "7.4", [4 * MB], 3)
        add(docker, "docker.io", "library/python", "3.13-slim", [7 * MB, 5 * MB], 4)
        add(docker, "docker.io", "grafana/grafana", "11.2.0", [8 * MB], 5)
        add(other, "ghcr.io", "org/app", "1.2", [6 * MB, 1 * MB], 6)
        add(other, "ghcr.io", "org/app", "1.3", [6 * MB, 2 * MB], 6)
        add(other, "ghcr.io", "astral-sh/uv", "latest", [2 * MB], 7)
        add(docker, "docker.io", "library/node", "22-slim", [9 * MB, 2 * MB], 10)
        add(docker, "docker.io", "library/alpine", "3.20", [1 * MB], 11)
        add(third, "quay.io", "prometheus/node-exporter", "v1.8.2", [3 * MB], 12)
        add(third, "quay.io", "cilium/cilium", "v1.16.1", [7 * MB, 1 * MB], 13)
        let slow = docker.addImage(repository: self.slow.repository, tag: self.slow.tag, layerSizes: [2 * MB, 24 * MB], seed: 8)
        docker.script(
            .blob(slow.layers[1].digest),
            Behaviour.throttle(bytesPerSecond: 3 * MB).and(.holdAfter(bytes: 20 * MB, self.gate)))
        self.docker = docker
        self.other = other
        self.third = third
        self.images = images
    }

    func settings() throws -> AmargoProcess.Settings {
        var settings = try self.lab.settings(upstream: self.docker.url)
        settings.others = [
            (namespaces: ["ghcr.io"], upstream: self.other.url), (namespaces: ["quay.io"], upstream: self.third.url),
        ]
        return settings
    }

    /// Lets the rest of the slow one come.
    func finish() { self.gate.open() }

    /// Pulls as an engine does.
    func pull(_ image: Image, _ amargo: AmargoProcess, _ lab: Lab) async throws {
        let target = try lab.newFolder("pulled")
        let path = image.registry == "docker.io" ? image.repository : "\(image.registry)/\(image.repository)"
        let command = try Command(
            .skopeo,
            [
                "--insecure-policy", "copy", "--quiet", "--src-tls-verify=false",
                "docker://127.0.0.1:\(amargo.settings.port)/\(path):\(image.tag)", "dir:\(target.path)",
            ])
        try await command.run()
    }
}
