import NIOHTTP1
import OCI

/// Which media types a client takes. Source: RFC 9110, 12.5.1.
struct AcceptHeader {
    /// Empty: the client said nothing, and takes what there is.
    private let ranges: [String]

    init(_ headers: HTTPHeaders) {
        self.ranges = headers[canonicalForm: "accept"].compactMap { value in
            let parts = value.split(separator: ";").map { $0.filter { $0 != " " && $0 != "\t" }.lowercased() }
            guard let type = parts.first, !type.isEmpty else { return nil }
            let refuses = parts.dropFirst().contains { $0 == "q=0" || $0 == "q=0.0" || $0 == "q=0.00" || $0 == "q=0.000" }
            return refuses ? nil : type
        }
    }

    func accepts(_ type: MediaType) -> Bool {
        guard !self.ranges.isEmpty else { return true }
        let name = type.description
        let family = name.prefix { $0 != "/" } + "/*"
        return self.ranges.contains { $0 == name || $0 == "*/*" || $0 == family }
    }
}
