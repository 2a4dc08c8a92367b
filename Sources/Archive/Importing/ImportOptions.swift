import OCI

/// How bundles are imported.
package struct ImportOptions: Hashable, Sendable {
    /// How files of a folder get into the store.
    package enum Transfer: String, Hashable, Sendable {
        /// By reference where the file system can do that, else by copy.
        case copy
        /// By a further name for the same file, where that is possible.
        case link
    }

    package enum Pinning: String, Hashable, Sendable {
        case pinned
        case unpinned
    }

    package enum Purpose: String, Hashable, Sendable {
        case store
        /// Say what would be done.
        case look
    }

    package var transfer = Transfer.copy
    package var pinning = Pinning.pinned
    package var purpose = Purpose.store
    package var naming: BundleNaming

    package init(naming: BundleNaming) {
        self.naming = naming
    }
}
