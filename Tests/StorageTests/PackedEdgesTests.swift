import OCI
import Testing

@testable import Storage

struct PackedEdgesTests {
    @Test("children come out as they went in")
    func roundTrip() throws {
        let short = try Digest(parsing: "sha256:\(Sample.abcHex)")
        let long = try Digest(parsing: "sha512:\(Sample.abc512Hex)")
        let roles: [Manifest.Role] = [.config, .layer, .foreignLayer, .manifest, .blob]
        let sizes: [Int64] = [0, 1, 127, 128, 16_383, 16_384, 1 << 35, .max]
        var edges: [Edge] = []
        for (index, size) in sizes.enumerated() {
            for role in roles {
                edges.append(Edge(role: role, digest: index % 2 == 0 ? short : long, size: size))
                edges.append(Edge(role: role, digest: long, size: size, platform: index == 0 ? "" : "linux/arm/v7"))
            }
        }
        #expect(PackedEdges(edges).edges == edges)
        #expect(PackedEdges(edges).count == 80)
        #expect(PackedEdges([]).edges.isEmpty)
        #expect(PackedEdges(edges).first(long) == edges.first { $0.digest == long })
        #expect(PackedEdges(edges).first(try Sample.digest(1)) == nil)
        #expect(PackedEdges([edges[0]]) != PackedEdges([edges[1]]))
    }
}
