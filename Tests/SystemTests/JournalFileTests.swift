import Foundation
import Testing

extension SystemTests {
    /// The journal as other programs see it: every line is JSON, and its checksum is zlib's.
    @Suite("Journal file")
    struct JournalFileTests {
        @Test("jq reads it, and python's zlib finds every checksum right")
        func others() async throws {
            try await Lab.run { lab in
                let upstream = try await lab.registry()
                let image = try await lab.images.index(printing: "hello", as: .oci)
                try await upstream.push(image, as: "library/nginx", tag: "alpine")
                let amargo = try await lab.amargo(upstream: upstream.url)
                let manifest = "\(amargo.url)/v2/library/nginx/manifests/alpine"
                #expect(try await Curl.get(manifest, headers: ["Accept": Curl.manifestTypes]).status == 200)
                for blob in image.blobs {
                    #expect(try await Curl.get("\(amargo.url)/v2/library/nginx/blobs/\(blob.digest)").status == 200)
                }
                #expect(await amargo.terminate() == .code(0))

                let journal = amargo.settings.store.appendingPathComponent("journal.jsonl").path
                let filter = #"if input_line_number == 1 then .amargo else "\(.q) \(.op) \(.d | type)" end"#
                let lines = try await Command(.jq, ["-r", filter, journal]).run().text.split(separator: "\n")
                #expect(lines.first == "journal")
                // Numbered from 1, and each about a digest.
                let words = lines.dropFirst().map { $0.split(separator: " ") }
                #expect(words.map { $0[0] } == (1..<max(1, lines.count)).map { "\($0)" })
                #expect(words.allSatisfy { $0.last == "string" })
                #expect(Set(words.map { $0[1] }).isSuperset(of: ["blob", "manifest", "tag"]))

                let script = """
                    import sys, zlib
                    lines = open(sys.argv[1], "rb").read().split(b"\\n")
                    assert lines.pop() == b""
                    for line in lines:
                        assert line[-16:] == b',"c":"%08x"}' % zlib.crc32(line[:-16]), line
                        assert all(0x20 <= byte < 0x7F for byte in line), line
                    print(len(lines))
                    """
                #expect(try await Command(.python, ["-c", script, journal]).run().text == "\(lines.count)")
            }
        }
    }
}
