import ArgumentParser
import Foundation
import TestSupport
import Testing

@testable import amargo

@Suite("Image names")
struct ImageNamesTests {
    @Test("names come first, then those of the lists, whatever kind they are of")
    func lists() throws {
        let folder = try TemporaryDirectory()

        let plain = folder.path("images.txt")
        try "# what we need\nnginx:1.27 # web\n\nredis\r\n#none\n".write(toFile: plain, atomically: true, encoding: .utf8)
        let compose = folder.path("compose.yaml")
        try "services:\n  db:\n    image: postgres:17\n".write(toFile: compose, atomically: true, encoding: .utf8)
        #expect(
            try ImageNames.expand(["busybox"], lists: [plain, compose]) == [
                "busybox", "nginx:1.27", "redis", "postgres:17",
            ])
    }

    @Test("a list that is missing, names nothing or has something else in it is said", arguments: [nil, "#\n", "nginx\nUPPER\n"])
    func refused(_ text: String?) throws {
        let folder = try TemporaryDirectory()

        let file = folder.path("images.txt")
        try text?.write(toFile: file, atomically: true, encoding: .utf8)
        #expect(throws: ValidationError.self) { try ImageNames.expand([], lists: [file]) }
    }
}
