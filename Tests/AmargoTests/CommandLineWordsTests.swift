import Testing

@testable import amargo

/// The words are as bash 5.2 and zsh 5.9 hand them over, written down from a terminal.
struct CommandLineWordsTests {
    @Test("bash's pieces are put together, and only the last one is replaced")
    func pieces() {
        let line = CommandLineWords(["amargo", "rm", "nginx", ":", "al"], completing: 4, prefix: "al", cutsWords: true)
        #expect(line.typed == "nginx:al")
        #expect(line.completion("nginx:alpine") == "alpine")
        #expect(line.completion("redis:alpine") == nil)
    }

    @Test("at a colon everything behind it is to come")
    func colon() {
        let line = CommandLineWords(["amargo", "rm", "nginx", ":"], completing: 3, prefix: ":", cutsWords: true)
        #expect(line.typed == "nginx:")
        #expect(line.completion("nginx:alpine") == "alpine")
    }

    @Test("a registry with a port and a digest have several breaks")
    func severalBreaks() {
        let port = CommandLineWords(
            ["amargo", "rm", "lab", ":", "5000/app", ":", "1"], completing: 6, prefix: "1", cutsWords: true)
        #expect(port.completion("lab:5000/app:1.2") == "1.2")
        let digest = CommandLineWords(
            ["amargo", "rm", "app", "@", "sha256", ":", "ab"], completing: 6, prefix: "ab", cutsWords: true)
        #expect(digest.completion("app@sha256:abcd") == "abcd")
    }

    @Test("the command and the word before a blank stay out of it")
    func neighbours() {
        let line = CommandLineWords(["amargo", "rm", "redis", "ng"], completing: 3, prefix: "ng", cutsWords: true)
        #expect(line.typed == "ng")
        let empty = CommandLineWords(["amargo", "rm", ""], completing: 2, prefix: "", cutsWords: true)
        #expect(empty.completion("nginx:1") == "nginx:1")
    }

    @Test("other shells hand over whole words, which are replaced as a whole")
    func wholeWords() {
        let line = CommandLineWords(["amargo", "rm", "nginx:al"], completing: 2, prefix: "nginx:al", cutsWords: false)
        #expect(line.completion("nginx:alpine") == "nginx:alpine")
    }

    @Test("quotes and backslashes are the shell's")
    func quotes() {
        let line = CommandLineWords(["amargo", "rm", "nginx\\:al"], completing: 2, prefix: "nginx\\:al", cutsWords: false)
        #expect(line.typed == "nginx:al")
    }

    @Test(
        "an option's value is found in every spelling",
        arguments: [["--store", "/a b"], ["--store", "=", "/a b"], ["--store=/a b"], ["--store", "'/a b'"]])
    func values(_ words: [String]) {
        let line = CommandLineWords(["amargo", "rm"] + words + [""], completing: 2 + words.count, prefix: "", cutsWords: true)
        #expect(line.value(of: "--store") == "/a b")
        #expect(line.value(of: "--config") == nil)
    }
}
