-- Asks for the paths of a file, one after the other, again and again: `wrk -s growth.lua URL -- FILE`.
local requests, at = {}, 0

function init(arguments)
    for path in io.lines(arguments[1]) do
        requests[#requests + 1] = wrk.format("GET", path, {
            ["Host"] = "bench", ["Accept"] = "application/vnd.oci.image.manifest.v1+json" })
    end
end

function request()
    at = at % #requests + 1
    return requests[at]
end
