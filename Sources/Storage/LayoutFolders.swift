import OCI

/// Finds the repositories' layouts on the disk, whatever the catalog says.
///
/// What is no folder, or has a name that no repository has, is passed over: it must not keep the store from opening. Nothing
/// is followed out of the store.
package struct LayoutFolders {
    let root: StoreRoot

    package init(root: StoreRoot) {
        self.root = root
    }

    /// Every repository that has a folder for its layout. Blocks.
    package func all() -> [QualifiedRepository] {
        var found: [QualifiedRepository] = []
        for name in self.names(in: StoreLayout.repositories) {
            guard let namespace = try? Namespace(parsing: name) else { continue }  // not one of ours
            self.visit(namespace, [], &found)
        }
        return found
    }

    /// Empty for what is no folder.
    func names(in folder: StorePath) -> [String] {
        do {
            return try self.root.entries(of: folder)
        } catch {
            return []
        }
    }

    private func visit(_ namespace: Namespace, _ components: [String], _ found: inout [QualifiedRepository]) {
        let name = components.joined(separator: "/")
        guard let folder = StoreLayout.repositoryFolder(namespace, components) else { return }
        for entry in self.names(in: folder) {
            if entry == "_oci" {
                guard let repository = try? RepositoryName(parsing: name) else { continue }  // not one of ours
                found.append(QualifiedRepository(namespace: namespace, name: repository))
            } else if components.count < 128 {
                self.visit(namespace, components + [entry], &found)
            }
        }
    }
}
