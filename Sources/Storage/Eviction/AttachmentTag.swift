import OCI

extension Tag {
    /// What a tag such as `sha256-HEX` or `sha256-HEX.sig` attaches things to, by which older tools do so; nil for an ordinary tag.
    package var attachmentSubject: Digest? { ImageGraph.subject(of: self) }
}
