import Foundation

/// SHA-256 or SHA-512 of bytes that come in pieces, by libcrypto.
///
/// The library is opened at run time, so that this target needs no module map and no linker setting. Not `Sendable`:
/// it stays on the thread that made it.
package final class ContentHasher {
    package enum Algorithm: String, Sendable, CaseIterable { case sha256, sha512 }

    private let context: OpaquePointer?

    package init(_ algorithm: Algorithm = .sha256) {
        let crypto = LibCrypto.shared
        self.context = crypto.newContext()
        let started = crypto.start(self.context, algorithm == .sha256 ? crypto.sha256() : crypto.sha512(), nil)
        precondition(started == 1, "libcrypto refuses \(algorithm)")
    }

    package func update(_ bytes: UnsafeRawBufferPointer) {
        _ = LibCrypto.shared.update(self.context, bytes.baseAddress, bytes.count)
    }

    /// The lowercase hex of everything seen; the hasher is used up.
    package func finalizeHex() -> String {
        var output = [UInt8](repeating: 0, count: 64)
        var count: UInt32 = 0
        _ = LibCrypto.shared.finish(self.context, &output, &count)
        let digits = Array("0123456789abcdef".utf8)
        var hex: [UInt8] = []
        for byte in output.prefix(Int(count)) {
            hex.append(digits[Int(byte >> 4)])
            hex.append(digits[Int(byte & 15)])
        }
        return String(decoding: hex, as: UTF8.self)
    }

    deinit { LibCrypto.shared.freeContext(self.context) }
}

package func sha256Hex(_ bytes: [UInt8]) -> String { hex(bytes, .sha256) }

package func sha512Hex(_ bytes: [UInt8]) -> String { hex(bytes, .sha512) }

private func hex(_ bytes: [UInt8], _ algorithm: ContentHasher.Algorithm) -> String {
    let hasher = ContentHasher(algorithm)
    bytes.withUnsafeBytes { hasher.update($0) }
    return hasher.finalizeHex()
}

/// The few functions of libcrypto we call.
private struct LibCrypto: Sendable {
    typealias Context = OpaquePointer
    typealias Method = OpaquePointer

    static let shared = LibCrypto()

    let newContext: @Sendable @convention(c) () -> Context?
    let freeContext: @Sendable @convention(c) (Context?) -> Void
    let sha256: @Sendable @convention(c) () -> Method?
    let sha512: @Sendable @convention(c) () -> Method?
    let start: @Sendable @convention(c) (Context?, Method?, OpaquePointer?) -> Int32
    let update: @Sendable @convention(c) (Context?, UnsafeRawPointer?, Int) -> Int32
    let finish: @Sendable @convention(c) (Context?, UnsafeMutablePointer<UInt8>?, UnsafeMutablePointer<UInt32>?) -> Int32

    private init() {
        let names = ["libcrypto.so.3", "libcrypto.so.4", "libcrypto.so"]
        let handle = names.lazy.compactMap { dlopen($0, RTLD_NOW) }.first
        func symbol<Function>(_ name: String, as type: Function.Type) -> Function {
            guard let address = dlsym(handle, name) else {
                preconditionFailure("the tests need libcrypto (\(names.joined(separator: ", "))) with \(name)")
            }
            return unsafeBitCast(address, to: Function.self)
        }
        self.newContext = symbol("EVP_MD_CTX_new", as: (@Sendable @convention(c) () -> Context?).self)
        self.freeContext = symbol("EVP_MD_CTX_free", as: (@Sendable @convention(c) (Context?) -> Void).self)
        self.sha256 = symbol("EVP_sha256", as: (@Sendable @convention(c) () -> Method?).self)
        self.sha512 = symbol("EVP_sha512", as: (@Sendable @convention(c) () -> Method?).self)
        self.start = symbol(
            "EVP_DigestInit_ex", as: (@Sendable @convention(c) (Context?, Method?, OpaquePointer?) -> Int32).self)
        self.update = symbol(
            "EVP_DigestUpdate", as: (@Sendable @convention(c) (Context?, UnsafeRawPointer?, Int) -> Int32).self)
        self.finish = symbol(
            "EVP_DigestFinal_ex",
            as: (@Sendable @convention(c) (
                Context?, UnsafeMutablePointer<UInt8>?, UnsafeMutablePointer<UInt32>?
            ) -> Int32).self)
    }
}
