import OCI

/// What engines are to be told so that they pull through this server: texts that whoever composes the server has made.
package struct EngineGuide: Sendable, Hashable {
    package struct Registry: Sendable, Hashable {
        package let namespace: String
        /// Whether names without a registry mean this one.
        package let isDefault: Bool
        /// What stands before a repository's name here; nil if it has no such name.
        package let pathName: String?

        package init(namespace: String, isDefault: Bool, pathName: String?) {
            self.namespace = namespace
            self.isDefault = isDefault
            self.pathName = pathName
        }
    }

    package struct File: Sendable, Hashable {
        package let path: String
        package let text: String

        package init(path: String, text: String) {
            self.path = path
            self.text = text
        }
    }

    package struct Texts: Sendable, Hashable {
        package var files: [File] = []
        package var notes: [String] = []
        /// Why there are no files.
        package var error: String?

        package init() {}
    }

    package struct Engine: Sendable, Hashable {
        package let name: String
        package let title: String
        /// For the address that this server has by itself.
        package let own: Texts
        /// For others, with the placeholder in their place.
        package let others: Texts

        package init(name: String, title: String, own: Texts, others: Texts) {
            self.name = name
            self.title = title
            self.own = own
            self.others = others
        }
    }

    /// `host:port` by which engines on this host reach the server.
    package var address = ""
    /// What stands for another `host:port` in the texts.
    package var placeholder = ""
    package var registries: [Registry] = []
    package var engines: [Engine] = []

    package init() {}

    var json: String {
        let registries = self.registries.map { registry in
            """
            {"namespace":\(JSONText.quoted(registry.namespace)),"isDefault":\(registry.isDefault),\
            "pathName":\(registry.pathName.map(JSONText.quoted) ?? "null")}
            """
        }
        let engines = self.engines.map { engine in
            """
            {"name":\(JSONText.quoted(engine.name)),"title":\(JSONText.quoted(engine.title)),"own":\(engine.own.json),\
            "others":\(engine.others.json)}
            """
        }
        return """
            {"address":\(JSONText.quoted(self.address)),"placeholder":\(JSONText.quoted(self.placeholder)),\
            "registries":[\(registries.joined(separator: ","))],"engines":[\(engines.joined(separator: ","))]}

            """
    }
}

extension EngineGuide.Texts {
    fileprivate var json: String {
        let files = self.files.map { "{\"path\":\(JSONText.quoted($0.path)),\"text\":\(JSONText.quoted($0.text))}" }
        return """
            {"files":[\(files.joined(separator: ","))],"notes":[\(self.notes.map(JSONText.quoted).joined(separator: ","))],\
            "error":\(self.error.map(JSONText.quoted) ?? "null")}
            """
    }
}
