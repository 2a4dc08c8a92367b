import OCI
import Testing

struct DigestVerifierTests {
    @Test(
        "hashes are those of sha256sum and sha512sum",
        arguments: [
            ("", "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
            ("abc", "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
            ("hello\n", "sha256:5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03"),
            (
                "",
                "sha512:cf83e1357eefb8bdf1542850d66d8007d620e4050b5715dc83f4a921d36ce9ce"
                    + "47d0d13c5d85f2b0ff8318d2877eec2f63b931bd47417a81a538327af927da3e"
            ),
            (
                "abc",
                "sha512:ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a"
                    + "2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f"
            ),
        ])
    func known(_ text: String, _ expected: String) throws {
        let algorithm: Digest.Algorithm = expected.hasPrefix("sha256") ? .sha256 : .sha512
        var verifier = DigestVerifier(algorithm)
        Self.feed(text, to: &verifier)
        #expect(verifier.digest().description == expected)
        #expect(verifier.byteCount == Int64(text.utf8.count))
        #expect(Array(text.utf8).withUnsafeBytes { Digest(algorithm, of: $0) }.description == expected)
    }

    @Test("a million bytes in uneven pieces", arguments: [1, 63, 64, 65, 4096, 1_000_000])
    func pieces(_ size: Int) {
        // FIPS 180-2, B.3: one million times "a".
        let piece = [UInt8](repeating: UInt8(ascii: "a"), count: size)
        var verifier = DigestVerifier(.sha256)
        var rest = 1_000_000
        while rest > 0 {
            let count = min(rest, size)
            piece[..<count].withUnsafeBytes { verifier.update($0) }
            rest -= count
        }
        #expect(
            verifier.digest().description == "sha256:cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0")
        #expect(verifier.byteCount == 1_000_000)
    }

    @Test("asking for the digest does not end the hashing")
    func digestInBetween() {
        var verifier = DigestVerifier(.sha256)
        #expect(verifier.digest().hex == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855")
        Self.feed("abc", to: &verifier)
        #expect(verifier.digest().hex == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad")
        #expect(verifier.digest().hex == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad")
        Self.feed("defgh", to: &verifier)
        #expect(verifier.digest().hex == "9c56cc51b374c3ba189210d5b6d4bf57790d351c96c47c02190ecf1e430635ab")
    }

    @Test("a copy goes on by itself")
    func copies() {
        var original = DigestVerifier(.sha256)
        Self.feed("abc", to: &original)
        var copy = original.copy()
        Self.feed("defgh", to: &copy)
        #expect(copy.byteCount == 8)
        #expect(copy.digest().hex == "9c56cc51b374c3ba189210d5b6d4bf57790d351c96c47c02190ecf1e430635ab")
        #expect(original.byteCount == 3)
        #expect(original.digest().hex == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad")
    }

    @Test("a copy outlives what it was made from")
    func copyOutlives() {
        func make() -> DigestVerifier {
            var original = DigestVerifier(.sha256)
            Self.feed("abc", to: &original)
            return original.copy()
        }
        var copy = make()
        Self.feed("defgh", to: &copy)
        #expect(copy.digest().hex == "9c56cc51b374c3ba189210d5b6d4bf57790d351c96c47c02190ecf1e430635ab")
    }

    private static func feed(_ text: String, to verifier: inout DigestVerifier) {
        Array(text.utf8).withUnsafeBytes { verifier.update($0) }
    }
}
