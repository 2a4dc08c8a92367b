import Glibc
import Synchronization

/// The `Date` header's value, made once a second: RFC 9110, 6.6.1 and 5.6.7.
final class DateHeader: Sendable {
    private struct Entry {
        var second: Int = -1
        var text = ""
    }

    private let entry = Mutex(Entry())

    var header: String {
        let now = time(nil)
        return self.entry.withLock { entry in
            if entry.second != now {
                entry.second = now
                entry.text = Self.format(now)
            }
            return entry.text
        }
    }

    private static let days = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"]
    private static let months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]

    static func format(_ seconds: Int) -> String {
        var clock = time_t(seconds)
        var parts = tm()
        gmtime_r(&clock, &parts)
        func two(_ number: Int32) -> String { number < 10 ? "0\(number)" : "\(number)" }
        let day = Self.days[Int(parts.tm_wday)]
        let month = Self.months[Int(parts.tm_mon)]
        return "\(day), \(two(parts.tm_mday)) \(month) \(parts.tm_year + 1900) "
            + "\(two(parts.tm_hour)):\(two(parts.tm_min)):\(two(parts.tm_sec)) GMT"
    }
}
