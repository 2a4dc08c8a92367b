import OCI

/// What a verification is to look at, and whether it mends what it finds.
package struct VerificationOptions: Hashable, Sendable {
    package enum Depth: Hashable, Sendable {
        /// Every byte is hashed.
        case full
        /// Names and sizes alone.
        case quick
        /// This share of the bytes is hashed, blobs chosen at random; above 0, at most 1.
        case sample(Double)
    }

    package enum Purpose: String, Hashable, Sendable {
        case report
        case repair
    }

    package var depth = Depth.full
    package var purpose = Purpose.report
    /// Which sample it is.
    package var seed: UInt64 = 0
    /// Threads that hash; 0 is one a core.
    package var threads = 0
    /// How long a layout may lag behind the catalog while the store is in use. Beyond that it is looked at again.
    package var settling = Duration.milliseconds(1500)

    package init() {}

    /// The share that `5%` or `0.05` means; nil for what is none.
    package static func share(_ text: String) -> Double? {
        let isPercent = text.hasSuffix("%")
        let number = isPercent ? text.dropLast() : text[...]
        // `Double` would take signs, exponents and hexadecimal digits.
        guard !number.isEmpty, number.utf8.allSatisfy({ (0x30...0x39).contains($0) || $0 == UInt8(ascii: ".") }),
            let value = Double(number)
        else { return nil }
        let share = isPercent ? value / 100 : value
        return share > 0 && share <= 1 ? share : nil
    }
}

/// The options as one line of JSON, for a process that asks another to verify.
extension VerificationOptions {
    package var json: String {
        let depth =
            switch self.depth {
            case .full: "\"full\""
            case .quick: "\"quick\""
            case .sample(let share): "\"sample\",\"share\":\"\(Self.decimal(share))\""
            }
        return "{\"depth\":\(depth),\"purpose\":\"\(self.purpose.rawValue)\",\"seed\":\"\(self.seed)\"}"
    }

    /// A share above 0 and up to 1 without an exponent, which `share` does not read.
    private static func decimal(_ share: Double) -> String {
        guard share < 1 else { return "1" }
        let digits = String(max(1, Int64((share * 1e12).rounded())))
        return "0." + String(repeating: "0", count: max(0, 12 - digits.count)) + digits
    }

    package init(json: [UInt8]) throws {
        self.init()
        var depth = "full"
        var share = 0.0
        try json.withUnsafeBytes { bytes in
            try JSONReader.read(bytes) { reader in
                try reader.object { reader, key in
                    switch key {
                    case "depth": depth = try reader.string()
                    case "share": share = Self.share(try reader.string()) ?? 0
                    case "purpose": self.purpose = try Purpose(rawValue: reader.string()).orMalformed("purpose")
                    case "seed": self.seed = try UInt64(reader.string()).orMalformed("seed")
                    default: try reader.skipValue()
                    }
                }
            }
        }
        switch depth {
        case "full": self.depth = .full
        case "quick": self.depth = .quick
        case "sample" where share > 0: self.depth = .sample(share)
        default: throw MalformedLine(what: "depth")
        }
    }
}

/// A line of JSON that does not say what it should.
package struct MalformedLine: Error, CustomStringConvertible {
    let what: String

    package var description: String { "the line has no valid \"\(self.what)\"" }
}

extension Optional {
    func orMalformed(_ what: String) throws -> Wrapped {
        guard let self else { throw MalformedLine(what: what) }
        return self
    }
}
