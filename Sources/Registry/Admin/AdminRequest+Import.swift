import Archive
import OCI

/// An import as a line on `amargo.sock`. The bundles themselves come as descriptors, when they are asked for.
extension AdminEvent {
    init(_ options: ImportOptions, _ inputs: [BundleInput]) {
        var event = AdminEvent("import").with("transfer", options.transfer.rawValue).with("pinning", options.pinning.rawValue)
            .with("purpose", options.purpose.rawValue).with("fallback", "\(options.naming.fallback)")
            .with("aliases", options.naming.aliases.map { "\($0.key)=\($0.value)" }.sorted())
            .with("bundles", Int64(inputs.count))
        if let replacement = options.naming.replacement { event = event.with("as", "\(replacement)") }
        for (number, input) in inputs.enumerated() {
            event = event.with("name\(number)", input.name).with("kind\(number)", input.kind.rawValue)
                .with("parts\(number)", input.parts).with("checksums\(number)", input.checksums.map(\.description))
        }
        self = event
    }

    /// Nil for what this version does not know.
    var importRequest: (options: ImportOptions, inputs: [BundleInput])? {
        guard let transfer = self.text("transfer").flatMap(ImportOptions.Transfer.init(rawValue:)),
            let pinning = self.text("pinning").flatMap(ImportOptions.Pinning.init(rawValue:)),
            let purpose = self.text("purpose").flatMap(ImportOptions.Purpose.init(rawValue:)), let naming = self.naming
        else { return nil }
        var options = ImportOptions(naming: naming)
        options.transfer = transfer
        options.pinning = pinning
        options.purpose = purpose
        var inputs: [BundleInput] = []
        for number in 0..<max(0, min(self.number("bundles"), 10_000)) {
            guard let name = self.text("name\(number)"),
                let kind = self.text("kind\(number)").flatMap(BundleInput.Kind.init(rawValue:)),
                let checksums = try? self.list("checksums\(number)").map({ try Digest(parsing: $0) })  // nil is the answer
            else { return nil }
            inputs.append(BundleInput(name: name, kind: kind, parts: self.list("parts\(number)"), checksums: checksums))
        }
        return (options, inputs)
    }

    private var naming: BundleNaming? {
        do {
            var aliases: [Namespace: Namespace] = [:]
            for text in self.list("aliases") {
                guard let equals = text.firstIndex(of: "=") else { return nil }
                aliases[try Namespace(parsing: text[..<equals])] = try Namespace(parsing: text[text.index(after: equals)...])
            }
            return BundleNaming(
                aliases: aliases, fallback: try Namespace(parsing: self.text("fallback") ?? ""),
                replacement: try self.text("as").map { try ImageReference(parsing: $0) })
        } catch {
            return nil
        }
    }
}

/// What an import says.
extension AdminEvent {
    init(_ event: ImportEvent) {
        switch event {
        case .note(let text): self = AdminEvent("note").with("message", text)
        case .problem(let text): self = AdminEvent("error").with("message", text)
        case .progress(let progress):
            self = AdminEvent("progress").with("stage", progress.stage.rawValue).with("bytes", progress.bytes)
                .with("totalBytes", progress.totalBytes).with("milliseconds", progress.milliseconds)
        case .image(let image):
            self = AdminEvent("image").with("outcome", image.outcome.rawValue).with("image", image.title)
                .with("digest", "\(image.digest)").with("registry", "\(image.namespace)").with("platforms", image.platforms)
                .with("absentPlatforms", image.absentPlatforms).with("blobs", Int64(image.blobs)).with("bytes", image.bytes)
                .with("newBytes", image.newBytes).with("faults", image.faults.map(\.description))
                .with("attachment", image.isAttachment).with("newDigest", image.isRebuilt)
        }
    }
}
