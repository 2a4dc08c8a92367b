import Foundation
import NIOCore
import OCI

@testable import Storage
@testable import Upstream

/// Documents: what is taken is JSON to Foundation as well, and means the same.
extension FuzzTarget {
    static let json = FuzzTarget(
        "json",
        corpus: [
            #"{"a":1,"b":[true,false,null,"x\u00e9\ud83d\ude00"],"c":{"a":-1.5e3,"A":0}}"#, #"[[],{},"",0,-0]"#,
            #" "\"\\\/\b\f\n\r\t" "#,
            #"{"k":{"k":{"k":[1,2,3]}},"\u006b2":"é"}"#, "{\"\":\"\",\" \":\" \"}",
            String(repeating: "[", count: 64) + String(repeating: "]", count: 64),
        ], words: jsonWords + [#""b":"#, #""k":"#, #""\u006b":"#],
        check: { bytes, _ in
            var members = 0
            do {
                try bytes.withUnsafeBytes { try JSONReader.read($0) { try Self.count(&$0, &members) } }
            } catch {
                return Self.isOnlyOurRefusal(bytes, "\(error)") ? .broken("Foundation takes what \(error)") : .refused
            }
            switch Self.foundation(bytes) {
            case .refused(let problem): return .broken("Foundation refuses it: \(problem)")
            case .unrepresentable: return .accepted
            case .value(let value):
                // Of equal keys Foundation keeps one: so many members, so many different keys.
                return Self.members(of: value) == members ? .accepted : .broken("equal keys are taken")
            }
        })

    private static func count(_ reader: inout JSONReader, _ members: inout Int) throws {
        switch try reader.peek() {
        case .object:
            try reader.object { reader, _ in
                members += 1
                try Self.count(&reader, &members)
            }
        case .array: try reader.array { try Self.count(&$0, &members) }
        default: try reader.skipValue()
        }
    }

    private enum Foundations {
        case value(Any)
        /// JSON, but with a number that is too large for it.
        case unrepresentable
        case refused(String)
    }

    private static func foundation(_ bytes: [UInt8]) -> Foundations {
        do {
            return .value(try JSONSerialization.jsonObject(with: Data(bytes), options: .fragmentsAllowed))
        } catch {
            let text = "\(error)"
            return text.contains("representable") ? .unrepresentable : .refused(text)
        }
    }

    private static func members(of value: Any) -> Int {
        if let object = value as? [String: Any] { return object.values.reduce(object.count) { $0 + Self.members(of: $1) } }
        if let array = value as? [Any] { return array.reduce(0) { $0 + Self.members(of: $1) } }
        return 0
    }

    private static let commaBeforeEnd = Grammar(#"[\s\S]*,\s*[\]}][\s\S]*"#)

    /// Whether a document is refused that every strict reader takes, for none of the reasons that are ours alone.
    private static func isOnlyOurRefusal(_ bytes: [UInt8], _ reason: String) -> Bool {
        // Foundation also reads other encodings, byte order marks, NUL as a sign of UTF-16, and a comma before an end.
        guard !reason.contains("twice"), !reason.contains("levels"), !reason.contains("surrogate"),
            !reason.contains("byte order mark"), !bytes.contains(0),
            let text = String(validating: bytes, as: UTF8.self), !bytes.starts(with: [0xEF, 0xBB, 0xBF]),
            !Self.commaBeforeEnd.matches(text)
        else { return false }
        if case .value = Self.foundation(bytes) { return true }
        return false
    }

    // MARK: - Manifests

    private static let descriptor =
        #"{"mediaType":"application/vnd.oci.image.config.v1+json","digest":"sha256:\#(abc)","size":3}"#

    static let manifest = FuzzTarget(
        "manifest",
        corpus: [
            #"{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","config":\#(descriptor),"layers":[\#(descriptor)]}"#,
            #"{"schemaVersion":2,"config":\#(descriptor),"layers":null,"subject":\#(descriptor),"annotations":{"a":"b"}}"#,
            #"{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[\#(descriptor),\#(descriptor)]}"#,
            #"{"schemaVersion":2,"manifests":[{"digest":"sha512:\#(longABC)","size":9,"platform":{"os":"linux","architecture":"arm","variant":"v7"}}]}"#,
            #"{"mediaType":"application/vnd.oci.artifact.manifest.v1+json","blobs":[\#(descriptor)],"artifactType":"a/b"}"#,
        ],
        words: jsonWords + [
            #""manifests":[]"#, #""layers":[]"#, #""layer\u0073":[]"#, #""Layers":[]"#, #""layer\#u{17F}":[]"#, #""config":"#,
            #""size":-1"#,
            #""size":"#, #""digest":"sha256:\#(abc)""#, #""schemaVersion":1"#,
            #""mediaType":"application/vnd.oci.image.index.v1+json""#,
            #""mediaType":"""#, #""urls":["http://evil.example"]"#, #""subject":null"#, descriptor, "\"sha256:",
        ],
        check: { bytes, number in
            let types: [MediaType] = [.ociManifest, .ociIndex, .dockerManifest, .dockerList, .ociArtifact]
            let declared = bytes.withUnsafeBytes { Manifest.declaredType(of: $0) }
            // The type that it came with is mostly the one it says, so that more is read of it.
            let type = number % 4 == 0 ? types[number / 4 % types.count] : declared ?? types[number % types.count]
            guard let manifest = try? bytes.withUnsafeBytes({ try Manifest(parsing: $0, as: type) }) else { return .refused }
            guard case .value(let value) = Self.foundation(bytes), let object = value as? [String: Any] else {
                return .broken("Foundation reads no object")
            }
            return Self.problem(with: manifest, type, object).map { .broken($0) } ?? .accepted
        })

    /// What CVE-2021-41190 asks for, and that nothing was left out or made up, by Foundation's reading.
    private static func problem(with manifest: Manifest, _ type: MediaType, _ object: [String: Any]) -> String? {
        if let own = object["mediaType"] as? String, !own.isEmpty, own.lowercased() != type.description {
            return "says that it is \(own) and is taken for \(type)"
        }
        if object["manifests"] != nil, object["layers"] != nil || object["config"] != nil { return "is image and index at once" }
        if type != .ociArtifact, (object["schemaVersion"] as? NSNumber)?.intValue != 2 { return "is not of schema version 2" }
        if type.isIndex, object["manifests"] == nil { return "is an index without manifests" }
        let lists = ["layers", "manifests", "blobs"].flatMap { object[$0] as? [[String: Any]] ?? [] }
        let children = (object["config"] as? [String: Any]).map { [$0] + lists } ?? lists
        guard children.count == manifest.children.count else {
            return "has \(children.count) children, not \(manifest.children.count)"
        }
        let expected = children.compactMap { $0["digest"] as? String }.sorted()
        guard manifest.children.map({ "\($0.descriptor.digest)" }).sorted() == expected else { return "has other children" }
        guard manifest.children.allSatisfy({ $0.descriptor.size >= 0 }) else { return "has a negative size" }
        return (object["subject"] as? [String: Any])?["digest"] as? String == manifest.subject.map { "\($0.digest)" }
            ? nil : "has another subject"
    }

    // MARK: - Tokens

    static let token = FuzzTarget(
        "token",
        corpus: [
            #"{"token":"eyJhbGciOi.x-y_z","access_token":"other","expires_in":300,"issued_at":"2026-01-01T00:00:00Z"}"#,
            #"{"access_token":"abc"}"#, #"{"expires_in":3600.5,"token":"a"}"#,
            #"{"token":"a","expires_in":-9223372036854775808}"#,
        ],
        words: jsonWords + [
            #""token":"#, #""token":"x""#, #""token":null"#, #""access_token":"y""#, #""expires_in":"#, #""expires_in":1e99"#,
            "\\r\\n", "\\u000a",
            "\\u00e9",
        ],
        check: { bytes, _ in
            guard let response = try? TokenResponse(parsing: ByteBuffer(bytes: bytes), host: "a") else { return .refused }
            guard response.token.utf8.allSatisfy({ (0x21...0x7E).contains($0) }), (10...3600).contains(response.lifetime) else {
                return .broken("cannot stand in a header, or lives for \(response.lifetime) s")
            }
            switch Self.foundation(bytes) {
            case .refused(let problem): return .broken("Foundation refuses it: \(problem)")
            case .unrepresentable: return .accepted
            case .value(let value):
                guard let object = value as? [String: Any] else { return .broken("is no object") }
                let expected = object["token"] as? String ?? object["access_token"] as? String
                return expected == response.token ? .accepted : .broken("Foundation reads another token")
            }
        })

    // MARK: - The journal

    static let journal = FuzzTarget(
        "journal",
        corpus: [
            #"{"g":7,"q":1,"op":"blob","d":"sha256:\#(abc)","size":5,"repo":"docker.io/library/nginx","at":1764000000"#,
            #"{"g":7,"q":2,"op":"link","d":"sha512:\#(longABC)","repo":"a.b/c""#,
            #"{"g":7,"q":3,"op":"tag","repo":"a.b/c","ref":"v1","d":"sha256:\#(abc)","at":1764000000"#,
            #"{"g":7,"q":4,"op":"manifest","d":"sha256:\#(abc)","size":5,"type":"application/vnd.oci.image.index.v1+json","#
                + #""subject":"sha256:\#(abc)","n":1,"kids":[["manifest","sha256:\#(abc)",7,"linux/arm"]],"at":1"#,
            #"{"g":7,"q":5,"op":"edges","d":"sha256:\#(abc)","n":0,"kids":[["layer","sha256:\#(abc)",7],["config","sha256:\#(abc)",0]]"#,
            #"{"g":7,"q":6,"op":"pin","repo":"a.b/c","ref":"sha256:\#(abc)","at":1"#,
            #"{"g":7,"q":7,"op":"untag","repo":"a.b/c","ref":"v1""#,
            #"{"g":7,"q":8,"op":"use","d":"sha256:\#(abc)","at":1"#, #"{"g":7,"q":9,"op":"future","req":true,"x":[{}]"#,
            #"{"amargo":"journal","format":1,"minReader":1,"g":7,"store":"4f6c1b0e","live":0"#,
        ],
        words: jsonWords + [
            #""d":"sha256:\#(abc)""#, #""op":"blob""#, #""op":"manifest""#, #""op":"edges""#, #""op":"x""#, #""op":"""#,
            #""req":true"#,
            #""kids":[]"#, #""kids":[["layer","sha256:"#, #"["parent","#, #""n":0"#, #""n":1"#, #""ref":"\u004a""#,
            #""repo":"docker.io/A""#,
            #""type":"A/b; c""#, #""subject":"sha512:"#, ",\"c\":\"00000000\"",
        ],
        check: { body, _ in
            // The checksum is right for what stands before it, so that the readers get to see it.
            let checksum = String(body.withUnsafeBytes { JournalLine.checksum($0) }, radix: 16)
            let line = body + Array(",\"c\":\"\(String(repeating: "0", count: 8 - checksum.count))\(checksum)\"}".utf8)
            let isLine =
                line.first == UInt8(ascii: "{") && line.count < 16 << 10 && line.allSatisfy { (0x20...0x7E).contains($0) }
            return line.withUnsafeBytes { line in
                // RELIABILITY.md, 3.1: a byte below 0x20, or one that is not ASCII, makes a line invalid.
                guard JournalLine.isIntact(line) == isLine else { return .broken("intact is not what the format says") }
                guard isLine else { return .refused }
                _ = JournalLine.header(line)
                return Self.read(line)
            }
        })

    /// Both readers must agree, and what an entry says must be what is written for it.
    private static func read(_ line: UnsafeRawBufferPointer) -> Verdict {
        var (plain, any, names) = (JournalEntry(), JournalEntry(), JournalNames())
        let isPlain = plain.read(plain: line, names: &names)
        guard any.read(any: line) else { return isPlain ? .broken("is read by the fast reader alone") : .refused }
        if isPlain, plain != any { return .broken("is read in two ways: \(plain), \(any)") }
        guard case .value = Self.foundation(Array(line)) else { return .broken("is no JSON to Foundation") }
        guard case .record(let record) = any.meaning(line: line, earlierEdges: { _ in [] }), let payload = record.payloads().last
        else { return .accepted }
        let again = JournalLine.encode(generation: any.generation, sequence: any.sequence, payload: payload)
        let reread = again.dropLast().withUnsafeBytes { line in
            JournalLine.isIntact(line) ? JournalEntry(parsing: line)?.meaning(line: line, earlierEdges: { _ in [] }) : nil
        }
        guard case .record(record) = reread else { return .broken("is written otherwise than read") }
        return .accepted
    }
}
