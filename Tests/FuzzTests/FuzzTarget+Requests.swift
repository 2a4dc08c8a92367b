import NIOCore
import NIOEmbedded
import NIOHTTP1
import OCI

@testable import Registry

/// Requests that are answered before the parser, held against the parser.
extension FuzzTarget {
    static let plainRequest = FuzzTarget(
        "plain request",
        corpus: [
            "GET /v2/library/nginx/manifests/latest HTTP/1.1\r\nHost: localhost:5000\r\nUser-Agent: docker/28\r\nAccept: */*\r\n\r\n",
            "HEAD /v2/a/blobs/sha256:\(abc)?ns=docker.io HTTP/1.1\r\nhost: 10.0.0.1\r\nAccept: application/json\r\nAccept: text/html, a/b\r\nConnection: keep-alive\r\n\r\n",
            "GET /v2/ HTTP/1.1\r\nHost: a\r\n\r\nGET /v2/b HTTP/1.1\r\nHost: a\r\n\r\n",
            "GET /v2/a/blobs/x HTTP/1.1\r\nRange: bytes=0-1\r\nHost: a-b.c\r\nIf-None-Match: \"x\"\r\n\r\n",
        ],
        words: [
            "GET ", "HEAD ", "POST ", "GET", " ", "\t", "\r\n", "\r\n\r\n", "\n", "\r", "\n\n", "\u{0}", "\u{B}", "\u{7F}", "é",
            ":",
            ": ", " :", ",", ";", "HTTP/1.1", "HTTP/1.0", "HTTP/2.0", " HTTP/1.1\r\n", "Host: b\r\n", "Host:\r\n",
            "Content-Length: 5\r\n", "Content-Length : 5\r\n", "Transfer-Encoding: chunked\r\n",
            "Transfer-Encoding:\r\n chunked\r\n",
            "Expect: 100-continue\r\n", "Upgrade: h2c\r\n", "Connection: upgrade\r\n", "Connection: close\r\n",
            "TE: trailers\r\n",
            "X:\r\n", " folded\r\n", "X: GET / HTTP/1.1\r\n", "0\r\n\r\n", "%2f", "#", "//", "?", "*", "http://a/v2/",
        ]
    ) { input, _ in
        guard let request = input.withUnsafeBytes({ PlainRequest(in: $0) }) else { return .refused }
        guard request.count <= input.count, input[..<request.count].suffix(4).elementsEqual("\r\n\r\n".utf8) else {
            return .broken("does not end with the head")
        }
        let parsed: [HTTPServerRequestPart]
        do {
            parsed = try Self.parse(Array(input[..<request.count]))
        } catch {
            return .broken("the parser says \(error)")
        }
        guard parsed.count == 2, case .head(let head) = parsed[0], case .end(nil) = parsed[1] else {
            return .broken("the parser finds \(parsed)")
        }
        guard head.version == .http1_1, head.method == (request.method == .get ? .GET : .HEAD),
            head.uri.utf8.elementsEqual(input[request.target]), head.isKeepAlive, !head.offersUpgrade
        else { return .broken("the parser reads \(head)") }
        guard ErrorResponse(objectingTo: head) == nil, head.headers["content-length"].isEmpty,
            head.headers["transfer-encoding"].isEmpty, head.headers["expect"].isEmpty
        else { return .broken("the server would object") }
        for type in [MediaType.ociIndex, .dockerManifest] {
            let taken = input.withUnsafeBytes { request.accepts(type, in: $0) }
            if taken == true, !AcceptHeader(head.headers).accepts(type) { return .broken("takes \(type)") }
        }
        return .accepted
    }

    /// All that the server's parser makes of bytes, which have to end where a request does.
    private static func parse(_ bytes: [UInt8]) throws -> [HTTPServerRequestPart] {
        let channel = EmbeddedChannel()
        defer { _ = try? channel.finish(acceptAlreadyClosed: true) }  // what is left in it was read, or is an error told below
        try channel.pipeline.syncOperations.addHandler(
            ByteToMessageHandler(HTTPRequestDecoder(leftOverBytesStrategy: .dropBytes)))
        try channel.writeInbound(ByteBuffer(bytes: bytes))
        var parts: [HTTPServerRequestPart] = []
        while let part = try channel.readInbound(as: HTTPServerRequestPart.self) { parts.append(part) }
        return parts
    }
}
