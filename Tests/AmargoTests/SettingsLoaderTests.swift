import Foundation
import TestSupport
import Testing

@testable import amargo

struct SettingsLoaderTests {
    private let folder: TemporaryDirectory

    init() throws {
        self.folder = try TemporaryDirectory()
    }

    private func file(_ text: String, named name: String = "amargo.yaml") throws -> String {
        let path = self.folder.path(name)
        try FileManager.default.createDirectory(
            at: URL(fileURLWithPath: path).deletingLastPathComponent(), withIntermediateDirectories: true)
        try Data(text.utf8).write(to: URL(fileURLWithPath: path))
        return path
    }

    private func load(_ arguments: [String], _ environment: [String: String] = [:]) throws -> (settings: Settings, file: String?)
    {
        let environment = environment.merging(["HOME": self.folder.path("home")]) { own, _ in own }
        return try SettingsLoader(try StoreOptions.parse(arguments), environment: environment).load()
    }

    @Test("--store wins over AMARGO_STORE, that over the file")
    func storePrecedence() throws {
        let file = try self.file("store:\n  path: /from/file")
        let fromFile = try self.load(["--config", file]).settings
        #expect(fromFile.storePath == "/from/file")
        #expect(fromFile.origins["store.path"] == "\(file), line 2")
        let fromVariable = try self.load(["--config", file], ["AMARGO_STORE": "/from/variable"]).settings
        #expect(fromVariable.storePath == "/from/variable")
        #expect(fromVariable.origins["store.path"] == "AMARGO_STORE")
        let fromOption = try self.load(
            ["--config", file, "--store", "/from/option"], ["AMARGO_STORE": "/from/variable"]
        ).settings
        #expect(fromOption.storePath == "/from/option")
        #expect(fromOption.origins["store.path"] == "--store")
        #expect(try self.load(["--config", file], ["AMARGO_STORE": ""]).settings.storePath == "/from/file")
    }

    @Test("a service of systemd's finds its own folders, and never the configuration in its home")
    func serviceFolders() throws {
        _ = try self.file("log: {level: error}", named: "home/.config/amargo/amargo.yaml")
        let own = try self.file("log: {level: debug}", named: "etc/amargo/amargo.yaml")
        let service = [
            "CONFIGURATION_DIRECTORY": self.folder.path("etc/amargo"), "STATE_DIRECTORY": "/var/lib/amargo:/var/lib/other",
        ]
        let loaded = try self.load([], service)
        #expect(loaded.file == own)
        #expect(loaded.settings.logLevel == .debug)
        #expect(loaded.settings.storePath == "/var/lib/amargo")
        #expect(loaded.settings.origins["store.path"] == nil)
        #expect(
            try self.load([], service.merging(["AMARGO_STORE": "/from/variable"]) { $1 }).settings.storePath == "/from/variable")
        // Of a service that runs a command of Amargo's.
        let other = try self.load([], ["CONFIGURATION_DIRECTORY": "/etc/other", "STATE_DIRECTORY": "/var/lib/other"])
        #expect(other.settings.logLevel == .error)
        #expect(other.settings.storePath != "/var/lib/other")
    }

    @Test("--config wins over AMARGO_CONFIG, that over the user's own file")
    func configPrecedence() throws {
        let own = try self.file("log: {level: error}", named: "home/.config/amargo/amargo.yaml")
        let variable = try self.file("log: {level: warning}", named: "variable.yaml")
        let option = try self.file("log: {level: debug}", named: "option.yaml")
        #expect(try self.load([]).settings.logLevel == .error)
        #expect(try self.load([]).file == own)
        #expect(try self.load([], ["AMARGO_CONFIG": variable]).settings.logLevel == .warning)
        #expect(try self.load(["--config", option], ["AMARGO_CONFIG": variable]).settings.logLevel == .debug)
        #expect(try self.load(["--config", option], ["AMARGO_CONFIG": variable]).file == option)
        let other = try self.file("log: {level: trace}", named: "xdg/amargo/amargo.yaml")
        let loaded = try self.load([], ["XDG_CONFIG_HOME": self.folder.path("xdg")])
        #expect(loaded.file == other)
        #expect(loaded.settings.logLevel == .trace)
    }

    @Test("a file that was named must be there", arguments: [true, false])
    func missing(_ isOption: Bool) throws {
        let path = self.folder.path("missing.yaml")
        let error = #expect(throws: SettingsError.self) {
            try self.load(isOption ? ["--config", path] : [], isOption ? [:] : ["AMARGO_CONFIG": path])
        }
        #expect(error?.description == "the configuration \(path) cannot be read: there is no such file")
    }

    @Test("a file that is no text, or a folder, is an error that names it")
    func unreadable() throws {
        let path = self.folder.path("latin1.yaml")
        try Data([0x23, 0xE9, 0x0A]).write(to: URL(fileURLWithPath: path))
        let error = #expect(throws: SettingsError.self) { try self.load(["--config", path]) }
        #expect(error?.description == "the configuration \(path) cannot be read: it is not UTF-8")
        let folderError = #expect(throws: SettingsError.self) { try self.load(["--config", self.folder.path]) }
        #expect(folderError?.description.contains(self.folder.path) == true)
    }

    @Test("paths are absolute, and ~ is the home folder")
    func paths() throws {
        #expect(try self.load(["--store", "~/x"]).settings.storePath == self.folder.path("home/x"))
        #expect(try self.load(["--store", "/a//b/./c/"]).settings.storePath == "/a/b/c")
        let here = FileManager.default.currentDirectoryPath
        #expect(try self.load(["--store", "x/y"]).settings.storePath == "\(here)/x/y")
        #expect(try self.load(["--store", "./x"]).settings.storePath == "\(here)/x")
        let file = try self.file("store:\n  path: ~/from-file")
        #expect(try self.load(["--config", file]).settings.storePath == self.folder.path("home/from-file"))
    }

    @Test("an error in the file names it")
    func errors() throws {
        let file = try self.file("sotre: {}")
        let error = #expect(throws: SettingsError.self) { try self.load(["--config", file]) }
        #expect(error?.description == "\(file), line 1: unknown key sotre; did you mean store?")
    }
}
