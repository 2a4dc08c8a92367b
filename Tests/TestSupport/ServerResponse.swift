/// A response before it is framed and written.
struct ServerResponse {
    var status: Int
    var headers: [(name: String, value: String)] = []
    var body: [UInt8]
    /// The part of `body` that is sent: a range of a large blob costs no copy.
    var window: Range<Int>

    init(status: Int, headers: [(name: String, value: String)] = [], body: [UInt8] = []) {
        self.status = status
        self.headers = headers
        self.body = body
        self.window = 0..<body.count
    }

    static func json(_ status: Int, _ text: String) -> ServerResponse {
        ServerResponse(status: status, headers: [("Content-Type", "application/json")], body: Array(text.utf8))
    }

    static func error(_ status: Int, _ code: String) -> ServerResponse {
        self.json(status, "{\"errors\":[{\"code\":\"\(code)\",\"message\":\"scripted\",\"detail\":null}]}")
    }

    var forbidsBody: Bool { self.status == 204 || self.status == 304 || (100..<200).contains(self.status) }

    mutating func apply(_ change: Behaviour.HeaderChange) {
        switch change {
        case .add(let name, let value):
            self.headers.append((name, value))
        case .set(let name, let value):
            self.removeHeader(name)
            self.headers.append((name, value))
        case .remove(let name):
            self.removeHeader(name)
        }
    }

    private mutating func removeHeader(_ name: String) {
        self.headers.removeAll { $0.name.lowercased() == name.lowercased() }
    }
}
