-- keygate for nginx-lua: each request is put to the library in the access phase, and what the library says is
-- carried out. Nothing is decided here.
require "keygate_h"
local ffi = require "ffi"
local bit = require "bit"

ffi.cdef [[
char *getenv(const char *name);
int open(const char *path, int flags, ...);
int close(int fd);
ssize_t read(int fd, void *buffer, size_t count);
long lseek(int fd, long offset, int whence);
char *strerror(int number);
size_t strlen(const char *text);
]]

local C = ffi.C
local lib = ffi.load(package.searchpath("libkeygate", package.cpath) or "libkeygate.so." .. ffi.C.KEYGATE_ABI_VERSION)
if lib.keygate_abi_version() ~= C.KEYGATE_ABI_VERSION then
    error("libkeygate.so has another interface than keygate_h.lua", 0)
end

local FILE_MAX = 16 * 1024 * 1024
local LANGUAGES = { en = C.KEYGATE_LANGUAGE_EN, zh = C.KEYGATE_LANGUAGE_ZH }

local policy_t = ffi.typeof "keygate_policy"
local headers_t = ffi.typeof "keygate_header[?]"

local _M = {}

-- By name: the policy in force, and where it comes from.
local gates = {}
-- What denies everything: the policy of a gate that was never loaded.
local none = { policy = policy_t(), lengths = {}, records = {}, options = {}, language = C.KEYGATE_LANGUAGE_EN }
for length = 0, 63 do
    none.lengths[length] = true
end

-- Of a request, by the number in $keygate_request. An internal redirect begins ngx.ctx anew but keeps the one
-- before until the request's end: that owns the entry.
local requests = setmetatable({}, { __mode = "v" })
local last = 0

-- Reused from request to request: nothing yields between filling and reading them.
local request = ffi.new "keygate_request"
request.size = ffi.sizeof(request)
local decision_t = ffi.typeof "keygate_decision"
local header = ffi.new "keygate_header"
local room, headers = 64, headers_t(64)
local name_str, value_str = ffi.new "keygate_str", ffi.new "keygate_str"

local function text(str)
    return ffi.string(str.ptr, str.len)
end

-- The string must be held by the caller for as long as C may look at it.
local function point(str, s)
    str.ptr, str.len = s, #s
    return str
end

local function names_of(bits, name)
    local found = {}
    for i = 0, 31 do
        local one = bit.lshift(1, i)
        if bit.band(bits, one) ~= 0 then
            found[#found + 1] = name(one)
        end
    end
    return found
end

-- A line of the error log without the request's own, which may hold a key.
local function report(level, ...)
    local line = "keygate: " .. table.concat({ ... })
    local phase = ngx.get_phase()
    if phase == "init" or phase == "init_worker" or phase == "timer" then
        ngx.log(level, line)
    else
        ngx.timer.at(0, function() ngx.log(level, line) end)
    end
end


----- configurations

-- The bytes of a file, in memory that can be wiped: a Lua string cannot.
local function read_file(path)
    local fd = C.open(path, 0)
    local function refuse(why)
        if fd >= 0 then
            C.close(fd)
        end
        return nil, path .. ": " .. why
    end
    if fd < 0 then
        return refuse(ffi.string(C.strerror(ffi.errno())))
    end
    local size = tonumber(C.lseek(fd, 0, 2))
    if size < 0 or C.lseek(fd, 0, 0) ~= 0 then
        return refuse("not a file")
    end
    if size > FILE_MAX then -- a folder may seem to be
        return refuse("not a file, or longer than " .. FILE_MAX .. " bytes")
    end
    local buffer, len = ffi.new("char[?]", size + 1), 0
    while len <= size do
        local got = tonumber(C.read(fd, buffer + len, size + 1 - len))
        if got < 0 then
            ffi.fill(buffer, size + 1)
            return refuse(ffi.string(C.strerror(ffi.errno())))
        end
        if got == 0 then
            break
        end
        len = len + got
    end
    if len ~= size then
        ffi.fill(buffer, size + 1)
        return refuse("changed while it was read")
    end
    C.close(fd)
    return { ptr = buffer, len = len, secret = true }
end

local function forget(bytes)
    if bytes and bytes.secret then
        ffi.fill(bytes.ptr, bytes.len)
    end
end

local function sentence(err, language)
    local size = tonumber(lib.keygate_config_error_text(err, language, nil, 0)) + 1
    local buffer = ffi.new("char[?]", size)
    lib.keygate_config_error_text(err, language, buffer, size)
    return ffi.string(buffer)
end

local function new_error()
    local err = ffi.new "keygate_config_error"
    err.size = ffi.sizeof(err)
    return err
end

-- The keys of a key file, which lie in its text.
local function read_keys(bytes, path, language)
    local file, key, err = ffi.new "keygate_key_file", ffi.new "keygate_key", new_error()
    local function count(into)
        local n = 0
        local str = ffi.new("keygate_str", bytes.ptr, bytes.len)
        lib.keygate_key_file_begin(file, ffi.sizeof(file), str)
        while lib.keygate_key_file_next(file, key) do
            if into then
                into[n] = key
            end
            n = n + 1
        end
        return n, lib.keygate_key_file_end(file, err)
    end
    local n, status = count()
    if status ~= C.KEYGATE_OK then
        return nil, path .. ": " .. sentence(err, language)
    end
    local keys = ffi.new("keygate_key[?]", math.max(n, 1))
    count(keys)
    return keys, n
end

local function find_keys(options, language)
    if options.key_file then
        local bytes, why = read_file(options.key_file)
        if not bytes then
            return nil, why
        end
        local keys, n = read_keys(bytes, options.key_file, language)
        if not keys then
            forget(bytes)
            return nil, n
        end
        return keys, n, bytes
    end
    if options.key_env then
        local value = C.getenv(options.key_env)
        if value == nil then
            return nil, "the environment has no " .. options.key_env .. ": nginx.conf must say env " .. options.key_env .. ";"
        end
        local keys = ffi.new "keygate_key[1]"
        keys[0].secret.ptr, keys[0].secret.len = value, C.strlen(value)
        return keys, 1
    end
    return nil, 0
end

-- A policy of what the options name, or nil and why not.
local function make(options, language)
    local json, why = options.json and { ptr = options.json, len = #options.json }
    if not json then
        json, why = read_file(options.config)
        if not json then
            return nil, why
        end
    end
    local keys, n, bytes = find_keys(options, language)
    if type(n) == "string" then
        forget(json)
        return nil, n
    end
    local policy, err = policy_t(), new_error()
    local str = ffi.new("keygate_str", json.ptr, json.len)
    local status = lib.keygate_policy_parse(policy, ffi.sizeof(policy), str, keys, n, err)
    forget(json)
    forget(bytes)
    if status ~= C.KEYGATE_OK then
        return nil, (options.config or "json") .. ": " .. sentence(err, language)
    end
    return ffi.gc(policy, lib.keygate_policy_wipe)
end

local function same(a, b)
    for i = 0, C.KEYGATE_POLICY_WORDS - 1 do
        if a.opaque[i] ~= b.opaque[i] then
            return false
        end
    end
    return true
end

local function put_in_force(gate, policy)
    local before = gate.policy
    gate.policy = policy
    gate.lengths = {}
    local lengths = lib.keygate_policy_name_lengths(policy)
    for length = 0, 63 do
        gate.lengths[length] = bit.band(bit.rshift(lengths, length), 1ULL) ~= 0
    end
    gate.records = {}
    local identity = lib.keygate_policy_identity_header(policy)
    gate.identity = identity.len > 0 and text(identity) or nil
    if before then
        lib.keygate_policy_wipe(before)
    end
    for _, one in ipairs(names_of(lib.keygate_lints(policy), function(one) return one end)) do
        report(ngx.WARN, ffi.string(lib.keygate_lint_name(one)), ": ", ffi.string(lib.keygate_lint_text(one, gate.language)))
    end
end

-- Makes a gate, for init_by_lua: a bad configuration is an error there, and nginx does not start.
function _M.load(options)
    local known = { name = true, config = true, json = true, key_file = true, key_env = true, explain = true, language = true }
    for name in pairs(options) do
        if not known[name] then
            error("keygate: no option is called " .. tostring(name), 2)
        end
    end
    if not options.config == not options.json or options.key_file and options.key_env then
        error("keygate: config or json, and key_file or key_env or none", 2)
    end
    local language = LANGUAGES[options.language or "en"]
    if not language then
        error("keygate: language is en or zh", 2)
    end
    local gate = { options = options, language = language }
    local policy, why = make(gate.options, gate.language)
    if not policy then
        error("keygate: " .. why, 0)
    end
    put_in_force(gate, policy)
    gates[options.name or ""] = gate
end

-- Reads what the options name again. What is refused leaves the policy before in force.
function _M.reload(name)
    local gate = gates[name or ""]
    if not gate then
        return nil, "never loaded"
    end
    local policy, why = make(gate.options, gate.language)
    if not policy then
        if why ~= gate.refused then
            report(ngx.ERR, why, "; the configuration before stays in force")
        end
        gate.refused = why
        return nil, why
    end
    gate.refused = nil
    if same(policy, gate.policy) then
        lib.keygate_policy_wipe(policy)
    else
        put_in_force(gate, policy)
    end
    return true
end

-- Follows the files of every gate, for init_worker_by_lua.
function _M.watch(seconds)
    local ok, why = ngx.timer.every(seconds or 1, function(premature)
        if not premature then
            for name in pairs(gates) do
                _M.reload(name)
            end
        end
    end)
    if not ok then
        error("keygate: no timer: " .. why, 0)
    end
end


----- requests

-- The headers as a list of names and values in turn, those of one name in the order received. By raw names,
-- Lua would have duplicates that differ in case apart, and lose their order.
local function received()
    local all, truncated = ngx.req.get_headers(0)
    if truncated then
        error("not all headers were to be had", 0)
    end
    local list, n = {}, 0
    for name, values in pairs(all) do
        if type(values) ~= "table" then
            list[n + 1], list[n + 2] = name, values
            n = n + 2
        else
            for _, value in ipairs(values) do
                list[n + 1], list[n + 2] = name, value
                n = n + 2
            end
        end
    end
    return list
end

local function decide(gate, method, target, list)
    local lengths, explain, n = gate.lengths, gate.options.explain, 0
    if #list / 2 > room then
        room = #list
        headers = headers_t(room)
    end
    for i = 1, #list, 2 do
        local name = list[i]
        if explain or lengths[#name % 64] then
            point(headers[n].name, name)
            point(headers[n].value, list[i + 1])
            n = n + 1
        end
    end
    point(request.method, method)
    point(request.target, target)
    request.headers, request.header_count = headers, n
    local decision = decision_t()
    decision.size = ffi.sizeof(decision)
    lib.keygate_decide(gate.policy, request, decision)
    return decision, explain and lib.keygate_findings(gate.policy, request)
end

local function quote(s)
    return s and '"' .. s:gsub('[\\"]', "\\%0") .. '"' or "null"
end

-- The decision record as JSON, and the label; few are different, but for the findings.
local function record(gate, decision, findings)
    local policy, known = gate.policy, gate.records
    local which = (decision.reason * 16 + decision.source + 1) * 16 + decision.key + 1
    if known[which] and not findings then
        return known[which].line, known[which].label
    end
    local source = lib.keygate_policy_source_name(policy, decision.source)
    local label = lib.keygate_policy_key_label(policy, decision.key)
    label = label.len > 0 and text(label) or nil
    local parts = {
        '"verdict":' .. quote(decision.verdict == C.KEYGATE_ALLOW and "allow" or "deny"),
        '"reason":' .. quote(ffi.string(lib.keygate_reason_name(decision.reason))),
        '"effective_mode":' .. quote(ffi.string(lib.keygate_mode_name(decision.effective_mode))),
        '"source":' .. quote(source.len > 0 and text(source) or nil),
        '"key_index":' .. (decision.key >= 0 and decision.key or "null"),
        '"message":' .. quote(ffi.string(lib.keygate_reason_text(decision.reason, gate.language))),
    }
    if label then
        parts[#parts + 1] = '"key_label":' .. quote(label)
    end
    if findings then
        local names = names_of(findings, function(one) return quote(ffi.string(lib.keygate_finding_name(one))) end)
        parts[#parts + 1] = '"findings":[' .. table.concat(names, ",") .. "]"
    end
    local line = "{" .. table.concat(parts, ",") .. "}"
    if not findings then
        known[which] = { line = line, label = label }
    end
    return line, label
end

-- Answers, so that no error page takes the place of the answer: what is denied goes nowhere.
local function answer(status, fields, body)
    ngx.status = status
    for name, value in pairs(fields) do
        ngx.header[name] = value
    end
    ngx.header["Content-Length"] = #body
    -- Else nginx would ask for the body before it throws it away.
    ngx.req.clear_header("Expect")
    ngx.req.discard_body()
    ngx.print(body)
    return ngx.exit(status)
end

local function deny(gate, decision)
    local fields, i = {}, 0
    while lib.keygate_denial_header(gate.policy, decision, i, header) do
        fields[text(header.name)] = text(header.value)
        i = i + 1
    end
    return answer(401, fields, ffi.string(lib.keygate_denial_body(decision)))
end

-- Takes out of the request what must not be forwarded. Returns what is left of Upgrade.
local function strip(gate, decision, list)
    local drops, kept, fresh = {}, {}, {}
    for i = 1, #list, 2 do
        local name, value = list[i], list[i + 1]
        -- Of another length it is kept, and nothing need be known of it.
        if gate.lengths[#name % 64] or name == "upgrade" then
            kept[name] = kept[name] or {}
            if lib.keygate_policy_drops(gate.policy, decision, point(name_str, name), point(value_str, value)) then
                drops[name] = drops[name] or {}
                table.insert(drops[name], value)
            else
                table.insert(kept[name], value)
                fresh[value] = true
            end
        end
    end
    for name in pairs(drops) do
        ngx.req.clear_header(name)
        if kept[name][1] then
            ngx.req.set_header(name, kept[name])
        end
    end
    for name, values in pairs(drops) do
        -- nginx keeps what was read before the gate, and would forward it. Lua sees it by another variable only.
        local variable = name:gsub("-", "_")
        local now = ngx.var["keygate_http_" .. variable]
        for _, value in ipairs(values) do
            if now and value ~= "" and not fresh[now] and now:find(value, 1, true) then
                error("$http_" .. variable .. " was read before the gate and outlives its header: the request goes nowhere", 0)
            end
        end
    end
    return table.concat(kept.upgrade or {}, ", ")
end

-- What is known of the request, from before an internal redirect too.
local function known()
    local id = ngx.var.keygate_request
    if id and id ~= "" then
        return requests[tonumber(id)]
    end
end

-- Method and target as received. What rewrites and error pages have made of them decides nothing, and
-- $request_uri lacks the authority of an absolute form. Without a target, no path is exempt.
local function request_line()
    local line = ngx.var.request or ""
    local method, target = line:match("^(%S+) +(.-) +HTTP/%d+%.%d+$")
    if not method then
        method, target = line:match("^(%S+) +(%S+)$")
    end
    return method or "", target or ""
end

local function judge(gate)
    local method = ngx.req.get_method()
    local of, list = known(), nil
    if of and of.gate == gate and of.method == method then
        return of.decision
    end
    if not of then
        -- A redirect may not ask again with less: these are the headers as they came.
        list = received()
        of = { list = list }
        last = last + 1
        requests[last] = of
        ngx.ctx.keygate = of
        ngx.var.keygate_request = last
    end
    local asked, target = request_line()
    local decision, findings = decide(gate, asked, target, of.list)
    if decision.verdict == C.KEYGATE_ALLOW and method ~= asked then
        decision, findings = decide(gate, method, target, of.list)
    end
    local line, label = record(gate, decision, findings)
    ngx.var.keygate_decision = line
    ngx.var.keygate_key_label = label or ""
    ngx.var.keygate_upgrade = ""
    of.gate, of.method, of.decision = gate, method, decision
    if decision.verdict == C.KEYGATE_ALLOW then
        ngx.var.keygate_upgrade = strip(gate, decision, list or received())
        if gate.identity and label and decision.reason == C.KEYGATE_REASON_KEY_MATCHED then
            ngx.req.set_header(gate.identity, label)
        end
    end
    return decision
end

-- Asks the gate, in access_by_lua: it returns where the request may go on.
function _M.access(name)
    local gate = gates[name or ""]
    if not gate then
        report(ngx.ERR, "no such gate is loaded: everything is denied")
        gate = none
    end
    local ok, decision = pcall(judge, gate)
    if not ok then
        report(ngx.ERR, tostring(decision))
        return answer(500, {}, "")
    end
    if decision.verdict ~= C.KEYGATE_ALLOW then
        return deny(gate, decision)
    end
end

return _M
