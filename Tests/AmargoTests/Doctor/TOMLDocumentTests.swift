import Testing

@testable import amargo

/// The part of TOML that engines' configurations are made of. Source: TOML 1.0.
struct TOMLDocumentTests {
    @Test("tables, quoted keys, strings, lists, words and comments")
    func reads() {
        let document = TOMLDocument(
            """
            version = 2  # the old one
            root = '/var/lib/containerd'
            imports = [ "a.toml",
              # one more
              "b.toml", ]
            [plugins."io.containerd.grpc.v1.cri".registry]
              config_path = "/etc/containerd/certs.d"
            [ plugins . "x.y" ]
            on = true
            dotted.key = "v"
            """)
        #expect(document.unread.isEmpty)
        #expect(document.root.values["version"] == .word("2"))
        #expect(document.root.text("root") == "/var/lib/containerd")
        #expect(document.root.list("imports") == ["a.toml", "b.toml"])
        #expect(
            document.table("plugins", "io.containerd.grpc.v1.cri", "registry")?.text("config_path") == "/etc/containerd/certs.d")
        #expect(document.table("plugins", "x.y")?.isTrue("on") == true)
        #expect(document.table("plugins", "x.y")?.text("dotted.key") == "v")
        #expect(document.table("plugins", "x.y")?.lines["on"] == 9)
    }

    @Test("arrays of tables count, and what is within them belongs to the last")
    func arrays() {
        let document = TOMLDocument(
            """
            [[registry]]
            prefix = "docker.io"
            [[registry.mirror]]
            location = "one"
            [[registry]]
            location = "ghcr.io"
            [[registry.mirror]]
            location = "two"
            """)
        #expect(
            document.tables.map(\.path) == [[], ["registry"], ["registry", "mirror"], ["registry"], ["registry", "mirror"]])
        #expect(document.tables.map(\.number) == [nil, 1, 1, 2, 2])
    }

    @Test("strings over several lines, and escapes")
    func strings() {
        let document = TOMLDocument("a = \"\"\"\none\ntwo\"\"\"\nb = \"q\\\"\\\\x\\ty\"\nc = '''raw\\n'''\n")
        #expect(document.root.text("a") == "one\ntwo")
        #expect(document.root.text("b") == "q\"\\x\ty")
        #expect(document.root.text("c") == "raw\\n")
    }

    @Test("what it cannot read it says, and goes on behind it")
    func unread() {
        let document = TOMLDocument("a = { b = 1 }\nc = \"never ends\n[broken\nd = \"e\"\n= 3\n\u{FEFF}")
        #expect(document.unread == [1, 2, 3, 5, 6])
        #expect(document.root.text("d") == "e")
    }

    @Test(
        "no text makes it fail or hang",
        arguments: ["", "[", "[[", "[a", "a", "a=", "a=[", "a=[1", "a=\"", "a='''", "\"", "a.b.", "[[a]", "a=\"\\"])
    func hostile(_ text: String) {
        #expect(TOMLDocument(text).tables.count >= 1)
    }
}
