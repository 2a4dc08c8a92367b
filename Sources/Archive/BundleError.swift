import OCI

/// Why a bundle, or an image of it, was not taken.
package struct BundleError: Error, Hashable, Sendable, CustomStringConvertible {
    package enum Code: Sendable {
        /// Something about it is odd: nothing of the whole bundle is believed.
        case refused
        /// Content is not what its name says.
        case damaged
        /// It cannot be opened or read.
        case unreadable
        /// What an image is to be called is not known.
        case unnamed
        /// There is no room for it.
        case full
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
        let text = String(decoding: Array(name.prefix(160)), as: UTF8.self)
        return JSONText.quoted(text)
    }
}
