import OCI
import TestSupport

/// A corpus of archives that nobody should believe.
struct HostileArchive {
    let name: String
    /// What the refusal says, among other things.
    let because: String
    let bytes: () throws -> [UInt8]
}

enum HostileArchives {
    static var all: [HostileArchive] {
        Self.names + Self.kinds + Self.sizes + Self.extensions + Self.ends + Self.compressions + Self.documents + Self.contents
            + Self.dockerArchives + Self.many
    }

    static func archive(_ name: String, _ because: String, _ bytes: @escaping () throws -> [UInt8]) -> HostileArchive {
        HostileArchive(name: name, because: because, bytes: bytes)
    }

    /// A good layout with one more member.
    static func with(_ header: TarText.Header, _ content: [UInt8] = []) -> [UInt8] {
        var tar = TarText()
        for member in LayoutText.simple().members { tar.add(member.name, member.content) }
        tar.add(header, content)
        return tar.bytes + TarText.end
    }

    static func with(_ change: (inout TarText) -> Void) -> [UInt8] {
        var tar = TarText()
        for member in LayoutText.simple().members { tar.add(member.name, member.content) }
        change(&tar)
        return tar.bytes + TarText.end
    }

    static func file(_ name: String, _ change: (inout TarText.Header) -> Void = { _ in }) -> TarText.Header {
        var header = TarText.Header(name: name, size: 1)
        change(&header)
        return header
    }

    static let abc = String(repeating: "ab", count: 32)

    static var names: [HostileArchive] {
        let bad: [(String, String, String)] = [
            ("parent", "../evil", "leads out"), ("parent within", "blobs/../../evil", "leads out"),
            ("parent at the end", "blobs/sha256/..", "leads out"), ("absolute", "/etc/passwd", "absolute path"),
            ("two slashes", "blobs//sha256", "impossible name"), ("dot within", "blobs/./x", "impossible name"),
            ("backslash", "..\\evil", "impossible name"), ("line break", "evil\nname", "impossible name"),
            ("escape", "\u{1B}[2J", "impossible name"), ("other file", "README", "none that an OCI image layout has"),
            ("hidden file", ".index.json", "none that an OCI image layout has"),
            ("upper-case digest", "blobs/sha256/\(Self.abc.uppercased())", "none that an OCI image layout has"),
            ("short digest", "blobs/sha256/\(Self.abc.dropLast())", "none that an OCI image layout has"),
            ("unknown algorithm", "blobs/md5/\(Self.abc.prefix(32))", "none that an OCI image layout has"),
            ("file below a blob", "blobs/sha256/\(Self.abc)/x", "none that an OCI image layout has"),
            ("trailing slash", "index.json/", "impossible name"), ("space", "index.json ", "impossible name"),
            ("full-width", "blobs/sha256/\u{FF11}", "impossible name"), ("empty", "", "impossible name"),
        ]
        return bad.map { title, name, because in
            Self.archive("name: \(title)", because) { Self.with(Self.file(name), [1]) }
        } + [
            Self.archive("name: NUL within", "goes on behind its end") {
                Self.with(Self.file("") { $0.nameField = Array("index.json\0evil".utf8) }, [1])
            },
            Self.archive("name: prefix leads out", "leads out") { Self.with(Self.file("evil") { $0.prefix = ".." }, [1]) },
            Self.archive("name: GNU with a prefix", "incremental") {
                Self.with(
                    Self.file("x") {
                        $0.magic = "ustar  \0"
                        $0.prefix = "blobs"
                    }, [1])
            },
            Self.archive("folder with another name", "none that an OCI image layout has") {
                Self.with(TarText.Header(name: "etc/", size: 0, type: "5"))
            },
            Self.archive("layout below a folder", "tar -C layout") {
                TarText.archive(LayoutText.simple().members.map { ("layout/\($0.name)", $0.content) })
            },
        ]
    }

    static var kinds: [HostileArchive] {
        let kinds: [(Character, String)] = [
            ("3", "a device"), ("4", "a device"), ("6", "a FIFO"), ("7", "a contiguous file"), ("S", "a sparse file"),
            ("g", "a header for all"), ("V", "of an unknown kind"), ("M", "of an unknown kind"), ("D", "of an unknown kind"),
            ("A", "of an unknown kind"), ("\u{7F}", "of an unknown kind"),
        ]
        return kinds.map { type, because in
            Self.archive("kind \(type.asciiValue ?? 0)", because) {
                Self.with(TarText.Header(name: "blobs/sha256/\(Self.abc)", size: 0, type: type))
            }
        } + [
            Self.archive("symbolic link out", "is a link") {
                Self.with(TarText.Header(name: "x", size: 0, type: "2", link: "/etc/passwd"))
            },
            Self.archive("symbolic link up", "is a link") {
                Self.with(TarText.Header(name: "x", size: 0, type: "2", link: "../../etc"))
            },
            Self.archive("symbolic link within", "is a link") {
                Self.with(TarText.Header(name: "x", size: 0, type: "2", link: "index.json"))
            },
            Self.archive("blob as a link", "is a link") {
                Self.with(TarText.Header(name: "blobs/sha256/\(Self.abc)", size: 0, type: "2", link: "index.json"))
            },
            Self.archive("hard link out", "is a link") {
                Self.with(TarText.Header(name: "x", size: 0, type: "1", link: "/etc/shadow"))
            },
            Self.archive("hard link within", "is a link") {
                Self.with(TarText.Header(name: "x", size: 0, type: "1", link: "index.json"))
            },
            Self.archive("blobs as a link", "is a link") {
                Self.with(TarText.Header(name: "blobs", size: 0, type: "2", link: "/tmp"))
            },
            Self.archive("link with content", "link with content") {
                Self.with(TarText.Header(name: "x", size: 1, type: "2", link: "index.json"), [1])
            },
            Self.archive("link to nothing", "link to nothing") {
                Self.with(TarText.Header(name: "x", size: 0, type: "2", link: ""))
            },
            Self.archive("folder with content", "folder with content") {
                Self.with(TarText.Header(name: "blobs/", size: 1, type: "5"), [1])
            },
        ]
    }

    static var sizes: [HostileArchive] {
        func field(_ title: String, _ bytes: [UInt8], _ because: String = "no number that makes sense") -> HostileArchive {
            Self.archive("size: \(title)", because) {
                Self.with(Self.file("blobs/sha256/\(Self.abc)") { $0.sizeField = bytes }, [1])
            }
        }
        return [
            field("negative, binary", [0xFF] + [UInt8](repeating: 0xFF, count: 11)),
            field("2^63, binary", [0x80, 0, 0, 0, 0x80] + [UInt8](repeating: 0, count: 7)),
            field("beyond 64 bits, binary", [0x80, 0, 0, 1] + [UInt8](repeating: 0, count: 8)),
            field("small, binary", [0x80] + [UInt8](repeating: 0, count: 10) + [1]),
            field("huge, binary", [0x80, 0, 0, 0, 0x0F, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF], "cut off"),
            field("negative, digits", Array("-0000000001\0".utf8)), field("not octal", Array("00000000009\0".utf8)),
            field("hexadecimal", Array("0x000000001\0".utf8)), field("empty", [UInt8](repeating: 0, count: 12)),
            field("digits behind the end", Array("0000001\u{0}0001".utf8)),
            field("8 GiB that are not there", Array("77777777777\0".utf8), "cut off"),
            Self.archive("size: PAX says more", "two sizes") {
                Self.with { tar in
                    tar.addPAX(TarText.record("size", "1024"))
                    tar.add(Self.file("blobs/sha256/\(Self.abc)"), [1])
                }
            },
            Self.archive("size: PAX says less", "two sizes") {
                Self.with { tar in
                    tar.addPAX(TarText.record("size", "0"))
                    tar.add("blobs/sha256/\(Self.abc)", [UInt8](repeating: 7, count: 1024))
                }
            },
            Self.archive("size: PAX says a small one where the header has none", "two sizes") {
                Self.with { tar in
                    tar.addPAX(TarText.record("size", "512"))
                    tar.add(TarText.Header(name: "blobs/sha256/\(Self.abc)", size: 0), [UInt8](repeating: 7, count: 512))
                }
            },
            Self.archive("size: PAX says 2^62", "cut off") {
                Self.with { tar in
                    tar.addPAX(TarText.record("size", "461168601842738790"))
                    tar.add(TarText.Header(name: "blobs/sha256/\(Self.abc)", size: 0))
                }
            },
        ]
            + ["-1", "+1", "0x10", "1e3", "99999999999999999999", " 1", "01", ""].map { value in
                Self.archive("size: PAX says \"\(value)\"", "size that is none") {
                    Self.with { tar in
                        tar.addPAX(TarText.record("size", value))
                        tar.add(Self.file("blobs/sha256/\(Self.abc)"), [1])
                    }
                }
            }
    }

    static var extensions: [HostileArchive] {
        func pax(_ title: String, _ records: String, _ because: String) -> HostileArchive {
            Self.archive("PAX: \(title)", because) {
                Self.with { tar in
                    tar.addPAX(records)
                    tar.add(Self.file("blobs/sha256/\(Self.abc)"), [1])
                }
            }
        }
        let path = TarText.record("path", "../../evil")
        return [
            pax("path leads out", path, "leads out"),
            pax("absolute path", TarText.record("path", "/etc/passwd"), "absolute path"),
            pax("NUL in the path", TarText.record("path", "index.json\0x"), "impossible name"),
            pax("key twice", TarText.record("path", "x") + TarText.record("path", "y"), "twice"),
            pax("sparse", TarText.record("GNU.sparse.major", "1"), "sparse"),
            pax("unknown key", TarText.record("evil.key", "1"), "unknown key"),
            pax("character set", TarText.record("hdrcharset", "EBCDIC"), "character set"),
            pax("length too large", "99 path=x\n", "malformed"), pax("length too small", "5 path=x\n", "malformed"),
            pax("no length", "path=x\n", "malformed"), pax("no line end", "9 path=xx", "malformed"),
            pax("no equals sign", "7 path\n", "malformed"),
            pax("length of many digits", "0000000000000009 path=x\n", "malformed"),
            Self.archive("PAX: two for one member", "two PAX headers") {
                Self.with { tar in
                    tar.addPAX(TarText.record("mtime", "1"))
                    tar.addPAX(TarText.record("mtime", "2"))
                    tar.add(Self.file("x"), [1])
                }
            },
            Self.archive("PAX: larger than 64 KiB", "more than 64 KiB") {
                Self.with { tar in
                    tar.addPAX(TarText.record("comment", String(repeating: "x", count: 70_000)))
                    tar.add(Self.file("x"), [1])
                }
            },
            Self.archive("PAX: for nothing", "announces a member") { Self.with { $0.addPAX(TarText.record("mtime", "1")) } },
            Self.archive("long name leads out", "leads out") {
                Self.with { tar in
                    tar.add(TarText.Header(name: "././@LongLink", size: 11, type: "L"), Array("../../evil\0".utf8))
                    tar.add(Self.file("x"), [1])
                }
            },
            Self.archive("long name with NUL", "NUL in it") {
                Self.with { tar in
                    tar.add(TarText.Header(name: "././@LongLink", size: 12, type: "L"), Array("index\0evil\0\0".utf8))
                    tar.add(Self.file("x"), [1])
                }
            },
            Self.archive("long name and PAX path", "two names") {
                Self.with { tar in
                    tar.add(TarText.Header(name: "././@LongLink", size: 2, type: "L"), Array("x\0".utf8))
                    tar.addPAX(TarText.record("path", "index.json"))
                    tar.add(Self.file("x"), [1])
                }
            },
            Self.archive("name longer than any", "impossible name") {
                Self.with { tar in
                    tar.addPAX(TarText.record("path", String(repeating: "a/", count: 200) + "a"))
                    tar.add(Self.file("x"), [1])
                }
            },
        ]
    }

    static var ends: [HostileArchive] {
        let good = LayoutText.simple().archive
        return [
            Self.archive("empty file", "is empty") { [] },
            Self.archive("nothing but an end", "nothing in it") { TarText.end },
            Self.archive("no end", "cut off") { Array(good.dropLast(1024)) },
            Self.archive("half an end", "cut off") { Array(good.dropLast(512)) },
            Self.archive("cut within a member", "cut off") { Array(good.dropLast(20_000)) },
            Self.archive("cut within a header", "cut off") { Array(good.prefix(700)) },
            Self.archive("one empty block between members", "behind an empty block") {
                let one = [UInt8](repeating: 0, count: 512)
                return Array(good.dropLast(1024)) + one + Self.file("x").bytes + TarText.end
            },
            Self.archive("a second archive behind the end", "follows behind its end") { good + good },
            Self.archive("a byte behind the end", "follows behind its end") { good + [UInt8](repeating: 0, count: 511) + [1] },
            Self.archive("many zeros behind the end", "follows behind its end") {
                good + [UInt8](repeating: 0, count: (1 << 20) + 512)
            },
            Self.archive("checksum", "checksum is wrong") { Self.with(Self.file("x") { $0.checksumError = 1 }, [1]) },
            Self.archive("text", "no tar archive") { Array(String(repeating: "this is no archive\n", count: 100).utf8) },
            Self.archive("no magic", "neither POSIX's nor GNU tar's") { Self.with(Self.file("x") { $0.magic = "" }, [1]) },
            Self.archive("other magic", "neither POSIX's nor GNU tar's") {
                Self.with(Self.file("x") { $0.magic = "ustar\u{0}01" }, [1])
            },
        ]
    }
}
