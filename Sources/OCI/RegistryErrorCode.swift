/// The error codes of the distribution spec, "Error Codes", and `UNAVAILABLE`, which distribution 3.1 added for 503.
package enum RegistryErrorCode: String, Sendable {
    case blobUnknown = "BLOB_UNKNOWN"
    case denied = "DENIED"
    case digestInvalid = "DIGEST_INVALID"
    case manifestInvalid = "MANIFEST_INVALID"
    case manifestUnknown = "MANIFEST_UNKNOWN"
    case nameInvalid = "NAME_INVALID"
    case nameUnknown = "NAME_UNKNOWN"
    /// Of distribution: an `n` that is no number.
    case paginationNumberInvalid = "PAGINATION_NUMBER_INVALID"
    case tagInvalid = "TAG_INVALID"
    case tooManyRequests = "TOOMANYREQUESTS"
    case unauthorized = "UNAUTHORIZED"
    case unavailable = "UNAVAILABLE"
    case unsupported = "UNSUPPORTED"
    case unknown = "UNKNOWN"
}
