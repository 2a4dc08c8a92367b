import NIOHTTP1
import OCI
import PullThrough

/// `Cache-Control: only-if-cached`: answer from what is stored, or with 504. Source: RFC 9111, 5.2.1.7.
extension Exchange {
    /// Whether the client wants an answer only if no upstream has to be asked for it.
    var wantsOnlyStored: Bool {
        self.request.headers[canonicalForm: "cache-control"].contains { directive in
            // It has no argument; one that is given all the same changes nothing (RFC 9111, 5.2).
            directive.prefix { $0 != "=" }.lowercased() == "only-if-cached"
        }
    }

    func failNotStored(_ what: String) {
        self.fail(ErrorResponse(notStored: what))
    }
}

extension ErrorResponse {
    fileprivate init(notStored what: String) {
        self.init(.gatewayTimeout, .unavailable, "\(what) is not stored here, and the client does not want it to be fetched")
        self.isExpected = true
    }
}
