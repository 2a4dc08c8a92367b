import Foundation
import TestSupport
import Testing

struct FixtureTests {
    @Test("hashes are those of sha256sum and sha512sum")
    func hashes() {
        #expect(sha256Hex([]) == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855")
        #expect(sha256Hex(Array("abc".utf8)) == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad")
        #expect(
            sha512Hex(Array("abc".utf8))
                == "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a"
                + "2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f")
    }

    @Test("pseudo-random bytes depend on the seed alone, and longer runs start like shorter ones")
    func deterministic() {
        let bytes = Fixtures.pseudoRandomBytes(count: 1003, seed: 7)
        #expect(bytes.count == 1003)
        #expect(bytes == Fixtures.pseudoRandomBytes(count: 1003, seed: 7))
        #expect(bytes != Fixtures.pseudoRandomBytes(count: 1003, seed: 8))
        #expect(bytes == Array(Fixtures.pseudoRandomBytes(count: 2000, seed: 7).prefix(1003)))
    }

    @Test("documents are JSON", arguments: ManifestFlavour.allCases)
    func documents(_ flavour: ManifestFlavour) throws {
        let upstream = try ScriptedUpstream()
        let image = upstream.addImage(repository: "org/app", layerSizes: [10, 20], flavour: flavour)
        let index = upstream.addIndex(repository: "org/app", tag: "multi", images: [(image, "linux/arm64")])
        for bytes in [image.manifest.bytes, image.config.bytes, index.bytes] {
            #expect(throws: Never.self) { try JSONSerialization.jsonObject(with: Data(bytes)) }
        }
        #expect(image.layers.map(\.bytes.count) == [10, 20])
    }

    @Test("a temporary directory goes with its owner")
    func temporaryDirectory() throws {
        var directory: TemporaryDirectory? = try TemporaryDirectory()
        let path = try #require(directory?.path)
        try Data([1]).write(to: URL(fileURLWithPath: path + "/file"))
        #expect(FileManager.default.fileExists(atPath: path))
        directory = nil
        #expect(!FileManager.default.fileExists(atPath: path))
    }
}
