/* The header by itself, twice; as C and as C++. */
#include <keygate.h>
#include <keygate.h>

#ifdef __cplusplus
#define LAYOUT(condition) static_assert(condition, #condition)
#elif __STDC_VERSION__ >= 201112L
#define LAYOUT(condition) _Static_assert(condition, #condition)
#else
#define JOIN_(a, b) a##b
#define JOIN(a, b) JOIN_(a, b)
#define LAYOUT(condition) extern char JOIN(layout_, __LINE__)[(condition) ? 1 : -1]
#endif

#define WORD sizeof(void *)

/* Frozen. */
LAYOUT(sizeof(keygate_str) == 2 * WORD);
LAYOUT(offsetof(keygate_str, ptr) == 0);
LAYOUT(offsetof(keygate_str, len) == WORD);
LAYOUT(sizeof(keygate_header) == 4 * WORD);
LAYOUT(offsetof(keygate_header, name) == 0);
LAYOUT(offsetof(keygate_header, value) == 2 * WORD);
LAYOUT(sizeof(keygate_key) == 4 * WORD);
LAYOUT(sizeof(keygate_source) == 5 * WORD);
LAYOUT(offsetof(keygate_source, scheme) == 2 * WORD);
LAYOUT(offsetof(keygate_source, flags) == 4 * WORD);
/* Of this version. */
LAYOUT(offsetof(keygate_config, auth_mode) == WORD);
LAYOUT(offsetof(keygate_config, flags) == WORD + 4);
LAYOUT(offsetof(keygate_config, api_key) == WORD + 8);
LAYOUT(offsetof(keygate_config, match) == 9 * WORD + 8);
LAYOUT(offsetof(keygate_config, strip) == 9 * WORD + 16);
LAYOUT(offsetof(keygate_config, allow_origin) == offsetof(keygate_config, identity_header) + 2 * WORD);
LAYOUT(sizeof(keygate_config) == offsetof(keygate_config, allow_origin) + 2 * WORD);
LAYOUT(offsetof(keygate_request, headers) == 5 * WORD);
LAYOUT(sizeof(keygate_request) == 7 * WORD);
LAYOUT(offsetof(keygate_decision, verdict) == WORD);
LAYOUT(offsetof(keygate_decision, reason) == WORD + 4);
LAYOUT(offsetof(keygate_decision, header) == WORD + 24);
LAYOUT(sizeof(keygate_decision) == 2 * WORD + 24);
LAYOUT(offsetof(keygate_config_error, status) == WORD);
LAYOUT(offsetof(keygate_config_error, field) == WORD + 4);
LAYOUT(offsetof(keygate_config_error, byte_class) == WORD + 8);
LAYOUT(offsetof(keygate_config_error, column) == sizeof(keygate_config_error) - WORD);
LAYOUT(sizeof(keygate_policy) == 8 * KEYGATE_POLICY_WORDS);
LAYOUT(sizeof(keygate_key_file) == 8 * KEYGATE_KEY_FILE_WORDS);
LAYOUT(sizeof(keygate_evaluation) == 8 * KEYGATE_EVALUATION_WORDS);
LAYOUT(KEYGATE_ABI_VERSION == 2);
LAYOUT(KEYGATE_MODE_STRICT == 0 && KEYGATE_DENY == 0 && KEYGATE_ALLOW == 1 && KEYGATE_OK == 0);

#if KEYGATE_VERSION_MAJOR != VERSION_MAJOR || KEYGATE_VERSION_MINOR != VERSION_MINOR || \
    KEYGATE_VERSION_PATCH != VERSION_PATCH
#error "the header and Cargo.toml differ in their version"
#endif

extern const char keygate_test_version[];
const char keygate_test_version[] = KEYGATE_VERSION;
