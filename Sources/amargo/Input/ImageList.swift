import OCI

/// The images that a text names: a plain list, Kubernetes manifests or a Compose file, told apart by what is in it.
struct ImageList: Equatable {
    struct Entry: Equatable {
        /// As it is written.
        let name: String
        /// Where, for people: `images.txt, line 3`.
        let place: String
    }

    var entries: [Entry] = []
    /// What names no image that could be brought: each is a failure.
    var problems: [String] = []
    /// What a person should know and that is no failure.
    var remarks: [String] = []

    init() {}

    /// - Parameters:
    ///   - source: what the text is called.
    ///   - environment: for the variables of Compose files.
    /// - Throws: `ListError` for a text that is none of the three.
    init(_ text: String, source: String, environment: [String: String] = [:]) throws {
        // A byte order mark says nothing here.
        let text = text.hasPrefix("\u{FEFF}") ? String(text.dropFirst()) : text
        if Self.isDocument(text) {
            self = try ManifestImages(text, source: source, environment: environment).list
        } else {
            self.readLines(text, source)
        }
    }

    /// Whether a text is YAML or JSON rather than one name a line.
    ///
    /// No image's name ends with a colon, or has a space behind one.
    private static func isDocument(_ text: String) -> Bool {
        text.split(whereSeparator: \.isNewline).contains { line in
            let content = line.drop { $0 == " " || $0 == "\t" }
            guard let first = content.first, first != "#" else { return false }
            if first == "{" || first == "[" || first == "%" || content.hasPrefix("---") { return true }
            if content == "-" || content.hasPrefix("- ") { return true }
            let plain = content.prefix { $0 != "#" }
            return plain.contains(": ") || plain.hasSuffix(":")
        }
    }

    private mutating func readLines(_ text: String, _ source: String) {
        for (index, line) in text.split(omittingEmptySubsequences: false, whereSeparator: \.isNewline).enumerated() {
            let words = line.split { $0 == " " || $0 == "\t" }
            guard let name = words.first, !name.hasPrefix("#") else { continue }
            let place = "\(source), line \(index + 1)"
            guard words.count == 1 || words[1].hasPrefix("#") else {
                self.problems.append("\(place): a line names one image; this one has more words: \(Self.shown(line))")
                continue
            }
            self.add(String(name), at: place)
        }
    }

    mutating func add(_ name: String, at place: String) {
        if (try? ImageReference(parsing: name)) != nil {  // what is wrong with it is said below
            self.entries.append(Entry(name: name, place: place))
        } else {
            self.problems.append("\(place): \(Self.shown(name)) is no image name")
        }
    }

    static func shown(_ text: some StringProtocol) -> String { JSONText.quoted(String(text.prefix(200))) }
}

/// Why a text is no list of images; one sentence that names the place.
struct ListError: Error, Equatable, CustomStringConvertible {
    let description: String

    init(_ description: String) {
        self.description = description
    }
}
