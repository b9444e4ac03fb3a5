// Written by bindings/wasm/layout.py from include/keygate.h. Do not edit.
export const layout = {
  keygate_str: { size: 8, ptr: 0, len: 4 },
  keygate_key: { size: 16, secret: 0, label: 8 },
  keygate_source: { size: 20, name: 0, scheme: 8, flags: 16 },
  keygate_config: { size: 72, auth_mode: 4, flags: 8, api_key: 12, keys: 20, key_count: 24, sources: 28, source_count: 32, exempt: 36, exempt_count: 40, match: 44, preflight: 48, strip: 52, identity_header: 56, allow_origin: 64 },
  keygate_policy: { size: 4096, opaque: 0 },
  keygate_config_error: { size: 28, status: 4, field: 8, byte_class: 12, index: 16, line: 20, column: 24 },
  keygate_key_file: { size: 64, opaque: 0 },
  keygate_decision: { size: 32, verdict: 4, reason: 8, effective_mode: 12, source: 16, key: 20, flags: 24, header: 28 },
  keygate_header: { size: 16, name: 0, value: 8 },
  keygate_request: { size: 28, method: 4, target: 12, headers: 20, header_count: 24 },
  keygate_evaluation: { size: 128, opaque: 0 },
};
