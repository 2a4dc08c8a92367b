import Foundation

/// The token server of the scripted upstream: who may do what, and until when.
struct TokenService {
    private struct Grant {
        let scopes: [String]
        let end: ContinuousClock.Instant
    }

    /// What `expires_in` says, and how long a token really works.
    var lifetime = 300
    private var grants: [String: Grant] = [:]
    private var count = 0

    mutating func accept(_ token: String, scopes: [String]) {
        self.grants[token] = Grant(scopes: scopes, end: .now.advanced(by: .seconds(self.lifetime)))
    }

    mutating func revokeAll() { self.grants = [:] }

    mutating func response(to request: RecordedRequest) -> ServerResponse {
        self.count += 1
        let token = "scripted-token-\(self.count)"
        self.accept(token, scopes: request.query("scope").flatMap { $0.split(separator: " ").map(String.init) })
        return .json(200, "{\"token\":\"\(token)\",\"expires_in\":\(self.lifetime)}")
    }

    func isAuthorized(_ request: RecordedRequest) -> Bool {
        let words = (request.header("Authorization") ?? "").split(separator: " ")
        guard words.count == 2, words[0].lowercased() == "bearer", let grant = self.grants[String(words[1])],
            grant.end > .now
        else { return false }
        guard let repository = RegistryContent.repository(of: request.path) else { return true }
        return grant.scopes.contains { scope in
            let prefix = "repository:\(repository):"
            return scope.hasPrefix(prefix) && scope.dropFirst(prefix.count).split(separator: ",").contains("pull")
        }
    }

    static func challenge(for request: RecordedRequest, port: Int) -> ServerResponse {
        var value = "Bearer realm=\"http://127.0.0.1:\(port)/token\",service=\"scripted\""
        if let repository = RegistryContent.repository(of: request.path) {
            value += ",scope=\"repository:\(repository):pull\""
        }
        var response = ServerResponse.error(401, "UNAUTHORIZED")
        response.headers.append(("WWW-Authenticate", value))
        return response
    }
}
