import TestSupport
import Testing

@testable import amargo

/// How findings are put: verdicts, exit codes, lines and JSON.
struct DiagnosisTests {
    private static let ok = Diagnosis("store.folder", .ok, "/s, of root")
    private static let note = Diagnosis(
        "server.listen", of: "127.0.0.1:3000", .note, "nobody listens there", "To serve: amargo serve")
    private static let warning = Diagnosis("configuration.rights", of: "/etc/a.yaml", .warning, "can be changed", "chmod o-w")
    private static let problem = Diagnosis("upstreams.registry", of: "docker", .problem, "gone", "first", "second")

    @Test(
        "the worst verdict is the exit code",
        arguments: [
            ([], 0), ([Self.ok], 0), ([Self.ok, Self.note], 0), ([Self.note, Self.warning], 1),
            ([Self.problem, Self.warning], 2),
        ])
    func exitCodes(_ diagnoses: [Diagnosis], _ code: Int) {
        #expect(Int(diagnoses.exitCode) == code)
    }

    @Test("an object a line, with everything in it")
    func json() {
        #expect(
            Self.problem.json
                == #"{"id":"upstreams.registry","subject":"docker","verdict":"problem","finding":"gone","advice":["first","second"]}"#
        )
        #expect(Self.ok.json == #"{"id":"store.folder","subject":null,"verdict":"ok","finding":"/s, of root","advice":[]}"#)
    }

    @Test("lines for people: grouped, advice below, no colour unless it is wanted")
    func table() {
        let text = DoctorPrinter(hasColour: false).text([Self.ok, Self.note, Self.warning, Self.problem])
        #expect(
            text == """
                store
                  ok       folder                 /s, of root

                server
                  note     listen 127.0.0.1:3000  nobody listens there
                           → To serve: amargo serve

                configuration
                  warning  rights                 /etc/a.yaml can be changed
                           → chmod o-w

                upstreams
                  problem  docker                 gone
                           → first
                           → second

                1 problem, 1 warning, 1 note.

                """)
        #expect(DoctorPrinter(hasColour: true).text([Self.problem]).contains("\u{1B}[31;1mproblem\u{1B}[0m"))
        #expect(DoctorPrinter.summary([Self.ok]) == "All is well.")
        #expect(!DoctorPrinter.wantsColour(["NO_COLOR": "1"]))
    }

    @Test("what comes from outside cannot move a terminal's cursor")
    func harmless() {
        #expect("a\u{1B}[2J\nb\u{9B}".harmless == "a [2J b ")
    }

    private struct Slow: BlockingCheck {
        let id = "store.slow"
        let limit = Duration.milliseconds(20)
        let gate: @Sendable () -> Void

        func look() -> [Diagnosis] {
            self.gate()
            return []
        }
    }

    @Test("a check that hangs is a finding, and holds nobody up")
    func hangs() async {
        let gate = Gate()
        let doctor = Doctor(checks: [Slow { gate.wait() }, Unasked()])
        let found = await doctor.examine { _, _ in }
        #expect(found.map(\.id) == ["store.slow", "upstreams.registry"], "in the checks' order")
        #expect(found.verdicts("store.slow") == [.problem])
        gate.open()
    }
}
