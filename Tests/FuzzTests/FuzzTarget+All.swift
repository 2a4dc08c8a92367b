extension FuzzTarget {
    /// Every parser of what comes from outside.
    static let all: [FuzzTarget] = [
        .repository, .tag, .digest, .namespace, .reference, .mediaType, .address, .challenge, .range, .contentRange, .accept,
        .link,
        .route, .plainRequest, .json, .manifest, .token, .journal,
    ]

    /// Traps at every number that ends in 777: proves that a trap is found and named. Never in a run that does not ask for it.
    static let trapping = FuzzTarget("self-test", corpus: ["x"], words: ["y"]) { _, number in
        precondition(number % 1000 != 777, "as it should")
        return number.isMultiple(of: 2) ? .accepted : .refused
    }

    // MARK: - Pieces of grammars that several parsers have in common

    static let abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    static let longABC =
        "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a"
        + "2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f"

    static let nameWords = [
        "/", "//", ".", "..", "_", "__", "___", "-", "--", ":", ":5000", "@", "localhost", "docker.io", "docker.io/", "library",
        "a",
        "A", "0", "%2f", "%", "\\", " ", "\n", "\r\n", "\t", "\u{0}", "é", "e\u{301}", "\u{301}", "\u{17F}", "\u{212A}",
        "\u{FF41}",
        "\u{661}", "\u{202E}", "sha256:", "sha512:", abc, String(repeating: "a", count: 64), String(repeating: "b", count: 128),
        String(repeating: "a/", count: 100),
    ]

    static let jsonWords = [
        "{", "}", "[", "]", ",", ":", "\"", "\\", "\\\"", "\\u0061", "\\u0000", "\\ud83d\\ude00", "\\ud800", "\\udc00", "\\u12",
        "\\/",
        "null", "true", "false", "nul", "NaN", "-", "-0", "01", "1.5e9", "1.", ".5", "1e", " ", "\t", "\n", "\u{0}", "\u{1F}",
        "\u{7F}",
        "\u{FEFF}", "é", "\u{17F}", "//", "/*", "'", "{}", "[]", "\"a\":1", "\"a\":", "[[[[[[[[[[[[[[[[[[[[",
        "{\"a\":{\"a\":{\"a\":",
    ]
}
