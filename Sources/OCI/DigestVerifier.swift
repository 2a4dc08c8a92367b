import COpenSSL

/// Hashes content as it passes, in libcrypto.
///
/// Not a value that can be copied by accident: the state is a C object, freed exactly once. `copy()` makes an
/// independent continuation on purpose, for a follower that goes on alone from the bytes hashed so far.
package struct DigestVerifier: ~Copyable, Sendable {
    // Sendable because the pointer has exactly one owner at any time: `~Copyable` and never handed out.
    private nonisolated(unsafe) let context: OpaquePointer
    package let algorithm: Digest.Algorithm
    /// Bytes hashed so far.
    package private(set) var byteCount: Int64 = 0

    package init(_ algorithm: Digest.Algorithm) {
        guard let context = EVP_MD_CTX_new() else { preconditionFailure("libcrypto is out of memory") }
        self.context = context
        self.algorithm = algorithm
        let type = algorithm == .sha256 ? EVP_sha256() : EVP_sha512()
        precondition(EVP_DigestInit_ex(context, type, nil) == 1, "libcrypto has no \(algorithm.rawValue)")
    }

    private init(context: OpaquePointer, algorithm: Digest.Algorithm, byteCount: Int64) {
        self.context = context
        self.algorithm = algorithm
        self.byteCount = byteCount
    }

    deinit {
        EVP_MD_CTX_free(self.context)
    }

    package mutating func update(_ bytes: UnsafeRawBufferPointer) {
        guard let base = bytes.baseAddress, bytes.count > 0 else { return }
        precondition(EVP_DigestUpdate(self.context, base, bytes.count) == 1, "EVP_DigestUpdate failed")
        self.byteCount += Int64(bytes.count)
    }

    /// The digest of the bytes so far; hashing may go on afterwards.
    package func digest() -> Digest {
        let snapshot = self.copy()
        return snapshot.finish()
    }

    package func copy() -> DigestVerifier {
        guard let context = EVP_MD_CTX_new() else { preconditionFailure("libcrypto is out of memory") }
        precondition(EVP_MD_CTX_copy_ex(context, self.context) == 1, "EVP_MD_CTX_copy_ex failed")
        return DigestVerifier(context: context, algorithm: self.algorithm, byteCount: self.byteCount)
    }

    private consuming func finish() -> Digest {
        var hash = [UInt8](repeating: 0, count: self.algorithm.byteCount)
        precondition(EVP_DigestFinal_ex(self.context, &hash, nil) == 1, "EVP_DigestFinal_ex failed")
        guard let digest = Digest(self.algorithm, hash: hash) else { preconditionFailure("hash of the wrong length") }
        return digest
    }
}

extension Digest {
    /// The digest of bytes that are in memory anyway, such as a manifest.
    package init(_ algorithm: Algorithm, of bytes: UnsafeRawBufferPointer) {
        var verifier = DigestVerifier(algorithm)
        verifier.update(bytes)
        self = verifier.digest()
    }
}
