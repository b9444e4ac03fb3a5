#ifndef KEYGATE_H
#define KEYGATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 The number of this interface. It changes when a program compiled against an older header would
 no longer work.
 */
#define KEYGATE_ABI_VERSION 1

/*
 Done.
 */
#define KEYGATE_OK 0

/*
 A pointer that must not be NULL is NULL.
 */
#define KEYGATE_ERR_NULL -1

/*
 A pointer is not aligned for what it points to.
 */
#define KEYGATE_ERR_ALIGNMENT -2

/*
 A size is too small, or a struct is longer than this library knows and its unknown rest is not
 zero.
 */
#define KEYGATE_ERR_SIZE -3

/*
 A length is greater than half the address space, or runs past the end of it.
 */
#define KEYGATE_ERR_LENGTH -4

/*
 The mode is none of the KEYGATE_MODE_ numbers, or its name is not known.
 */
#define KEYGATE_ERR_MODE -5

/*
 A flag is not known, or contradicts the rest.
 */
#define KEYGATE_ERR_FLAGS -6

/*
 The output overlaps the policy.
 */
#define KEYGATE_ERR_OVERLAP -7

/*
 api_key and keys are both given.
 */
#define KEYGATE_ERR_API_KEY_AND_KEYS -16

/*
 More than 8 keys.
 */
#define KEYGATE_ERR_TOO_MANY_KEYS -17

/*
 A key in keys is empty.
 */
#define KEYGATE_ERR_KEY_EMPTY -18

/*
 A key is longer than 256 bytes.
 */
#define KEYGATE_ERR_KEY_TOO_LONG -19

/*
 A key holds a byte that no header value can carry.
 */
#define KEYGATE_ERR_KEY_BYTE -20

/*
 A key starts or ends with a space or a tab.
 */
#define KEYGATE_ERR_KEY_EDGE -21

/*
 A label is longer than 32 bytes.
 */
#define KEYGATE_ERR_LABEL_TOO_LONG -22

/*
 More than 8 sources.
 */
#define KEYGATE_ERR_TOO_MANY_SOURCES -23

/*
 A source's name is longer than 32 bytes.
 */
#define KEYGATE_ERR_SOURCE_TOO_LONG -24

/*
 A source's name is empty or not an HTTP token.
 */
#define KEYGATE_ERR_SOURCE_NOT_TOKEN -25

/*
 A source's name stands twice.
 */
#define KEYGATE_ERR_SOURCE_TWICE -26

/*
 More than 8 exempt paths.
 */
#define KEYGATE_ERR_TOO_MANY_EXEMPT -27

/*
 An exempt path is longer than 64 bytes.
 */
#define KEYGATE_ERR_EXEMPT_TOO_LONG -28

/*
 An exempt path does not start with '/'.
 */
#define KEYGATE_ERR_EXEMPT_NO_SLASH -29

/*
 An exempt path holds '?' or '#'.
 */
#define KEYGATE_ERR_EXEMPT_NOT_PATH -30

/*
 "strict": every request but OPTIONS needs a key, the exempt paths included. A zeroed mode is
 this one.
 */
#define KEYGATE_MODE_STRICT 0

/*
 "off": no request needs a key.
 */
#define KEYGATE_MODE_OFF 1

/*
 "all_except_health": every request needs a key but OPTIONS, and GET or HEAD of an exempt path.
 */
#define KEYGATE_MODE_ALL_EXCEPT_HEALTH 2

/*
 "auto": all_except_health with KEYGATE_ALLOW_LAN_ACCESS, off without. Never an effective mode.
 */
#define KEYGATE_MODE_AUTO 3

/*
 Answer the request with 401.
 */
#define KEYGATE_DENY 0

/*
 Let the request pass.
 */
#define KEYGATE_ALLOW 1

/*
 Allow: the effective mode is off.
 */
#define KEYGATE_REASON_AUTH_OFF 1

/*
 Allow: the method is OPTIONS (a CORS preflight). The request has proved nothing.
 */
#define KEYGATE_REASON_PREFLIGHT 2

/*
 Allow: GET or HEAD of an exempt path in all_except_health.
 */
#define KEYGATE_REASON_HEALTH 3

/*
 Allow: the credential equals a key.
 */
#define KEYGATE_REASON_KEY_MATCHED 4

/*
 Deny: the policy has no key.
 */
#define KEYGATE_REASON_NO_KEY_CONFIGURED 16

/*
 Deny: no header of any source is present.
 */
#define KEYGATE_REASON_CREDENTIAL_MISSING 17

/*
 Deny: the deciding value is empty, or holds a byte outside SP, HTAB and 0x21 to 0x7E.
 */
#define KEYGATE_REASON_CREDENTIAL_UNUSABLE 18

/*
 Deny: the credential equals no key.
 */
#define KEYGATE_REASON_KEY_MISMATCH 19

/*
 Deny: an argument of the call was bad, the policy zeroed, wiped or never made, or the
 evaluation never begun or already finished.
 */
#define KEYGATE_REASON_INVALID_CALL 32

/*
 keygate_config.flags: what auto comes to; other modes take no notice of it.
 */
#define KEYGATE_ALLOW_LAN_ACCESS 1

/*
 keygate_config.flags: no header is read. source_count must then be 0.
 */
#define KEYGATE_NO_SOURCES 2

/*
 keygate_config.flags: no path is exempt. exempt_count must then be 0.
 */
#define KEYGATE_NO_EXEMPT 4

/*
 keygate_source.flags: a leading "Bearer " (this case, one space) is not part of the credential.
 */
#define KEYGATE_SOURCE_BEARER 1

/*
 keygate_decision.flags: "Bearer " was stripped from the deciding value.
 */
#define KEYGATE_BEARER_STRIPPED 1

/*
 The size of a keygate_policy in words of 8 bytes.
 */
#define KEYGATE_POLICY_WORDS 480

/*
 The size of a keygate_evaluation in words of 8 bytes.
 */
#define KEYGATE_EVALUATION_WORDS 16

/*
 The size of the buffer that keygate_generate_key needs, in bytes with the NUL.
 */
#define KEYGATE_GENERATED_KEY_SIZE 36

/*
 How requests are guarded: a KEYGATE_MODE_ number.
 */
typedef int32_t keygate_mode;

/*
 Bytes that somebody else owns. With len 0, ptr is not looked at. No NUL is needed at the end,
 and none ends it. The layout is frozen.
 */
typedef struct keygate_str {
  /*
   The first byte.
   */
  const char *ptr;
  /*
   How many bytes.
   */
  size_t len;
} keygate_str;

/*
 A key that clients may present.
 */
typedef struct keygate_key {
  /*
   1 to 256 bytes of SP, HTAB and 0x21 to 0x7E, neither starting nor ending with SP or HTAB.
   */
  struct keygate_str secret;
  /*
   0 to 32 bytes that name the key in logs.
   */
  struct keygate_str label;
} keygate_key;

/*
 A header that a credential is read from.
 */
typedef struct keygate_source {
  /*
   An HTTP token of 1 to 32 bytes, in any case.
   */
  struct keygate_str name;
  /*
   0 or KEYGATE_SOURCE_BEARER.
   */
  uint32_t flags;
} keygate_source;

/*
 What a policy is made from. Begin with keygate_config_init, then set what differs. Nothing it
 points to is needed once keygate_policy_init has returned.
 */
typedef struct keygate_config {
  /*
   The size of this struct in bytes, as the caller's header has it.
   */
  size_t size;
  /*
   A KEYGATE_MODE_ number.
   */
  keygate_mode auth_mode;
  /*
   KEYGATE_ALLOW_LAN_ACCESS, KEYGATE_NO_SOURCES, KEYGATE_NO_EXEMPT.
   */
  uint32_t flags;
  /*
   The one key, without a label. Empty: no key, unless keys has some. Without any key, whatever
   needs one is denied.
   */
  struct keygate_str api_key;
  /*
   Up to 8 keys instead of api_key, so that one can be retired after the next is in use.
   */
  const struct keygate_key *keys;
  /*
   How many.
   */
  size_t key_count;
  /*
   Up to 8 sources in order of precedence. None: authorization (Bearer), x-api-key and
   x-goog-api-key.
   */
  const struct keygate_source *sources;
  /*
   How many.
   */
  size_t source_count;
  /*
   Up to 8 paths of 1 to 64 bytes that start with '/' and hold neither '?' nor '#'. None:
   "/healthz".
   */
  const struct keygate_str *exempt;
  /*
   How many.
   */
  size_t exempt_count;
} keygate_config;

/*
 The library's result of setting something up: KEYGATE_OK, or a negative KEYGATE_ERR_ number.
 */
typedef int32_t keygate_status;

/*
 Storage for a policy, anywhere the caller likes: static, on the stack, in a pool. It holds no
 pointers into itself and may be copied with memcpy; each copy holds the keys and is wiped by
 itself. A zeroed one denies everything.
 */
typedef struct keygate_policy {
  /*
   Not to be touched.
   */
  uint64_t opaque[KEYGATE_POLICY_WORDS];
} keygate_policy;

/*
 KEYGATE_ALLOW or KEYGATE_DENY, and never anything else.
 */
typedef int32_t keygate_verdict;

/*
 A header field as received: the name in any case, the value with or without white space around
 it. The layout is frozen: four words, the same as phr_header, envoy_http_header and their kin.
 */
typedef struct keygate_header {
  /*
   The field name.
   */
  struct keygate_str name;
  /*
   The field value.
   */
  struct keygate_str value;
} keygate_header;

/*
 A request.
 */
typedef struct keygate_request {
  /*
   The size of this struct in bytes, as the caller's header has it.
   */
  size_t size;
  /*
   The method as on the request line.
   */
  struct keygate_str method;
  /*
   The request target as received: neither normalised nor percent-decoded, with its query.
   */
  struct keygate_str target;
  /*
   The header fields in the order received.
   */
  const struct keygate_header *headers;
  /*
   How many; there is no limit.
   */
  size_t header_count;
} keygate_request;

/*
 Which rule decided: a KEYGATE_REASON_ number.
 */
typedef int32_t keygate_reason;

/*
 What was decided and why. It holds no byte of a key or of a credential.
 */
typedef struct keygate_decision {
  /*
   The size of this struct in bytes, as the caller's header has it. Set by the caller; no more
   than this is written.
   */
  size_t size;
  /*
   KEYGATE_ALLOW or KEYGATE_DENY.
   */
  keygate_verdict verdict;
  /*
   A KEYGATE_REASON_ number.
   */
  keygate_reason reason;
  /*
   The mode in force, auto being resolved; KEYGATE_MODE_STRICT with
   KEYGATE_REASON_INVALID_CALL.
   */
  keygate_mode effective_mode;
  /*
   The index of the source that the deciding header belongs to, or -1 where no header decided.
   */
  int32_t source;
  /*
   The lowest index of a key that matched, or -1.
   */
  int32_t key;
  /*
   0 or KEYGATE_BEARER_STRIPPED.
   */
  uint32_t flags;
  /*
   The index of the deciding header among those of the request or those pushed, or SIZE_MAX.
   */
  size_t header;
} keygate_decision;

/*
 Storage for a decision under way. A zeroed one denies. It belongs to one thread at a time.
 */
typedef struct keygate_evaluation {
  /*
   Not to be touched.
   */
  uint64_t opaque[KEYGATE_EVALUATION_WORDS];
} keygate_evaluation;

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

/*
 The number of the interface that the library has: compare it with KEYGATE_ABI_VERSION. Any
 thread, any time.
 */
uint32_t keygate_abi_version(void);

/*
 The version of the library, "1.2.3" for example. Static.
 */
const char *keygate_version(void);

/*
 Sets a config to its defaults: strict, no key, the default sources and exempt path.

 config: size bytes of the caller's, normally sizeof(keygate_config). NULL, misaligned or shorter
 than a size_t: nothing is done.
 */
void keygate_config_init(struct keygate_config *config, size_t size);

/*
 Reads a mode's name: "off", "strict", "all_except_health" or "auto", in lower case.

 out: set to KEYGATE_MODE_STRICT first, and to the mode where the name is known.

 Returns KEYGATE_OK; KEYGATE_ERR_MODE for any other name; KEYGATE_ERR_NULL,
 KEYGATE_ERR_ALIGNMENT or KEYGATE_ERR_LENGTH for a bad argument.
 */
keygate_status keygate_mode_parse(struct keygate_str text, keygate_mode *out);

/*
 Makes a policy of a config.

 policy: size bytes of the caller's, normally sizeof(keygate_policy). It is zeroed first, so that
 it denies everything unless KEYGATE_OK is returned. To reload, make a second policy and swap.
 config: copied, keys included; nothing of it is needed afterwards. It must not overlap policy.

 Returns KEYGATE_OK or what is wrong with the config; keygate_status_text says it in words. A
 config without any key is not wrong: its policy denies whatever needs one.

 No other thread may use the policy until this has returned.
 */
keygate_status keygate_policy_init(struct keygate_policy *policy,
                                   size_t size,
                                   const struct keygate_config *config);

/*
 Wipes a policy, keys and all, so that it denies everything afterwards. NULL is fine, and so is a
 policy that was never made or is wiped already.

 No other thread may use the policy at the same time.
 */
void keygate_policy_wipe(struct keygate_policy *policy);

/*
 How many headers the policy wants. 0 for a bad policy.
 */
size_t keygate_policy_source_count(const struct keygate_policy *policy);

/*
 The name of a header that the policy wants, in lower case and order of precedence. A host with a
 header map may pass only these headers, every occurrence in the order received; the verdict is
 the same.

 The text lies inside the policy and lives as long. {NULL, 0} for a bad policy or an index
 beyond the last.
 */
struct keygate_str keygate_policy_source_name(const struct keygate_policy *policy, size_t index);

/*
 The label of a key.

 The text lies inside the policy and lives as long. {NULL, 0} for a bad policy, an index beyond
 the last, or a key without a label.
 */
struct keygate_str keygate_policy_key_label(const struct keygate_policy *policy, size_t index);

/*
 Whether a header of this name may carry a credential, and so must be dropped before a request is
 forwarded: the sources, and their spellings with '_' or '.' for '-'. True for a bad argument.
 */
bool keygate_policy_carries_credential(const struct keygate_policy *policy,
                                       struct keygate_str header_name);

/*
 Decides about a request: keygate_evaluation_begin, a push of each header and a finish, in one
 call. Headers after the one that settles the verdict are not looked at.

 out: NULL, or a decision whose size is set; it is set to deny before anything else is read.

 Returns KEYGATE_ALLOW (1) or KEYGATE_DENY (0) and nothing else. Any bad argument, an unusable
 policy included, is a deny with KEYGATE_REASON_INVALID_CALL.
 */
keygate_verdict keygate_decide(const struct keygate_policy *policy,
                               const struct keygate_request *request,
                               struct keygate_decision *out);

/*
 Begins a decision that is fed one header at a time.

 evaluation: size bytes of the caller's, normally sizeof(keygate_evaluation).
 policy: kept until keygate_evaluation_finish; it must stay as it is for so long.
 method, target: judged at once and not kept.

 A bad argument shows in keygate_evaluation_finish, which then denies.
 */
void keygate_evaluation_begin(struct keygate_evaluation *evaluation,
                              size_t size,
                              const struct keygate_policy *policy,
                              struct keygate_str method,
                              struct keygate_str target);

/*
 Takes the next header, in the order received. Nothing of it is kept, so one small buffer serves
 for all of them.

 Returns false where nothing that follows can change the verdict; the rest may be left out then,
 and pushing it does no harm. A bad argument returns false too and makes
 keygate_evaluation_finish deny.
 */
bool keygate_evaluation_push(struct keygate_evaluation *evaluation,
                             struct keygate_str name,
                             struct keygate_str value);

/*
 Ends an evaluation: the decision about the headers pushed so far. The evaluation must be begun
 anew before it is used again; until then it denies.

 out: NULL, or a decision whose size is set. It must not overlap the evaluation.

 Returns KEYGATE_ALLOW (1) or KEYGATE_DENY (0) and nothing else.
 */
keygate_verdict keygate_evaluation_finish(struct keygate_evaluation *evaluation,
                                          struct keygate_decision *out);

/*
 Says in English why a request is decided as it is, for the operator and never for the client:
 what it finds out about a wrong key shows in the text and in the time it takes. It holds header
 names and lengths, and no byte of a key or of a credential.

 buffer: size bytes of the caller's; NULL is fine with size 0. As much as fits is written, always
 with a NUL at its end where size is not 0. It must overlap neither the policy nor the request.

 Returns the length of the whole text in bytes without the NUL, like snprintf: what is below
 size was written whole. Lines end in '\n' but for the last.
 */
size_t keygate_explain(const struct keygate_policy *policy,
                       const struct keygate_request *request,
                       char *buffer,
                       size_t size);

/*
 The same as codes: bit i is row i of the table of findings, and keygate_finding_text gives its
 name. 0 for a bad argument. For the operator, never for the client.
 */
uint32_t keygate_findings(const struct keygate_policy *policy,
                          const struct keygate_request *request);

/*
 The name of a finding, "bearer_no_space" for example. Static; "unknown" unless exactly one known
 bit is set.
 */
const char *keygate_finding_text(uint32_t one_bit);

/*
 Makes a fresh key: "sk-" and 32 lower-case hexadecimal digits.

 random: 16 bytes from the system's source of randomness.
 buffer: size bytes of the caller's, at least KEYGATE_GENERATED_KEY_SIZE (36). With less, it gets
 an empty text: half a key is none.

 Returns 35, the length of the key without the NUL, or 0 where random is NULL.
 */
size_t keygate_generate_key(const uint8_t *random, char *buffer, size_t size);

/*
 One sentence for the operator's log. Static; "unknown reason" for any other number.
 */
const char *keygate_reason_text(keygate_reason reason);

/*
 The name of a reason, "key_mismatch" for example. Static; "unknown" for any other number.
 */
const char *keygate_reason_name(keygate_reason reason);

/*
 The name of a mode, "all_except_health" for example. Static; "unknown" for any other number.
 */
const char *keygate_mode_name(keygate_mode mode);

/*
 What a status means, in words. Static; "unknown status" for any other number.
 */
const char *keygate_status_text(keygate_status status);

/*
 The body to answer a denied request with, of type application/json. Static; never NULL.
 */
const char *keygate_denial_body(const struct keygate_decision *decision);

/*
 The value of the WWW-Authenticate header to answer a denied request with. Static; never NULL.
 */
const char *keygate_denial_challenge(const struct keygate_decision *decision);

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

#endif  /* KEYGATE_H */
