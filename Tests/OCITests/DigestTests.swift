import OCI
import Testing

struct DigestTests {
    // printf abc | sha256sum, printf abc | sha512sum
    private static let sha256 = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    private static let sha512 =
        "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a"
        + "2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f"

    @Test("a digest is written as it was read", arguments: ["sha256:" + sha256, "sha512:" + sha512])
    func roundTrip(_ text: String) throws {
        let digest = try Digest(parsing: text)
        #expect(digest.description == text)
        #expect(digest.hex == String(text.dropFirst(7)))
        #expect(digest.algorithm.rawValue == String(text.prefix(6)))
        #expect(try Digest(parsing: text[...]) == digest)
    }

    private static let badDigits: [String] = [
        "sha256:\(sha256.dropLast())",
        "sha256:\(sha256)0",
        "sha256:\(sha256.uppercased())",
        "sha256:B\(sha256.dropFirst())",
        "sha256:\(sha256.dropLast())g",
        "sha256:\(sha256.dropLast())\u{0665}",
        "sha256:\(sha256.dropLast())\u{FF11}",
        "sha256:\(String(repeating: "\u{FF11}", count: 64))",
        "sha256:\(sha256.dropLast())\u{0}",
        "sha256:\(sha256)\u{0}",
        "sha256:\(sha256)\r\n",
        "sha256:\(sha256)\n",
        "sha256:\(sha256.dropLast(2))\r\n",
        "sha256:\(sha256) ",
        "sha256: \(sha256.dropLast())",
        "sha256:../\(sha256.dropLast(3))",
        "sha256:../../../etc/passwd",
        "sha256:%2e%2e%2f\(sha256.dropLast(9))",
        "sha256:\(sha256.dropLast(3))%2e",
        "sha256:+\(sha256.dropLast())",
        "sha256:0x\(sha256.dropLast(2))",
        "sha256::\(sha256.dropLast())",
        "sha256:sha256:\(sha256)",
        "sha256:\(sha512)",
        "sha256:",
        "sha512:\(sha256)",
        "sha512:\(sha512.dropLast())",
        "sha512:\(sha512)f",
        "sha512:\(sha512.uppercased())",
    ]

    @Test("what is not an algorithm's exact number of lower-case hex digits is no digest", arguments: badDigits)
    func refusesDigits(_ text: String) {
        #expect(Self.code(of: text) == .invalidDigest)
    }

    private static let badAlgorithms: [String] = [
        "", ":", "sha256", "sha256\(sha256)", sha256, "md5:00000000000000000000000000000000", "SHA256:\(sha256)",
        "Sha256:\(sha256)", "sha-256:\(sha256)", "sha384:\(sha256)", "sha1:da39a3ee5e6b4b0d3255bfef95601890afd80709",
        " sha256:\(sha256)", "\u{0}sha256:\(sha256)", "\nsha256:\(sha256)", "../sha256:\(sha256)", "sha256+b64:\(sha256)",
        "blake3:\(sha256)", "sha25\u{FF16}:\(sha256)", "sha256%3a\(sha256)", "latest",
    ]

    @Test("another algorithm is not accepted unverified", arguments: badAlgorithms)
    func refusesAlgorithm(_ text: String) {
        #expect(Self.code(of: text) == .unsupportedDigest)
    }

    @Test("an error's text has a length that can be logged")
    func errorIsShort() {
        let text = "sha256:" + String(repeating: "x", count: 100_000)
        let error = #expect(throws: ReferenceError.self) { try Digest(parsing: text) }
        #expect((error?.description.count ?? .max) < 400)
    }

    @Test("digests order like their texts")
    func order() throws {
        let texts = [
            "sha256:" + String(repeating: "0", count: 64),
            "sha256:" + String(repeating: "0", count: 63) + "1",
            "sha256:00000000000000000000000000000000" + String(repeating: "f", count: 32),
            "sha256:7fffffffffffffff" + String(repeating: "0", count: 48),
            "sha256:8000000000000000" + String(repeating: "0", count: 48),
            "sha256:" + String(repeating: "f", count: 64),
            "sha512:" + String(repeating: "0", count: 128),
            "sha512:" + String(repeating: "0", count: 127) + "1",
            "sha512:" + String(repeating: "f", count: 128),
        ]
        #expect(try texts.reversed().map { try Digest(parsing: $0) }.sorted().map(\.description) == texts)
    }

    @Test("raw hashes make digests, when they have the algorithm's length")
    func rawHash() throws {
        // The hash of no bytes: printf '' | sha256sum
        let bytes: [UInt8] = [
            0xe3, 0xb0, 0xc4, 0x42, 0x98, 0xfc, 0x1c, 0x14, 0x9a, 0xfb, 0xf4, 0xc8, 0x99, 0x6f, 0xb9, 0x24,
            0x27, 0xae, 0x41, 0xe4, 0x64, 0x9b, 0x93, 0x4c, 0xa4, 0x95, 0x99, 0x1b, 0x78, 0x52, 0xb8, 0x55,
        ]
        let digest = try #require(Digest(.sha256, hash: bytes))
        #expect(digest.description == "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855")
        #expect(Digest(.sha256, hash: bytes.dropLast()) == nil)
        #expect(Digest(.sha256, hash: bytes + [0]) == nil)
        #expect(Digest(.sha512, hash: bytes) == nil)
    }

    @Test("the same digits of two algorithms are two digests")
    func algorithmsDiffer() throws {
        let short = try Digest(parsing: "sha256:" + String(repeating: "a", count: 64))
        let long = try Digest(parsing: "sha512:" + String(repeating: "a", count: 128))
        #expect(short != long)
        #expect(short < long)
    }

    private static func code(of text: String) -> ReferenceError.Code? {
        do {
            _ = try Digest(parsing: text)
            return nil
        } catch {
            return error.code
        }
    }
}
