/// What was asked for.
package enum RequestKind: Int, CaseIterable, Sendable {
    case manifest
    case blob
    /// A tag list or referrers.
    case list
}

/// How a request for content ended, as far as it was decided before the body.
package enum RequestOutcome: Int, CaseIterable, Sendable {
    case hit
    /// Stored, and confirmed by the registry just now.
    case revalidated
    case miss
    /// Of a download that somebody else had begun.
    case collapsed
    case stale
    /// The registry has no such thing, or it may not be had here.
    case absent
    /// The registry or this host could not answer.
    case failed

    package init(_ state: CacheState, isCollapsed: Bool = false) {
        switch state {
        case .hit: self = .hit
        case .revalidated: self = .revalidated
        case .miss: self = isCollapsed ? .collapsed : .miss
        case .stale: self = .stale
        }
    }

    var count: TrafficCount {
        switch self {
        case .hit, .revalidated: .hits
        case .miss: .misses
        case .collapsed: .collapsed
        case .stale: .stale
        case .absent: .absent
        case .failed: .failed
        }
    }
}
