import Glibc

/// The present moment as log lines have it, `2026-11-24T08:06:44.123Z`, made once a millisecond. Source: RFC 3339.
struct Timestamp {
    private var second = -1
    private var millisecond = -1
    private var text = [UInt8](repeating: 0, count: 24)

    mutating func append(to bytes: inout [UInt8]) {
        var now = timespec()
        clock_gettime(CLOCK_REALTIME, &now)
        if now.tv_sec != self.second {
            self.second = now.tv_sec
            var parts = tm()
            gmtime_r(&now.tv_sec, &parts)
            self.text = Array("0000-00-00T00:00:00.000Z".utf8)
            self.put(Int(parts.tm_year) + 1900, 4, at: 0)
            self.put(Int(parts.tm_mon) + 1, 2, at: 5)
            self.put(Int(parts.tm_mday), 2, at: 8)
            self.put(Int(parts.tm_hour), 2, at: 11)
            self.put(Int(parts.tm_min), 2, at: 14)
            self.put(Int(parts.tm_sec), 2, at: 17)
            self.millisecond = -1
        }
        let millisecond = now.tv_nsec / 1_000_000
        if millisecond != self.millisecond {
            self.millisecond = millisecond
            self.put(millisecond, 3, at: 20)
        }
        bytes += self.text
    }

    private mutating func put(_ number: Int, _ digits: Int, at position: Int) {
        var rest = number
        for index in (position..<(position + digits)).reversed() {
            self.text[index] = UInt8(ascii: "0") + UInt8(rest % 10)
            rest /= 10
        }
    }
}
