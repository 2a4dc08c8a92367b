import Foundation

/// One request as the scripted upstream received it.
package struct RecordedRequest: Sendable {
    /// Position in order of arrival over all connections, from 0.
    package let id: Int
    /// Number of the connection it came on, from 0: equal numbers mean a reused connection.
    package let connection: Int
    package let arrival: ContinuousClock.Instant
    package let method: String
    /// The target as written, query included.
    package let target: String
    /// The target without its query; not percent-decoded.
    package let path: String
    package let headers: [(name: String, value: String)]
    package let body: [UInt8]
    /// Every byte of head and body as it came.
    package let raw: [UInt8]

    /// The first value of a header, whatever the case of its name.
    package func header(_ name: String) -> String? {
        self.headers.first { $0.name.lowercased() == name.lowercased() }?.value
    }

    /// The values of a query item, percent-decoded.
    package func query(_ name: String) -> [String] {
        guard let mark = self.target.firstIndex(of: "?") else { return [] }
        return self.target[mark...].dropFirst().split(separator: "&").compactMap { item in
            let parts = item.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            guard parts.first.map(String.init) == name else { return nil }
            return parts.count == 2 ? String(parts[1]).removingPercentEncoding ?? String(parts[1]) : ""
        }
    }
}

extension RecordedRequest: CustomStringConvertible {
    package var description: String {
        let range = self.header("Range").map { " [\($0)]" } ?? ""
        return "#\(self.id) on \(self.connection): \(self.method) \(self.target)\(range)"
    }
}
