/// How long a server wants to be left alone: seconds, or a date. Source: RFC 9110, 10.2.3 and 5.6.7.
enum RetryAfter {
    /// The longest wait that is understood, in seconds; more is taken for it.
    private static let longest = 86_400

    /// - Parameters:
    ///   - value: the header's value.
    ///   - now: Unix seconds of the wall clock.
    /// - Returns: seconds, not negative; nil for what is neither a number nor a date in the preferred form (IMF-fixdate).
    static func seconds(_ value: String, now: Int64) -> Int? {
        if !value.isEmpty, value.utf8.allSatisfy({ (0x30...0x39).contains($0) }) {
            return min(Int(value) ?? Self.longest, Self.longest)
        }
        return Self.date(value).map { Int(min(max($0 - now, 0), Int64(Self.longest))) }
    }

    private static let months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]

    /// `Sun, 06 Nov 1994 08:49:37 GMT` in Unix seconds.
    static func date(_ text: String) -> Int64? {
        let parts = text.split(separator: " ", omittingEmptySubsequences: false)
        guard parts.count == 6, parts[0].hasSuffix(","), parts[5] == "GMT", let day = Self.number(parts[1], 1...31),
            let month = Self.months.firstIndex(of: String(parts[2])), let year = Self.number(parts[3], 1970...9999)
        else { return nil }
        let clock = parts[4].split(separator: ":", omittingEmptySubsequences: false)
        guard clock.count == 3, let hour = Self.number(clock[0], 0...23), let minute = Self.number(clock[1], 0...59),
            let second = Self.number(clock[2], 0...60)
        else { return nil }
        // Days of the Gregorian calendar, years beginning in March so that leap days come last.
        let shifted = month < 2 ? year - 1 : year
        let days =
            365 * shifted + shifted / 4 - shifted / 100 + shifted / 400 + (153 * Int64((month + 10) % 12) + 2) / 5 + day - 1
        return (days - 719_468) * 86_400 + hour * 3600 + minute * 60 + second
    }

    private static func number(_ text: Substring, _ range: ClosedRange<Int64>) -> Int64? {
        guard text.utf8.allSatisfy({ (0x30...0x39).contains($0) }), let number = Int64(text), range.contains(number) else {
            return nil
        }
        return number
    }
}
