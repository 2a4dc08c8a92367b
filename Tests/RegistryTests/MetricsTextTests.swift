import NIOCore
import OCI
import Synchronization
import Testing

@testable import Registry

/// The exposition format, as https://prometheus.io/docs/instrumenting/exposition_formats/ describes it.
@Suite struct MetricsTextTests {
    private static func written(_ body: (inout MetricsText) -> Void) -> String {
        var text = MetricsText()
        body(&text)
        return String(buffer: text.buffer)
    }

    @Test("a family is its help, its type and its samples")
    func family() {
        let text = Self.written { text in
            text.begin("a_total", .counter, "What a is.")
            text.add(Int64(3), ["upstream": "docker", "kind": "blob"])
            text.add(Int64.max)
            text.gauge("b", "B.", 0.25)
            text.gauge("c", "No sample at all.", nil)
            text.counter("d_total", "D.", 0)
        }
        #expect(
            text == """
                # HELP a_total What a is.
                # TYPE a_total counter
                a_total{upstream="docker",kind="blob"} 3
                a_total 9223372036854775807
                # HELP b B.
                # TYPE b gauge
                b 0.25
                # HELP c No sample at all.
                # TYPE c gauge
                # HELP d_total D.
                # TYPE d_total counter
                d_total 0

                """)
    }

    @Test("what would end a value or a line is escaped: in a help text without the quotes")
    func escapes() {
        let text = Self.written { text in
            text.begin("a", .gauge, "one \\ \"two\"\nthree")
            text.add(Int64(1), ["name": "one \\ \"two\"\nthree ä"])
        }
        #expect(text == "# HELP a one \\\\ \"two\"\\nthree\n# TYPE a gauge\na{name=\"one \\\\ \\\"two\\\"\\nthree ä\"} 1\n")
    }

    @Test(
        "numbers as Go reads them",
        arguments: [
            (0, "0"), (-1.5, "-1.5"), (1e15, "1000000000000000"), (1e300, "1e+300"), (5e-7, "5e-07"), (.nan, "NaN"),
            (.infinity, "+Inf"), (-.infinity, "-Inf"), (1_795_889_793.21, "1795889793.21"),
        ])
    func numbers(_ value: Double, _ expected: String) {
        #expect(Self.written { $0.gauge("a", "A.", value) }.hasSuffix("\na \(expected)\n"))
    }

    @Test("a histogram's classes have all up to their bound, and its sum is in seconds")
    func histogram() {
        let histogram = Histogram([.milliseconds(5), .milliseconds(2_500)])
        for milliseconds in [1, 5, 6, 3_000] { histogram.add(.milliseconds(milliseconds)) }
        let text = Self.written { text in
            text.begin("a_seconds", .histogram, "A.")
            text.add(histogram.snapshot, ["upstream": "docker"])
            text.add(Histogram([.seconds(1)]).snapshot)
        }
        #expect(
            text == """
                # HELP a_seconds A.
                # TYPE a_seconds histogram
                a_seconds_bucket{upstream="docker",le="0.005"} 2
                a_seconds_bucket{upstream="docker",le="2.5"} 3
                a_seconds_bucket{upstream="docker",le="+Inf"} 4
                a_seconds_sum{upstream="docker"} 3.012
                a_seconds_count{upstream="docker"} 4
                a_seconds_bucket{le="1"} 0
                a_seconds_bucket{le="+Inf"} 0
                a_seconds_sum 0
                a_seconds_count 0

                """)
    }

    @Test("who asks while the text is being made is given the same, who asks afterwards another")
    func shared() throws {
        let jobs = Mutex<[@Sendable () -> Void]>([])
        let made = Atomic(0)
        let given = Mutex<[String]>([])
        let handler = MetricsHandler(submit: { job in jobs.withLock { $0.append(job) } }) {
            ByteBuffer(string: "text \(made.add(1, ordering: .relaxed).newValue)")
        }
        for number in 0..<3 {
            handler.text { text in given.withLock { $0.append("\(number) \(String(buffer: text))") } }
        }
        #expect(jobs.withLock { $0.count } == 1)
        jobs.withLock { $0.removeFirst() }()
        #expect(given.withLock { $0 } == ["0 text 1", "1 text 1", "2 text 1"])
        handler.text { text in given.withLock { $0.append("3 \(String(buffer: text))") } }
        jobs.withLock { $0.removeFirst() }()
        #expect(given.withLock { $0.last } == "3 text 2")
    }
}
