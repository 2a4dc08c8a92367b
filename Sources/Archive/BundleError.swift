import OCI

/// Why a bundle cannot be read or written; the message is a whole sentence for people.
package struct BundleError: Error, Hashable, Sendable, CustomStringConvertible {
    package enum Code: Sendable {
        /// A document or file of a bundle is not what the format says.
        case malformed
        /// It is an image layout, but not one that Amargo wrote.
        case foreign
        /// What was to be exported is not there, or not complete.
        case incomplete
        /// A stored blob was taken away while it was exported.
        case vanished
        /// Content is not what its name says.
        case damaged
        /// The place to write to cannot be used as it is.
        case unusable
        /// There is no room, or the file system takes no file of that size.
        case full
        case io
        case interrupted
        /// Something about a bundle is odd: nothing of all of it is believed.
        case refused
        /// It cannot be opened or read.
        case unreadable
        /// What an image is to be called is not known.
        case unnamed
    }

    package let code: Code
    package let message: String

    package init(_ code: Code, _ message: String) {
        self.code = code
        self.message = message
    }

    package var description: String { self.message }

    /// A name from an archive, so that it can be shown.
    static func show(_ name: some Sequence<UInt8>) -> String {
        JSONText.quoted(String(decoding: Array(name.prefix(160)), as: UTF8.self))
    }
}
