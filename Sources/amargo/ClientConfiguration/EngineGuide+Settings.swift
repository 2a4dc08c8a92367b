import Registry

extension EngineGuide {
    /// What `client-config` prints for every engine, for the dashboard: with this server's own address, and with one that is put in
    /// where the page knows it.
    ///
    /// - Parameter addresses: where the server listens, with the ports that it has got.
    init(_ settings: Settings, listeningOn addresses: [String]) {
        self.init()
        var settings = settings
        if !addresses.isEmpty { settings.listen = addresses }
        let placeholder = "amargo-address.invalid:1"
        // An address of our own that is none can only be a port that is not known yet; then there is nothing to tell.
        guard let own = try? ClientServer(settings, host: nil), let other = try? ClientServer(settings, host: placeholder) else {
            return
        }
        self.address = own.address
        self.placeholder = placeholder
        self.registries = own.registries.map { registry in
            Registry(
                namespace: registry.namespace.description, isDefault: registry.isDefault,
                pathName: registry.pathName?.description)
        }
        self.engines = ClientEngine.allCases.map { engine in
            Engine(
                name: engine.rawValue, title: engine.title, own: Self.texts(engine, own), others: Self.texts(engine, other))
        }
    }

    private static func texts(_ engine: ClientEngine, _ server: ClientServer) -> Texts {
        var texts = Texts()
        do {
            let configuration = try engine.configuration(for: server)
            texts.files = configuration.files.map { File(path: $0.path, text: $0.text) }
            texts.notes = configuration.notes
        } catch {
            texts.error = "\(error)"
        }
        return texts
    }
}

extension ClientEngine {
    /// As its makers write it.
    fileprivate var title: String {
        switch self {
        case .docker: "Docker"
        case .dockerDesktop: "Docker Desktop"
        case .containerd: "containerd"
        case .podman: "Podman"
        case .buildkit: "BuildKit"
        case .k3s: "k3s"
        case .kaniko: "kaniko"
        }
    }
}
