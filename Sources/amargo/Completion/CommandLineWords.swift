/// The words of a command line as a shell hands them over when somebody presses TAB.
///
/// bash cuts words at its `COMP_WORDBREAKS`, so that `nginx:al` arrives as `nginx`, `:` and `al`, and replaces nothing but the last of
/// them. The other shells hand over whole words.
struct CommandLineWords {
    /// What stands before the cursor of the word that is completed, as it was meant: without quotes and backslashes.
    let typed: String
    /// The end of `typed` that the shell replaces.
    let replaced: String

    private let words: [String]

    init(_ words: [String], completing index: Int, prefix: String, cutsWords: Bool) {
        self.words = words
        guard words.indices.contains(index), cutsWords else {
            self.typed = Self.unquoted(prefix)
            self.replaced = self.typed
            return
        }
        var first = index
        while first > 1, Self.isBreak(words[first]) || Self.isBreak(words[first - 1]) { first -= 1 }
        // The shell sees a break as the end of what is before, not as the beginning of what is completed.
        let last = Self.isBreak(words[index]) ? "" : prefix
        let front = words[first..<index].joined() + (Self.isBreak(words[index]) ? words[index] : "")
        self.typed = Self.unquoted(front + last)
        self.replaced = Self.unquoted(last)
    }

    /// The value of an option that stands somewhere on the line, as `--option value` or `--option=value`.
    func value(of option: String) -> String? {
        for (position, word) in self.words.enumerated() {
            if word.hasPrefix("\(option)=") { return Self.unquoted(String(word.dropFirst(option.count + 1))) }
            guard word == option else { continue }
            let rest = self.words[(position + 1)...].drop { $0 == "=" }
            return rest.first.map(Self.unquoted)
        }
        return nil
    }

    /// What the shell has to be given so that the word becomes `candidate`; nil when that is no way of going on.
    func completion(_ candidate: String) -> String? {
        guard candidate.hasPrefix(self.typed) else { return nil }
        return String(candidate.dropFirst(self.typed.count - self.replaced.count))
    }

    private static func isBreak(_ word: String) -> Bool { !word.isEmpty && word.allSatisfy { ":=@".contains($0) } }

    private static func unquoted(_ word: String) -> String { word.filter { !"\\\"'".contains($0) } }
}
