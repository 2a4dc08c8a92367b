import Testing

@testable import amargo

struct TextTableTests {
    @Test("columns are as wide as their widest cell, and what an image says of itself tells a terminal nothing")
    func visible() {
        var table = TextTable([("IMAGE", .left), ("PLATFORMS", .left), ("SIZE", .right)])
        table.add(["a:1", "linux/\u{1B}[2Jamd64", "1 MB"])
        #expect(
            table.lines == [
                "IMAGE  PLATFORMS             SIZE",
                "a:1    linux/\\u{1b}[2Jamd64  1 MB",
            ])
    }
}
