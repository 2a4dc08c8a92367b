import OCI

/// What a plan to remove content is made for.
package enum EvictionGoal: Sendable, Hashable {
    /// So many bytes of the disk, least recently pulled first; with a registry, of what was pulled first from there.
    case room(bytes: Int64, of: Namespace?)
    /// Images that were last pulled before this moment (Unix seconds); with a registry, only those of there.
    case unused(since: Int64, of: Namespace?)
    /// Content that belongs to no image and came before this moment (Unix seconds).
    case orphans(before: Int64)
}
