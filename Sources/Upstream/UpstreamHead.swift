import NIOHTTP1
import OCI

/// The limits of a response's head.
///
/// The client library has its own (80 KiB a field, 2 MiB a head, 256 fields) and lets nobody set them, so that up to 2 MiB of
/// a hostile head may be in memory before it is refused here. It shows neither trailers nor how many 1xx responses came
/// before: those end with its limits and with the time that a head may take.
enum UpstreamHead {
    static func check(_ headers: HTTPHeaders) throws(UpstreamError) {
        guard headers.count <= Limits.Upstream.headFields else {
            throw UpstreamError(.invalidResponse, "sent more than \(Limits.Upstream.headFields) header fields")
        }
        var total = 0
        for (name, value) in headers {
            let size = name.utf8.count + value.utf8.count
            total += size
            guard size <= Limits.Upstream.headField, total <= Limits.Upstream.headBlock else {
                throw UpstreamError(.invalidResponse, "sent a head that is too large")
            }
            guard value.isStreamSafe else {
                throw UpstreamError(.invalidResponse, "sent a header field of combining marks")
            }
        }
    }
}
