/// Something in a store that is not as it should be, and what becomes of it.
package struct Finding: Hashable, Sendable {
    package enum Kind: String, Sendable, CaseIterable {
        /// The bytes are not what the name says.
        case damagedBlob = "damaged-blob"
        case unreadableBlob = "unreadable-blob"
        case wrongSize = "wrong-size"
        /// A link, a FIFO or a folder stands in a blob's place.
        case notAFile = "not-a-file"
        case missingBlob = "missing-blob"
        /// It lies in `blobs/` without the journal knowing.
        case unknownBlob = "unknown-blob"
        /// The journal says of a manifest what its bytes do not.
        case wrongFacts = "wrong-facts"
        case missingLink = "missing-link"
        case foreignLink = "foreign-link"
        case leftoverLink = "leftover-link"
        case layoutIndex = "layout-index"
        case layoutVersion = "layout-version"
        case unreadableFolder = "unreadable-folder"
        case missingFolder = "missing-folder"
        /// What Amargo did not put there.
        case stranger
        case leftover
        case unfinishedRemoval = "unfinished-removal"
        case journalMissing = "journal-missing"
        case journalUnreadable = "journal-unreadable"
        case journalGap = "journal-gap"
        case journalTail = "journal-tail"
        case emptyTag = "empty-tag"
        case quarantine
        /// Not one blob has a second link.
        case noLinks = "no-links"

        /// Whether a killed process leaves this, to be mended by the next start without anybody's help.
        var isLeftByCrash: Bool {
            switch self {
            case .unknownBlob, .missingLink, .leftoverLink, .layoutIndex, .layoutVersion, .journalTail, .leftover,
                .unfinishedRemoval:
                true
            default: false
            }
        }

        /// Whether it is worth a line and no more.
        var isInformation: Bool {
            switch self {
            case .emptyTag, .quarantine, .leftover, .unfinishedRemoval, .noLinks: true
            default: false
            }
        }
    }

    package enum Weight: String, Sendable, CaseIterable {
        case finding
        /// Nothing is wrong: it does not change the verdict.
        case note
    }

    package let kind: Kind
    /// A digest, a repository, or a path below the store's folder.
    package let subject: String
    /// What is there, as people say it.
    package let sentence: String
    /// What becomes of it.
    package let remedy: String
    package var weight: Weight

    package init(_ kind: Kind, _ subject: String, _ sentence: String, remedy: String, weight: Weight = .finding) {
        self.kind = kind
        self.subject = subject
        self.sentence = sentence
        self.remedy = remedy
        self.weight = kind.isInformation ? .note : weight
    }
}

/// What was done about a finding.
package enum Resolution: Hashable, Sendable {
    /// Nothing: nobody asked for it.
    case found
    case repaired
    /// It could not be mended; why.
    case left(String)
}
