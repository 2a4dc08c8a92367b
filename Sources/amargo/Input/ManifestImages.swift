import OCI
import Yams

/// Finds the images in Kubernetes manifests and Compose files; in one text there may be many documents.
///
/// In Kubernetes an image is what stands under a key `image`: of containers of all kinds, wherever they are nested (workloads, lists,
/// CronJobs), of image volumes, and in custom resources. In Compose it is `services.*.image`.
struct ManifestImages {
    private(set) var list = ImageList()
    private let source: String
    private let variables: ComposeVariables
    /// Nodes that were looked at: behind an alias they count each time, so that a few lines cannot become millions.
    private var visited = 0

    init(_ text: String, source: String, environment: [String: String]) throws {
        self.source = source
        self.variables = ComposeVariables(environment: environment)
        try YAMLDepth.check(text, source)
        do {
            let parser = try Parser(yaml: text)
            while let document = try parser.nextRoot() { try self.read(document) }
        } catch let error as YamlError {
            throw Self.error(error, text, source)
        }
    }

    private static func error(_ error: YamlError, _ text: String, _ source: String) -> ListError {
        let hint =
            text.contains("{{")
            ? "; it looks like a template, so render it first (helm template, kustomize build) and give Amargo the result" : ""
        switch error {
        case .scanner(_, let problem, let mark, _), .parser(_, let problem, let mark, _), .composer(_, let problem, let mark, _):
            return ListError("\(source), line \(mark.line): this is not valid YAML: \(problem)\(hint)")
        case .duplicatedKeysInMapping(let keys, _):
            return ListError("\(source) is not valid YAML: \(keys.joined(separator: ", ")) stands twice\(hint)")
        case .reader(let problem, _, _, _): return ListError("\(source) is not valid YAML: \(problem)")
        default: return ListError("\(source) is not valid YAML\(hint)")
        }
    }

    private mutating func read(_ document: Node) throws {
        switch document {
        case .mapping(let mapping):
            if let services = Self.value("services", in: mapping)?.mapping, Self.value("kind", in: mapping) == nil {
                try self.readCompose(mapping, services)
            } else {
                try self.walk(document, 0)
            }
        case .sequence(let sequence) where sequence.allSatisfy({ Self.text($0) != nil }):
            for node in sequence {
                try self.visit()
                self.list.add(Self.text(node) ?? "", at: self.place(node))
            }
        default: try self.walk(document, 0)
        }
    }

    private mutating func visit() throws {
        self.visited += 1
        guard self.visited <= Limits.Warming.nodes else {
            throw ListError(
                "\(self.source) has more than \(Limits.Warming.nodes) values, those behind aliases counted each time they are used"
            )
        }
    }

    private func place(_ node: Node) -> String { "\(self.source)\(node.mark.map { ", line \($0.line)" } ?? "")" }

    /// A value that is a text and nothing else: numbers, `true` and `null` are no images.
    private static func text(_ node: Node) -> String? {
        guard case .scalar(let scalar) = node else { return nil }
        if scalar.style == .plain || scalar.style == .any {
            if scalar.string.isEmpty || node.null != nil || node.bool != nil || node.int != nil || node.float != nil {
                return nil
            }
        }
        return scalar.string
    }

    private static func value(_ key: String, in mapping: Node.Mapping) -> Node? {
        mapping.first { entry in
            guard case .scalar(let scalar) = entry.key else { return false }
            return scalar.string == key
        }?.value
    }

    // MARK: - Kubernetes

    private static let containers: Set<String> = ["containers", "initContainers", "ephemeralContainers"]

    private mutating func walk(_ node: Node, _ depth: Int, isContainer: Bool = false) throws {
        try self.visit()
        guard depth <= Limits.Warming.depth else {
            throw ListError("\(self.place(node)): this is nested more than \(Limits.Warming.depth) levels deep")
        }
        switch node {
        case .mapping(let mapping):
            for (key, value) in mapping {
                guard case .scalar(let name) = key else {
                    try self.walk(value, depth + 1)
                    continue
                }
                if name.string == "image" {
                    try self.take(value, depth + 1, isContainer: isContainer)
                } else if Self.containers.contains(name.string), case .sequence(let list) = value {
                    for element in list { try self.walk(element, depth + 2, isContainer: true) }
                } else {
                    try self.walk(value, depth + 1)
                }
            }
        case .sequence(let sequence):
            for element in sequence { try self.walk(element, depth + 1) }
        case .scalar, .alias: break
        }
    }

    /// Takes what stands under a key `image`. In a container it has to be an image; elsewhere it may be something else altogether.
    private mutating func take(_ node: Node, _ depth: Int, isContainer: Bool) throws {
        try self.visit()
        if let text = Self.text(node) {
            let place = self.place(node)
            if text.contains("{{") {
                self.list.problems.append("\(place): \(ImageList.shown(text)) is a template; render it first (helm template)")
            } else if isContainer, text == "auto" {
                self.list.remarks.append("\(place): \"auto\" is no image but what Istio fills in; it is passed over")
            } else if isContainer || (try? ImageReference(parsing: text)) != nil {  // else it is an icon, say
                self.list.add(text, at: place)
            }
            return
        }
        if case .mapping(let mapping) = node, let name = Self.name(in: mapping) { self.list.add(name, at: self.place(node)) }
        try self.walk(node, depth)
    }

    /// An image in parts: an image volume's `reference`, or `repository` with `tag` or `digest`, as charts and many operators have it.
    private static func name(in mapping: Node.Mapping) -> String? {
        func part(_ key: String) -> String? {
            guard let node = Self.value(key, in: mapping), case .scalar(let scalar) = node, node.null == nil else { return nil }
            return scalar.string.isEmpty ? nil : scalar.string
        }
        if let reference = part("reference") { return reference }
        guard let repository = part("repository") else { return nil }
        let base = part("registry").map { "\($0)/\(repository)" } ?? repository
        if let digest = part("digest") { return "\(base)@\(digest)" }
        return part("tag").map { "\(base):\($0)" }
    }

    // MARK: - Compose

    private mutating func readCompose(_ document: Node.Mapping, _ services: Node.Mapping) throws {
        if let include = Self.value("include", in: document) {
            self.list.remarks.append("\(self.place(include)): the files that it includes are not read; name them, too")
        }
        for (key, value) in services {
            try self.visit()
            guard let name = key.scalar?.string, case .mapping(let service) = value else { continue }
            if let image = try self.merged("image", service, 0) {
                self.takeService(name, image)
            } else if try self.merged("build", service, 0) != nil {
                self.list.remarks.append("\(self.place(key)): the service \(name) is built, not pulled; it is passed over")
            } else if try self.merged("extends", service, 0) != nil {
                self.list.remarks.append(
                    "\(self.place(key)): what the service \(name) extends is not followed; it is passed over")
            } else {
                self.list.problems.append("\(self.place(key)): the service \(name) has neither image nor build")
            }
        }
    }

    /// A service's value, its own or one merged in by `<<`.
    private mutating func merged(_ key: String, _ mapping: Node.Mapping, _ depth: Int) throws -> Node? {
        try self.visit()
        guard depth < 10 else { return nil }
        if let own = Self.value(key, in: mapping) { return own }
        switch Self.value("<<", in: mapping) {
        case .mapping(let base): return try self.merged(key, base, depth + 1)
        case .sequence(let bases):
            for case .mapping(let base) in bases {
                if let found = try self.merged(key, base, depth + 1) { return found }
            }
            return nil
        default: return nil
        }
    }

    private mutating func takeService(_ service: String, _ node: Node) {
        let place = self.place(node)
        guard case .scalar(let scalar) = node else {
            self.list.problems.append("\(place): the image of the service \(service) is no text")
            return
        }
        do {
            self.list.add(try self.variables.expand(scalar.string), at: place)
        } catch {
            let reason =
                switch error {
                case .unset(let name): "needs the variable \(name); set it in the environment (a file .env is not read)"
                case .malformed: "has a variable that cannot be read"
                }
            self.list.problems.append("\(place): \(ImageList.shown(scalar.string)) of the service \(service) \(reason)")
        }
    }
}
