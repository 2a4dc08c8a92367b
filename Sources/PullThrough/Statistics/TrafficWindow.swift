/// A span of time that ends now.
package enum TrafficWindow: String, CaseIterable, Sendable {
    case hour
    case day
    case week
    /// Since statistics began.
    case all

    /// Nil for all time.
    var tier: TrafficSeries.Tier? {
        switch self {
        case .hour: .fiveMinutes
        case .day: .hours
        case .week: .quarterDays
        case .all: nil
        }
    }
}
