import OCI
import TestSupport
import Testing

@testable import Archive
@testable import Storage

struct ReceiptTests {
    private static let a = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
    private static let b = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    private static let text = """
        {"amargo":"receipt","format":1,"store":"1f3a9c21","at":1795510142,"blobs":[
        "sha256:\(a)",
        "sha256:\(b)"]}

        """

    private static func read(_ text: String) throws -> Receipt {
        let folder = try TemporaryDirectory()
        try Disk.write(Array(text.utf8), to: folder.path("receipt"))
        return try Receipt(reading: folder.path("receipt"))
    }

    @Test("a receipt is read, and its fingerprint is that of its bytes")
    func reading() throws {
        let receipt = try Self.read(Self.text)
        #expect(receipt.store == "1f3a9c21" && receipt.at == 1_795_510_142)
        #expect(receipt.fingerprint == sha256Hex(Array(Self.text.utf8)))
        #expect(receipt.blobs.map(\.description) == ["sha256:\(Self.a)", "sha256:\(Self.b)"])
        for digest in receipt.blobs { #expect(receipt.contains(digest)) }
        let other = try Digest(parsing: "sha256:" + String(repeating: "a0", count: 32))
        #expect(!receipt.contains(other))
        #expect(try Self.read("{\"amargo\":\"receipt\",\"format\":1,\"store\":\"x\",\"at\":0,\"blobs\":[\n]}\n").blobs.isEmpty)
    }

    @Test(
        "what is no receipt is refused with a reason",
        arguments: [
            ("\"format\":1", "\"format\":2", "format 2"), ("\"amargo\":\"receipt\"", "\"amargo\":\"store\"", "something else"),
            ("9f86", "9F86", "line 2 is no digest"), ("9f86d0", "ff86d0", "line 3 is not in order"),
            ("\"]}\n", "\"]}", "end is missing"), ("\"]}\n", "\"]}\n\n", "follows its end"),
            ("\"]}\n", "\",\n", "end is missing"),
            ("\"at\":", "\"at\":1,\"at\":", "twice"), (",\"blobs\":[\n", ",\"blobs\":\n[", "first line"),
        ])
    func refusals(_ old: String, _ new: String, _ reason: String) throws {
        let text = Self.text.replacing(old, with: new)
        try #require(text != Self.text)
        let error = #expect(throws: BundleError.self) { try Self.read(text) }
        #expect(error?.code == .malformed)
        #expect(error?.message.contains(reason) == true, "\(error?.message ?? "nothing")")
        #expect(throws: BundleError.self) { try Receipt(reading: "/nonexistent/receipt") }
    }

    @Test("a store's receipt lists what is there: not what is gone from the disk, nor what has another size")
    func writing() async throws {
        try await ExportLab.run { lab in
            let image = try ExportLab.image(1, layers: [100, 200, 300])
            try await lab.put(image)
            try await lab.store.journal.append([])
            try Disk.remove(lab.path(image.layers[0]))
            try Disk.setMode(0o644, of: lab.path(image.layers[1]))
            try Disk.setSize(7, of: lab.path(image.layers[1]))
            let count = try await onThread {
                try Receipt.write(
                    of: try StoreReader(folder: lab.folder.path("store")), to: .file(lab.out("receipt")), at: 1_795_510_142)
            }
            #expect(count == 3)
            let receipt = try Receipt(reading: lab.out("receipt"))
            #expect(receipt.blobs == [image.manifest, image.config, image.layers[2]].map(\.digest).sorted())
            #expect(receipt.at == 1_795_510_142)
            // jq reads it as well.
            let (status, output) = try ShellCommand.run(["jq", "-r", ".store, (.blobs | length)", lab.out("receipt")])
            #expect(status == 0)
            #expect(String(decoding: output, as: UTF8.self) == "\(receipt.store)\n3\n")
            #expect(try Disk.names(in: lab.out("")) == ["receipt"])
        }
    }
}
