import Testing

@testable import amargo

/// What people have at hand when they want images: lists, manifests, Compose files.
struct ImageListTests {
    private static func names(_ text: String, _ environment: [String: String] = [:]) throws -> [String] {
        try ImageList(text, source: "LIST", environment: environment).entries.map(\.name)
    }

    @Test(
        "a plain list has one name a line",
        arguments: [
            ("nginx", ["nginx"]), ("nginx\nredis:7\n", ["nginx", "redis:7"]), ("\u{FEFF}nginx\r\nredis\r\n", ["nginx", "redis"]),
            ("# all\n\n  nginx:1.27  # the web\n\tredis\n", ["nginx:1.27", "redis"]),
            ("localhost:5000/a:v1\nregistry.local:5000/b", ["localhost:5000/a:v1", "registry.local:5000/b"]), ("", []),
            ("# nothing: here\n", []),
            (
                "ghcr.io/org/app@sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
                ["ghcr.io/org/app@sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"]
            ),
        ])
    func lines(_ text: String, _ expected: [String]) throws {
        let list = try ImageList(text, source: "LIST")
        #expect(list.entries.map(\.name) == expected)
        #expect(list.problems.isEmpty)
    }

    @Test("what is no name is named with its line, and the rest is taken")
    func problems() throws {
        let list = try ImageList("nginx\nredis 7\nBad:Name:x\nalpine", source: "LIST")
        #expect(list.entries.map(\.name) == ["nginx", "alpine"])
        #expect(list.entries.map(\.place) == ["LIST, line 1", "LIST, line 4"])
        #expect(list.problems.count == 2)
        #expect(list.problems.first?.hasPrefix("LIST, line 2: ") == true)
        #expect(list.problems.last?.hasPrefix("LIST, line 3: ") == true)
    }

    @Test("a list may be YAML or JSON as well")
    func otherLists() throws {
        #expect(try Self.names("- nginx\n- redis:7\n") == ["nginx", "redis:7"])
        #expect(try Self.names(#"["nginx", "redis:7"]"#) == ["nginx", "redis:7"])
    }

    // MARK: - Kubernetes

    /// Deployments, CronJobs and a pod, in the shapes of the API reference.
    private static let manifests = """
        apiVersion: apps/v1
        kind: Deployment
        metadata: {name: web, annotations: {image: "https://example.com/icon.png"}}
        spec:
          template:
            spec:
              initContainers:
              - name: wait
                image: busybox:1.36
              containers:
              - name: web
                image: "nginx:1.27"
                imagePullPolicy: Always
              - {name: side, image: 'ghcr.io/org/side@sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad'}
              volumes:
              - name: model
                image:
                  reference: quay.io/org/model:v2
                  pullPolicy: IfNotPresent
        ---
        apiVersion: batch/v1
        kind: CronJob
        spec:
          schedule: "*/5 * * * *"
          jobTemplate:
            spec:
              template:
                spec:
                  containers:
                  - image: registry.k8s.io/kubectl:v1.31.0
        ---
        apiVersion: v1
        kind: List
        items:
        - apiVersion: v1
          kind: Pod
          spec:
            containers:
            - image: redis
            ephemeralContainers:
            - image: alpine:3.20
        ---
        # nothing here
        ---
        apiVersion: monitoring.coreos.com/v1
        kind: Prometheus
        spec:
          image: quay.io/prometheus/prometheus:v2.54.1
          version: v2.54.1
          thanos:
            image: {registry: quay.io, repository: thanos/thanos, tag: v0.36.1, pullPolicy: Always}
        ---
        apiVersion: apiextensions.k8s.io/v1
        kind: CustomResourceDefinition
        spec:
          versions:
          - schema:
              openAPIV3Schema:
                properties:
                  image:
                    type: string
                    description: "The image: it is pulled"
                  replicas: {type: integer}
        ---
        kind: ConfigMap
        data:
          values.yaml: |
            image: not/an:image-of-this
            nested: [{
        """

    @Test("in Kubernetes manifests every image is found, wherever it stands, and nothing else")
    func kubernetes() throws {
        let list = try ImageList(Self.manifests, source: "all.yaml")
        #expect(
            list.entries.map(\.name) == [
                "busybox:1.36", "nginx:1.27",
                "ghcr.io/org/side@sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
                "quay.io/org/model:v2", "registry.k8s.io/kubectl:v1.31.0", "redis", "alpine:3.20",
                "quay.io/prometheus/prometheus:v2.54.1", "quay.io/thanos/thanos:v0.36.1",
            ])
        #expect(list.problems.isEmpty)
        #expect(list.entries[0].place == "all.yaml, line 9")
    }

    @Test("what kubectl writes as JSON is read as well")
    func json() throws {
        let text = """
            {"apiVersion": "v1", "kind": "PodList", "items": [
                {"spec": {"containers": [{"image": "nginx:1.27", "command": ["[", "-e", "{"]}]},
                 "status": {"containerStatuses": [{"image": "docker.io/library/nginx:1.27", "imageID": "x", "restartCount": 3}]}}]}
            """
        #expect(try Self.names(text) == ["nginx:1.27", "docker.io/library/nginx:1.27"])
    }

    @Test("a container without a proper image is a problem; what another thing calls image is its own affair")
    func odd() throws {
        let list = try ImageList(
            """
            spec:
              containers:
              - image: "Not An Image"
              - image: auto
              - image: "{{ .Values.image }}"
              - image: 1.5
            other:
              image: "Not An Image"
              icon: {image: true}
            """, source: "x.yaml")
        #expect(list.entries.isEmpty)
        #expect(list.problems.count == 2)
        #expect(list.problems.first?.hasPrefix("x.yaml, line 3: ") == true)
        #expect(list.problems.last?.contains("helm template") == true)
        #expect(list.remarks.count == 1)
    }

    @Test(
        "what is no YAML is said, with its line and what to do",
        arguments: [
            ("kind: Pod\nspec: [", "line 3"), ("image: {{ .Values.image }}:{{ .Values.tag }}\n  a: b", "helm template"),
            ("a: 1\na: 2\n", "stands twice"), ("a: *nowhere", "alias"),
        ])
    func broken(_ text: String, _ part: String) throws {
        let error = #expect(throws: ListError.self) { try ImageList(text, source: "x.yaml") }
        #expect(error?.description.contains(part) == true, "\(error?.description ?? "")")
    }

    // MARK: - Compose

    @Test("in a Compose file the services' images are found, with defaults, the environment and merged templates")
    func compose() throws {
        let list = try ImageList(
            """
            name: shop
            x-base: &base
              image: alpine:${ALPINE:-3.20}
              restart: always
            services:
              web:
                image: ${REGISTRY:-docker.io}/library/nginx:${TAG}
                environment: {image: not-this}
              worker:
                <<: *base
                command: echo $$HOME
              db:
                <<: [*base]
                image: postgres:16
              app:
                build: .
              both:
                build: .
                image: ghcr.io/org/both:${BOTH-v1}
              lost:
                image: org/lost:${LOST:?must be set}
              empty: {}
            volumes:
              data: {}
            """, source: "compose.yaml", environment: ["TAG": "1.27", "BOTH": ""])
        #expect(
            list.entries.map(\.name) == ["docker.io/library/nginx:1.27", "alpine:3.20", "postgres:16"])
        #expect(list.remarks.count == 1)
        #expect(list.remarks.first?.contains("app is built") == true)
        #expect(list.problems.count == 3)
        #expect(list.problems.contains { $0.contains("LOST") })
        #expect(list.problems.contains { $0.contains("empty has neither image nor build") })
        // Set and empty is a value for `-`: "ghcr.io/org/both:" is no name then.
        #expect(list.problems.contains { $0.contains("ghcr.io/org/both:") })
    }

    @Test(
        "variables are those of the Compose specification",
        arguments: [
            ("plain", "plain"), ("$A", "a"), ("${A}", "a"), ("x${A}y", "xay"), ("$$A", "$A"), ("$A-b", "a-b"), ("${N:-d}", "d"),
            ("${N-d}", "d"), ("${E:-d}", "d"), ("${E-d}", ""), ("${A:-d}", "a"), ("${A:+r}", "r"), ("${N:+r}", ""),
            ("${E+r}", "r"),
            ("${E:+r}", ""), ("${N:-${A}}", "a"), ("${N:-x${M:-$A}y}", "xay"), ("${A:?no}", "a"), ("a$$b$$c", "a$b$c"),
        ])
    func variables(_ text: String, _ expected: String) throws {
        #expect(try ComposeVariables(environment: ["A": "a", "E": ""]).expand(text) == expected)
    }

    @Test(
        "what has no value says which variable it is",
        arguments: ["$N", "${N}", "${N:?why}", "${N?why}", "${E:?why}", "x${A}${N}"])
    func unset(_ text: String) {
        let name = text.contains("E") ? "E" : "N"
        #expect(throws: ComposeVariables.Failure.unset(name)) {
            try ComposeVariables(environment: ["A": "a", "E": ""]).expand(text)
        }
    }

    @Test("what is no variable is malformed", arguments: ["$", "${", "${}", "${A", "${:-x}", "$-", "${A!x}", "${A:}"])
    func malformed(_ text: String) {
        #expect(throws: ComposeVariables.Failure.malformed) { try ComposeVariables(environment: ["A": "a"]).expand(text) }
    }

    // MARK: - Bombs

    @Test("a few lines of aliases do not become millions of values")
    func aliases() {
        var text = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n"
        for level in 1..<10 {
            let aliases = Array(repeating: "*a\(level - 1)", count: 10).joined(separator: ", ")
            text += "a\(level): &a\(level) [\(aliases)]\n"
        }
        let begin = ContinuousClock.now
        let error = #expect(throws: ListError.self) { try ImageList(text, source: "bomb") }
        #expect(error?.description.contains("values") == true)
        #expect(begin.duration(to: .now) < .seconds(30))
    }

    @Test(
        "aliases in keys, whose comparing would take for ever, are refused", arguments: ["*a9 : x", "? [*a9]\n: x", "{[*a9]: x}"])
    func keys(_ key: String) {
        var text = "a0: &a0 [x, x]\n"
        for level in 1..<10 { text += "a\(level): &a\(level) [*a\(level - 1), *a\(level - 1), *a\(level - 1)]\n" }
        let error = #expect(throws: ListError.self) {
            try ImageList(text + "z:\n  \(key.replacing("\n", with: "\n  "))\n", source: "bomb")
        }
        #expect(error?.description.contains("key") == true, "\(error?.description ?? "")")
    }

    @Test(
        "nesting has an end",
        arguments: [
            String(repeating: "[", count: 100_000), "a: " + String(repeating: "{a: ", count: 100_000),
            String(repeating: "- ", count: 100_000) + "x", "- " + String(repeating: "? ", count: 100_000) + "x",
            (0..<300).map { String(repeating: " ", count: $0) + "a:\n" }.joined(),
        ])
    func nesting(_ text: String) {
        let error = #expect(throws: ListError.self) { try ImageList(text, source: "bomb") }
        #expect(error?.description.contains("nested") == true, "\(error?.description ?? "")")
    }

    @Test("what manifests really have is not taken for a bomb")
    func ordinary() throws {
        let text = """
            kind: ConfigMap
            data:
              script: |
                for x in a b c; do case $x in [a-z]) echo "[$x]: {ok}";; esac; done
                if [[ "$a" == "{" ]]; then echo ${REG}:${TAG}; fi
              rule: ------------------------------------------------------------------------------------------------------------------------------------------------------------------------------------------------
            spec:
              x: [&a {image: nginx}, *a, *a, *a, *a, *a, *a, *a, *a, *a, *a]
              y: ${A}:${B}
              z: "*/5 * * * *"
            """
        #expect(try Self.names(text).count == 11)
    }
}
