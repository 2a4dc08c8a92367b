/// One request on one connection, read without any leniency.
package enum RawHTTPClient {
    /// Sends a request on a new connection and reads the response to its end, complete or cut.
    ///
    /// Throws when no head comes: `connectFailed`, `closed`, `reset`, `timedOut`, `malformed`. A body that is cut is a
    /// result, see `RawResponse.ending`.
    ///
    /// - Parameters:
    ///   - discardBody: count and hash the body instead of keeping it (`byteCount`, `sha256`): for large ones.
    ///   - timeout: the longest time without progress.
    package static func get(
        port: Int, path: String, headers: [(String, String)] = [], method: String = "GET", discardBody: Bool = false,
        timeout: Duration = .seconds(30)
    ) async throws -> RawResponse {
        let connection = try await RawConnection.connect(port, timeout: timeout)
        defer { connection.close() }
        try await connection.request(method, path, headers: headers)
        let head = try await connection.readHead(method: method)
        return RawResponse(head: head, content: try await connection.readToEnd(discardingBytes: discardBody))
    }

    package static func head(
        port: Int, path: String, headers: [(String, String)] = [], timeout: Duration = .seconds(30)
    ) async throws -> RawResponse {
        try await self.get(port: port, path: path, headers: headers, method: "HEAD", timeout: timeout)
    }
}
