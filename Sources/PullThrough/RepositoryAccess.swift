import OCI

/// Which of a registry's repositories may be had here.
package struct RepositoryAccess: Sendable, Hashable {
    /// A repository's name with `*` for anything within one component and `**` for any number of components: `library/*`, `org/**`.
    package struct Pattern: Sendable, Hashable, CustomStringConvertible {
        package let description: String

        /// Nil for what could match no name.
        package init?(_ text: String) {
            let components = text.split(separator: "/", omittingEmptySubsequences: false)
            let isWellFormed = components.allSatisfy { component in
                if component == "**" { return true }
                return !component.isEmpty && !component.contains("**")
                    && component.utf8.allSatisfy { byte in
                        switch byte {
                        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "."),
                            UInt8(ascii: "_"), UInt8(ascii: "-"), UInt8(ascii: "*"):
                            true
                        default: false
                        }
                    }
            }
            guard isWellFormed else { return nil }
            self.description = text
        }

        package func matches(_ name: RepositoryName) -> Bool {
            Self.matches(
                self.description.split(separator: "/"), name.components, isStar: { $0 == "**" },
                fits: { pattern, component in
                    Self.matches(Array(pattern.utf8), Array(component.utf8), isStar: { $0 == UInt8(ascii: "*") }, fits: ==)
                })
        }

        /// Matches with stars that stand for any number of elements. Only the last star is ever tried again, which is enough, so that it
        /// takes at most the product of the two lengths.
        private static func matches<Element>(
            _ pattern: [Element], _ text: [Element], isStar: (Element) -> Bool, fits: (Element, Element) -> Bool
        ) -> Bool {
            var (p, t) = (0, 0)
            var retry: (pattern: Int, text: Int)?
            while t < text.count {
                if p < pattern.count, isStar(pattern[p]) {
                    p += 1
                    retry = (p, t)
                } else if p < pattern.count, fits(pattern[p], text[t]) {
                    p += 1
                    t += 1
                } else if let last = retry {
                    t = last.text + 1
                    retry = (last.pattern, t)
                    p = last.pattern
                } else {
                    return false
                }
            }
            return pattern[p...].allSatisfy(isStar)
        }
    }

    /// Empty: all of them.
    package var allowed: [Pattern]
    /// Stronger than `allowed`.
    package var denied: [Pattern]

    package init(allowed: [Pattern] = [], denied: [Pattern] = []) {
        self.allowed = allowed
        self.denied = denied
    }

    /// Whether there are no rules, as nearly everywhere.
    var isOpen: Bool { self.allowed.isEmpty && self.denied.isEmpty }

    /// Why a repository is not to be had; nil when it is.
    ///
    /// - Parameter alias: another name of the same one: Docker Hub's `nginx` is `library/nginx`.
    func refusal(of name: RepositoryName, alias: RepositoryName? = nil) -> String? {
        func matches(_ pattern: Pattern) -> Bool { pattern.matches(name) || alias.map { pattern.matches($0) } ?? false }
        if let pattern = self.denied.first(where: matches) { return "\(name) is denied here by the rule \(pattern)" }
        guard !self.allowed.isEmpty, !self.allowed.contains(where: matches) else { return nil }
        return "\(name) is not among the repositories that are allowed here"
    }
}
