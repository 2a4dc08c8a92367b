import OCI

/// What would go, why, and how much room that makes.
package struct EvictionPlan: Sendable {
    package enum Reason: String, CaseIterable, Sendable {
        /// No stored manifest refers to it.
        case orphan
        /// Room is needed, and it was pulled least recently.
        case leastRecentlyPulled = "least recently pulled"
        /// Nobody has pulled it for longer than `retainFor`.
        case unused
        /// Somebody asked for it.
        case removed
    }

    package struct Item: Sendable {
        package let reason: Reason
        /// The platform manifest, the index, or the blob that belongs to nobody.
        package let root: Digest
        /// What people call it: `docker.io/library/nginx:alpine`. Empty for what has no name.
        package let names: [String]
        /// All that goes, manifests first.
        package let contents: [Digest]
        /// Bytes of the disk.
        package let bytes: Int64
        /// Unix seconds of the newest pull.
        package let lastUse: Int64
        /// Unix seconds at which the newest of its contents came or was pulled, as the plan knew it.
        let newest: Int64
    }

    package var items: [Item] = []
    /// Bytes of the disk that come free.
    package var bytes: Int64 { self.items.reduce(0) { $0 + $1.bytes } }
    /// Bytes that come free of what the plan was made for, such as one registry's share.
    package var gain: Int64 = 0
    /// The catalog's count of pins when the plan was made.
    var pinCount = 0
    /// Images that may not go: pinned, or in use at this moment.
    package var untouchable = 0

    package init() {}
}
