/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * keygate: the API-key gate that every proxy can embed.
 *
 * It decides whether an HTTP request may pass, from its method, its target and its header fields.
 * It does no I/O, allocates nothing, has no state of its own, and needs of the C library no more
 * than memcpy, memset, memcmp, memmove and bcmp. What to do with the verdict is the caller's.
 *
 * EXAMPLE
 *
 *   #include <keygate.h>
 *   #include <stdio.h>
 *
 *   #define STR(text) {text, sizeof(text) - 1}
 *
 *   static keygate_policy policy;
 *
 *   int main(void) {
 *     keygate_config config;
 *     keygate_config_init(&config, sizeof config);
 *     config.auth_mode = KEYGATE_MODE_ALL_EXCEPT_HEALTH;
 *     config.api_key = (keygate_str)STR("sk-example");
 *     keygate_config_error error = {.size = sizeof error};
 *     if (keygate_policy_init(&policy, sizeof policy, &config, &error) != KEYGATE_OK) {
 *       char why[256];
 *       keygate_config_error_text(&error, KEYGATE_LANGUAGE_EN, why, sizeof why);
 *       fprintf(stderr, "bad configuration: %s\n", why);
 *       return 2;
 *     }
 *     const keygate_header headers[] = {
 *         {STR("Host"), STR("localhost")},
 *         {STR("Authorization"), STR("Bearer sk-example")},
 *     };
 *     const keygate_request request = {sizeof request, STR("GET"), STR("/v1/models"), headers, 2};
 *     keygate_decision decision = {.size = sizeof decision};
 *     if (keygate_decide(&policy, &request, &decision)) {
 *       puts("allow"); // forward it, without what keygate_policy_drops names
 *     } else {         // answer it with status 401 and
 *       keygate_header header;
 *       for (size_t i = 0; keygate_denial_header(&policy, &decision, i, &header); i++)
 *         printf("%.*s: %.*s\n", (int)header.name.len, header.name.ptr, (int)header.value.len, header.value.ptr);
 *       printf("\n%s\n", keygate_denial_body(&decision));
 *     }
 *     keygate_policy_wipe(&policy);
 *     return 0;
 *   }
 *
 *   cc example.c $(pkg-config --cflags --libs keygate)             # --static: see FILES below
 *
 * CONVENTIONS, true of every function
 *
 * Threads. A pointer to const may be used by any number of threads at once. What is not const
 *   belongs to one thread during the call. There are no globals, so calls on different objects
 *   never meet, in signal handlers and after fork neither.
 * Pointers. Every one that is followed is checked: NULL, a wrong alignment, a length above
 *   PTRDIFF_MAX, an array that runs past the end of the address space. None of these is followed;
 *   the call denies or returns an error. A header whose name is as long as none that is read is
 *   passed over, whatever its pointers. With length 0 a pointer does not matter, and may be NULL. What
 *   cannot be checked is owed by the caller: that memory of the stated length is there, that nobody
 *   changes it during the call, and that size fields are set.
 * Lifetime. Nothing is kept after a call but what its text says. Text that is returned is static
 *   and ends in NUL, but for the keygate_str that lie in a policy.
 * Effects. No call allocates, blocks, logs, panics, unwinds, longjmps or sets errno.
 * Numbers. There are no C enums. A number that is not known is an error, and so is an unknown flag.
 * Verdicts. A call that decides returns KEYGATE_ALLOW (1) or KEYGATE_DENY (0), never an error code:
 *   whatever is wrong with its arguments is KEYGATE_DENY with KEYGATE_REASON_INVALID_CALL. Only
 *   calls that set something up return a keygate_status: KEYGATE_OK (0) or a negative number.
 * Outputs. They are set to deny, or to what is harmless, before anything else is read. An output
 *   must not overlap an input. A keygate_decision over the request is a deny; over the policy it
 *   is a deny that is returned and not written, since a policy is never written to.
 * Sizes. keygate_config, keygate_request, keygate_decision and keygate_config_error begin with their
 *   size in bytes, as sizeof gives it. They may grow in later versions. The shortest has its first
 *   field after size; what a shorter one lacks counts as zero. A longer one than the library knows
 *   must be zero in the rest, or it is an error. Of an output only what is known is written, so
 *   begin with a zeroed one. keygate_str, keygate_header, keygate_key and keygate_source do not grow.
 * Secrets. No key and no credential, nor any part of one, is ever in a decision, a text, an
 *   explanation or a status.
 *
 * RULES. The first that applies decides.
 *
 *   1 the method is OPTIONS, and preflight lets it pass, in every mode      allow  PREFLIGHT
 *   2 the effective mode is off                                             allow  AUTH_OFF
 *   3 the effective mode is all_except_health, the method is GET or HEAD,
 *     and the path is an exempt path byte for byte                          allow  HEALTH
 *   4 the policy has no key                                                 deny   NO_KEY_CONFIGURED
 *   5 no header of any source is present                                    deny   CREDENTIAL_MISSING
 *   6 the deciding value is empty or holds a byte outside SP, HTAB and
 *     0x21 to 0x7E                                                          deny   CREDENTIAL_UNUSABLE
 *   7 the credential equals a key                                           allow  KEY_MATCHED
 *   8 otherwise                                                             deny   KEY_MISMATCH
 *
 * The effective mode is the configured one, but for auto: all_except_health with
 *   KEYGATE_ALLOW_LAN_ACCESS and off without.
 * The method is compared byte for byte: "options" is not OPTIONS.
 * The path is what stands before the first '?' of the target. Nothing is normalised or decoded:
 *   pass the bytes of the request line, and forward what you passed. A target that holds '#' is no
 *   valid one (RFC 9112 section 3.2) and has no path: it is never exempt.
 * Sources are the header names that a credential is read from, in order of precedence: by default
 *   authorization (Bearer), x-api-key, x-goog-api-key. Names compare without regard to ASCII case
 *   and otherwise exactly.
 * preflight says which OPTIONS requests rule 1 lets pass: all of them, those with both Origin and
 *   Access-Control-Request-Method (the Fetch standard's CORS-preflight request), or none.
 * The deciding header is the first occurrence of the first source that is present at all, whatever
 *   its value. A wrong, empty or garbled one is never rescued by another header, and a later
 *   duplicate neither rescues nor spoils it. With KEYGATE_MATCH_ANY, where the first occurrences of
 *   some sources hold a right key, it is the first of these in source order.
 * The credential is the deciding value without SP and HTAB around it. If its source has
 *   KEYGATE_SOURCE_BEARER and it begins with exactly "Bearer " (this case, one space), that is
 *   taken off once; if it has a scheme, that scheme in any case and all spaces behind it are (RFC
 *   9110 section 11.4). Without it, the whole value is the credential.
 * Comparing takes a time that depends on the length of what the client sent and on the number of
 *   keys, and not on a byte of a key, its length, or which key matched.
 *
 * DENYING. Answer with status 401, every header that keygate_denial_header gives, and, but to HEAD,
 *   the body keygate_denial_body.
 *
 * CONFIGURATIONS come as a keygate_config, or as JSON by keygate_policy_parse; keys also as a key
 *   file by keygate_key_file_next. The same text means the same in every program that embeds keygate.
 *   Where one is refused, a keygate_config_error has the field, the entry, the line and the column,
 *   and keygate_config_error_text says it in one sentence, without a byte of a key.
 *
 * NAMES AND TEXTS. What ends in _name is a code for programs and logs; it does not change. What ends
 *   in _text is a sentence for the operator, in the language asked for.
 *
 * FORWARDING. Drop every header, and every trailer, for which keygate_policy_drops is true:
 *   - whatever the reason, every spelling of a source's name: in any case, with '_' or '.' for '-'.
 *     With KEYGATE_STRIP_MATCHED only where the value holds a key: the whole value, what a source
 *     reads from it, or what stands behind its last SP or HTAB. With KEYGATE_STRIP_OFF none;
 *   - where there is an identity_header, every spelling of it, and Upgrade to anything but websocket,
 *     since in such a tunnel the client would write it itself. Forward no option of Connection that
 *     names it. Then add it, with the key's label, on KEY_MATCHED;
 *   - after PREFLIGHT and HEALTH also every spelling of Upgrade, HTTP2-Settings, X-HTTP-Method,
 *     X-HTTP-Method-Override, X-Method-Override, X-Original-URL and X-Rewrite-URL. Such a request
 *     has proved nothing: it is one request and not a connection. Forward no "Connection: upgrade"
 *     and no extended CONNECT (RFC 8441) then: what is behind a 101 is not decided about.
 *   A denied request stays denied: forward it nowhere, by an error page, a fallback or a retry
 *   either. Answer it at once: do not wait for the rest of its body, and close its connection, or
 *   have its body read and thrown away, within seconds.
 *   Decide about every request of a connection that is kept alive, and log neither target nor query.
 *
 * RELOADING. A policy is never changed. Make a second one, swap an atomic pointer to it, and wipe
 *   the first when no call uses it any more. Where making it fails, keep the first and report why.
 *
 * FINDINGS of keygate_findings and keygate_explain. 0 always; 1 alone with it; 2 to 4 on a deny by
 * rule 5 to 8 or an allow by rule 7; the others on a deny by rule 5 to 8.
 *
 *   bit name                  when, and what to do
 *    0  auto_resolved         auth_mode is auto; the text says what it resolves to, and why
 *    1  no_key_configured     rule 4 denied: set api_key
 *    2  shadowed_match        a header that was not consulted holds a right key: correct or remove
 *                             the deciding one
 *    3  shadowed_present      a header that was not consulted holds something else: keep one
 *    4  duplicate_ignored     the deciding name occurs again: send it once
 *    5  bearer_no_space       "Bearer<key>": write "Bearer <key>"
 *    6  bearer_case           "bearer <key>": write "Bearer"
 *    7  bearer_extra_space    two spaces or more, or a tab, after Bearer: one space
 *    8  bearer_doubled        "Bearer Bearer <key>": once
 *    9  bearer_in_key_header  "Bearer <key>" in a source without KEYGATE_SOURCE_BEARER: the key alone
 *   10  other_scheme          "Basic ...", "Token ..." and their kin: Bearer, or name the scheme
 *   11  quoted                the credential is wrapped in quotes: remove them
 *   12  placeholder           an example never replaced, or a variable never expanded
 *   13  unread_header         a key-like header that the gate does not read: use one that it reads
 *   14  key_in_query          "?key=", "?api_key=" and their kin: send a header
 *   15  truncated             the credential is the beginning of a key or begins with one, and they
 *                             share 8 bytes or more: copy it whole
 *   16  health_in_strict      an exempt path, but strict guards it too
 *   17  health_near_miss      almost an exempt path, or one with a method that is not exempt
 *   18  options_case          "options": methods are upper case
 *   19  key_surrounded        the deciding value holds a right key with something around it
 *   20  key_elsewhere         a right key in another header, the query or the path: send it in a source
 *   21  foreign_credential    the credential looks like one for another service: match any and strip
 *                             matched let both travel
 *   22  probe_path            a path that health checks use, and that is not exempt: list it
 *   23  preflight_guarded     an OPTIONS request that preflight does not let pass
 *   24  gate_key_suspect      a configured key looks wrong: correct it
 *   Keys of 8 bytes and more are looked for everywhere in the first 64 KiB of the request, the query and
 *   the path also percent-decoded.
 *
 * LINTS of keygate_lints: what works and is probably a mistake.
 *
 *   bit name                  when
 *    0  key_placeholder       a key is an example never replaced, or a variable never expanded
 *    1  key_quoted            a key is wrapped in quotes
 *    2  key_bearer            a key begins with Bearer and a space
 *    3  key_assignment        a key looks like NAME=value or a JSON object
 *    4  key_short             a key has fewer than 16 bytes
 *    5  key_repeated          two keys are equal
 *    6  no_key                no key, and the effective mode is not off: what needs one is denied
 *    7  open                  the effective mode is off while there is a key
 *    8  auto_open             auto resolves to off
 *    9  source_underscore     a source's name holds '_' or '.', and many servers drop such headers
 *   10  exempt_pattern        an exempt path holds '*' or ends in '/': paths are compared exactly
 *
 * VERSIONS. KEYGATE_ABI_VERSION is in the name of the shared library: libkeygate.so.2. A program runs
 *   with every library of its number that is as old as its header, or newer. Within one number nothing
 *   goes, and no function, struct, field, opaque size, constant or code of a _name changes. There may
 *   be new functions, new constants, and new fields at the end of the structs that Sizes names, where
 *   zero means what it meant before. So a caller must take a reason, finding, lint, field or status
 *   that it does not know for what it is: a deny where the verdict is one, and something to show by
 *   its _name. Sentences may change in any version, and so may what is found and linted. A request
 *   that was denied is allowed by a later version only where its notes say so.
 *
 * FILES. Link libkeygate.so, or libkeygate.a alone: pkg-config --static names no other library.
 *   A plugin that links the archive keeps its symbols to itself with -Wl,--exclude-libs,ALL.
 */

#ifndef KEYGATE_H
#define KEYGATE_H

/* Written by `make header` from src/ffi.rs and include/cbindgen.toml. Do not edit. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/** The version of this header; keygate_version() is that of the library. */
#define KEYGATE_VERSION_MAJOR 0
#define KEYGATE_VERSION_MINOR 2
#define KEYGATE_VERSION_PATCH 0
#define KEYGATE_VERSION "0.2.0"

/**
 * The number of this interface. It changes when a program compiled against an older header would
 * no longer work.
 */
#define KEYGATE_ABI_VERSION 2

/** English. */
#define KEYGATE_LANGUAGE_EN 0
/** Simplified Chinese. */
#define KEYGATE_LANGUAGE_ZH 1

/** Done. */
#define KEYGATE_OK 0

/** A pointer that must not be NULL is NULL. */
#define KEYGATE_ERR_NULL (-1)
/** A pointer is not aligned for what it points to. */
#define KEYGATE_ERR_ALIGNMENT (-2)

/**
 * A size is too small, or a struct is longer than this library knows and its unknown rest is not
 * zero.
 */
#define KEYGATE_ERR_SIZE (-3)
/** A length is greater than half the address space, or runs past the end of it. */
#define KEYGATE_ERR_LENGTH (-4)
/** The mode is none of the KEYGATE_MODE_ numbers, or its name is not known. */
#define KEYGATE_ERR_MODE (-5)
/** A flag is not known, or contradicts the rest. */
#define KEYGATE_ERR_FLAGS (-6)
/** An output overlaps the policy or an input. */
#define KEYGATE_ERR_OVERLAP (-7)
/** The object was never begun, or is zeroed. */
#define KEYGATE_ERR_STATE (-8)
/** api_key and keys are both given. */
#define KEYGATE_ERR_API_KEY_AND_KEYS (-16)
/** More than 8 keys. */
#define KEYGATE_ERR_TOO_MANY_KEYS (-17)
/** A key in keys is empty. */
#define KEYGATE_ERR_KEY_EMPTY (-18)
/** A key is longer than 256 bytes. */
#define KEYGATE_ERR_KEY_TOO_LONG (-19)
/** A key holds a byte that no header value can carry. */
#define KEYGATE_ERR_KEY_BYTE (-20)
/** A key starts or ends with a space or a tab. */
#define KEYGATE_ERR_KEY_EDGE (-21)
/** A label is longer than 32 bytes. */
#define KEYGATE_ERR_LABEL_TOO_LONG (-22)
/** More than 8 sources. */
#define KEYGATE_ERR_TOO_MANY_SOURCES (-23)
/** A source's name is longer than 32 bytes. */
#define KEYGATE_ERR_SOURCE_TOO_LONG (-24)
/** A source's name is empty or not an HTTP token. */
#define KEYGATE_ERR_SOURCE_NOT_TOKEN (-25)
/** A source's name is listed twice. */
#define KEYGATE_ERR_SOURCE_TWICE (-26)
/** More than 8 exempt paths. */
#define KEYGATE_ERR_TOO_MANY_EXEMPT (-27)
/** An exempt path is longer than 64 bytes. */
#define KEYGATE_ERR_EXEMPT_TOO_LONG (-28)
/** An exempt path does not start with '/'. */
#define KEYGATE_ERR_EXEMPT_NO_SLASH (-29)
/** An exempt path holds '?' or '#'. */
#define KEYGATE_ERR_EXEMPT_NOT_PATH (-30)
/** A key is a variable that was not expanded: $NAME, ${...}, {{...}}, $env://... or %NAME%. */
#define KEYGATE_ERR_KEY_VARIABLE (-31)
/** A label holds a byte outside 0x21 to 0x7E. */
#define KEYGATE_ERR_LABEL_BYTE (-32)
/** An exempt path holds a byte outside 0x21 to 0x7E. */
#define KEYGATE_ERR_EXEMPT_BYTE (-33)
/** JSON: an unknown field. */
#define KEYGATE_ERR_FIELD_UNKNOWN (-35)
/** JSON: a field whose name is almost one that is known. */
#define KEYGATE_ERR_FIELD_MISSPELT (-36)
/** JSON: a field that is given twice. */
#define KEYGATE_ERR_FIELD_TWICE (-37)
/** JSON: a field that must be there and is missing. */
#define KEYGATE_ERR_FIELD_MISSING (-38)
/** JSON: a value of the wrong type. */
#define KEYGATE_ERR_FIELD_TYPE (-39)
/** JSON: a field beside "proxy" that belongs into it. */
#define KEYGATE_ERR_BESIDE_PROXY (-40)
/** JSON: a string with a character beyond U+00FF. */
#define KEYGATE_ERR_CHARACTER (-41)
/** This is not JSON. */
#define KEYGATE_ERR_JSON (-42)
/** JSON that is nested more than 64 levels deep. */
#define KEYGATE_ERR_TOO_DEEP (-43)
/** JSON with something behind the object. */
#define KEYGATE_ERR_TEXT_AFTER (-44)
/** This is not UTF-8. */
#define KEYGATE_ERR_ENCODING (-45)
/** Keys are in the text and given beside it. */
#define KEYGATE_ERR_KEYS_ELSEWHERE (-46)
/** A key file: a label that is empty. */
#define KEYGATE_ERR_LABEL_EMPTY (-47)
/** A source or an identity header that belongs to the message itself, "host" or "upgrade" for example. */
#define KEYGATE_ERR_HEADER_RESERVED (-48)
/** An identity header that the gate reads or drops. */
#define KEYGATE_ERR_IDENTITY_TAKEN (-49)
/** match is none of the KEYGATE_MATCH_ numbers, or its name is not known. */
#define KEYGATE_ERR_MATCH (-50)
/** preflight is none of the KEYGATE_PREFLIGHT_ numbers, or its name is not known. */
#define KEYGATE_ERR_PREFLIGHT (-51)
/** strip is none of the KEYGATE_STRIP_ numbers, or its name is not known. */
#define KEYGATE_ERR_STRIP (-52)
/** A source with KEYGATE_SOURCE_BEARER and a scheme. */
#define KEYGATE_ERR_BEARER_AND_SCHEME (-53)
/** A scheme is longer than 16 bytes. */
#define KEYGATE_ERR_SCHEME_TOO_LONG (-54)
/** A scheme is not an HTTP token. */
#define KEYGATE_ERR_SCHEME_NOT_TOKEN (-55)
/** allow_origin is longer than 128 bytes, or in JSON empty. */
#define KEYGATE_ERR_ORIGIN_LENGTH (-56)
/** allow_origin holds a byte outside 0x21 to 0x7E. */
#define KEYGATE_ERR_ORIGIN_BYTE (-57)

/** keygate_config_error.field: no field, or the whole of the configuration. */
#define KEYGATE_FIELD_CONFIG 0
/** auth_mode */
#define KEYGATE_FIELD_AUTH_MODE 1
/** allow_lan_access */
#define KEYGATE_FIELD_ALLOW_LAN_ACCESS 2
/** api_key */
#define KEYGATE_FIELD_API_KEY 3
/** keys, or an entry of it */
#define KEYGATE_FIELD_KEYS 4
/** The key in an entry of keys */
#define KEYGATE_FIELD_KEY 5
/** The label in an entry of keys */
#define KEYGATE_FIELD_LABEL 6
/** sources, or an entry of it */
#define KEYGATE_FIELD_SOURCES 7
/** The name in an entry of sources */
#define KEYGATE_FIELD_SOURCE_NAME 8
/** bearer in an entry of sources */
#define KEYGATE_FIELD_BEARER 9
/** exempt, or an entry of it */
#define KEYGATE_FIELD_EXEMPT 10
/** proxy */
#define KEYGATE_FIELD_PROXY 11
/** match */
#define KEYGATE_FIELD_MATCH 12
/** preflight */
#define KEYGATE_FIELD_PREFLIGHT 13
/** strip */
#define KEYGATE_FIELD_STRIP 14
/** identity_header */
#define KEYGATE_FIELD_IDENTITY_HEADER 15
/** allow_origin */
#define KEYGATE_FIELD_ALLOW_ORIGIN 16
/** scheme in an entry of sources */
#define KEYGATE_FIELD_SCHEME 17

/** keygate_config_error.byte_class: the error is not about a byte. */
#define KEYGATE_BYTE_NONE 0
/** Line feed. */
#define KEYGATE_BYTE_LINE_FEED 1
/** Carriage return. */
#define KEYGATE_BYTE_CARRIAGE_RETURN 2
/** NUL. */
#define KEYGATE_BYTE_NUL 3
/** No-break space (U+00A0). */
#define KEYGATE_BYTE_NO_BREAK_SPACE 4
/** Zero-width space (U+200B). */
#define KEYGATE_BYTE_ZERO_WIDTH_SPACE 5
/** Byte order mark (U+FEFF). */
#define KEYGATE_BYTE_BYTE_ORDER_MARK 6
/** Another byte of 0x80 to 0xFF. */
#define KEYGATE_BYTE_NOT_ASCII 7
/** Another byte below 0x20, or 0x7F. */
#define KEYGATE_BYTE_CONTROL 8

/**
 * "strict": every request but OPTIONS needs a key, the exempt paths included. A zeroed mode is
 * this one.
 */
#define KEYGATE_MODE_STRICT 0
/** "off": no request needs a key. */
#define KEYGATE_MODE_OFF 1
/** "all_except_health": every request needs a key but OPTIONS, and GET or HEAD of an exempt path. */
#define KEYGATE_MODE_ALL_EXCEPT_HEALTH 2
/** "auto": all_except_health with KEYGATE_ALLOW_LAN_ACCESS, off without. Never an effective mode. */
#define KEYGATE_MODE_AUTO 3

/** "first": the first source that is present decides. */
#define KEYGATE_MATCH_FIRST 0
/** "any": a right key in any source is enough; where none has one, the first that is present decides. */
#define KEYGATE_MATCH_ANY 1

/** "options": every OPTIONS request passes without a key. */
#define KEYGATE_PREFLIGHT_OPTIONS 0
/** "cors": an OPTIONS request with both Origin and Access-Control-Request-Method does. */
#define KEYGATE_PREFLIGHT_CORS 1
/** "none": none does. */
#define KEYGATE_PREFLIGHT_NONE 2

/** "sources": every header with a source's name is dropped before a request is forwarded. */
#define KEYGATE_STRIP_SOURCES 0
/** "matched": those of them are whose value holds one of the gate's keys. */
#define KEYGATE_STRIP_MATCHED 1
/** "off": none of them is. */
#define KEYGATE_STRIP_OFF 2

/** Answer the request with 401. */
#define KEYGATE_DENY 0

/** Let the request pass. */
#define KEYGATE_ALLOW 1

/** Allow: the effective mode is off. */
#define KEYGATE_REASON_AUTH_OFF 1
/** Allow: the method is OPTIONS (a CORS preflight). The request has proved nothing. */
#define KEYGATE_REASON_PREFLIGHT 2
/** Allow: GET or HEAD of an exempt path in all_except_health. */
#define KEYGATE_REASON_HEALTH 3
/** Allow: the credential equals a key. */
#define KEYGATE_REASON_KEY_MATCHED 4
/** Deny: the policy has no key. */
#define KEYGATE_REASON_NO_KEY_CONFIGURED 16
/** Deny: no header of any source is present. */
#define KEYGATE_REASON_CREDENTIAL_MISSING 17
/** Deny: the deciding value is empty, or holds a byte outside SP, HTAB and 0x21 to 0x7E. */
#define KEYGATE_REASON_CREDENTIAL_UNUSABLE 18
/** Deny: the credential equals no key. */
#define KEYGATE_REASON_KEY_MISMATCH 19

/**
 * Deny: an argument of the call was bad, the policy zeroed, wiped or never made, or the
 * evaluation never begun or already finished.
 */
#define KEYGATE_REASON_INVALID_CALL 32

/** keygate_config.flags: what auto resolves to; other modes ignore it. */
#define KEYGATE_ALLOW_LAN_ACCESS 1

/** keygate_config.flags: no header is read. source_count must then be 0. */
#define KEYGATE_NO_SOURCES 2
/** keygate_config.flags: no path is exempt. exempt_count must then be 0. */
#define KEYGATE_NO_EXEMPT 4

/** keygate_source.flags: a leading "Bearer " (this case, one space) is not part of the credential. */
#define KEYGATE_SOURCE_BEARER 1

/** keygate_decision.flags: "Bearer ", or the source's scheme, was stripped from the deciding value. */
#define KEYGATE_BEARER_STRIPPED 1

/** Findings, one bit each; keygate_findings says what each one means. auto was resolved. */
#define KEYGATE_FINDING_AUTO_RESOLVED 1
/** The policy has no key. */
#define KEYGATE_FINDING_NO_KEY_CONFIGURED 2
/** A header that was not consulted holds a right key. */
#define KEYGATE_FINDING_SHADOWED_MATCH 4
/** A header that was not consulted holds something else. */
#define KEYGATE_FINDING_SHADOWED_PRESENT 8
/** The deciding name occurs again. */
#define KEYGATE_FINDING_DUPLICATE_IGNORED 16
/** Bearer without a space. */
#define KEYGATE_FINDING_BEARER_NO_SPACE 32
/** Bearer in another case. */
#define KEYGATE_FINDING_BEARER_CASE 64
/** More than one space, or a tab, after Bearer. */
#define KEYGATE_FINDING_BEARER_EXTRA_SPACE 128
/** Bearer twice. */
#define KEYGATE_FINDING_BEARER_DOUBLED 256
/** Bearer in a header that is not stripped of it. */
#define KEYGATE_FINDING_BEARER_IN_KEY_HEADER 512
/** Another scheme than Bearer. */
#define KEYGATE_FINDING_OTHER_SCHEME 1024
/** The credential stands in quotes. */
#define KEYGATE_FINDING_QUOTED 2048
/** The credential is a placeholder. */
#define KEYGATE_FINDING_PLACEHOLDER 4096
/** A key-like header that is not a source. */
#define KEYGATE_FINDING_UNREAD_HEADER 8192
/** A key in the query. */
#define KEYGATE_FINDING_KEY_IN_QUERY 16384
/** The credential is part of a key, or a key part of it. */
#define KEYGATE_FINDING_TRUNCATED 32768
/** An exempt path in strict mode. */
#define KEYGATE_FINDING_HEALTH_IN_STRICT 65536
/** Almost an exempt path. */
#define KEYGATE_FINDING_HEALTH_NEAR_MISS 131072
/** OPTIONS in another case. */
#define KEYGATE_FINDING_OPTIONS_CASE 262144
/** The deciding value holds a right key and something around it. */
#define KEYGATE_FINDING_KEY_SURROUNDED 524288
/** A right key stands where none is read. */
#define KEYGATE_FINDING_KEY_ELSEWHERE 1048576
/** The credential looks like one for another service. */
#define KEYGATE_FINDING_FOREIGN_CREDENTIAL 2097152
/** A path that health checks use and that is not exempt. */
#define KEYGATE_FINDING_PROBE_PATH 4194304
/** An OPTIONS request that does not pass as a preflight. */
#define KEYGATE_FINDING_PREFLIGHT_GUARDED 8388608
/** A configured key looks wrong. */
#define KEYGATE_FINDING_GATE_KEY_SUSPECT 16777216

/** Lints, one bit each; keygate_lints says what each one means. A key is an example, or a variable. */
#define KEYGATE_LINT_KEY_PLACEHOLDER 1
/** A key is wrapped in quotes. */
#define KEYGATE_LINT_KEY_QUOTED 2
/** A key begins with Bearer and a space. */
#define KEYGATE_LINT_KEY_BEARER 4
/** A key looks like NAME=value or a JSON object. */
#define KEYGATE_LINT_KEY_ASSIGNMENT 8
/** A key has fewer than 16 bytes. */
#define KEYGATE_LINT_KEY_SHORT 16
/** Two keys are equal. */
#define KEYGATE_LINT_KEY_REPEATED 32
/** There is no key, and the effective mode is not off. */
#define KEYGATE_LINT_NO_KEY 64
/** The effective mode is off, and there is a key. */
#define KEYGATE_LINT_OPEN 128
/** auto resolves to off. */
#define KEYGATE_LINT_AUTO_OPEN 256
/** A source's name holds '_' or '.'. */
#define KEYGATE_LINT_SOURCE_UNDERSCORE 512
/** An exempt path holds '*', or ends in '/' and is longer. */
#define KEYGATE_LINT_EXEMPT_PATTERN 1024

/** The size of a keygate_policy in words of 8 bytes. */
#define KEYGATE_POLICY_WORDS 512

/** The size of a keygate_evaluation in words of 8 bytes. */
#define KEYGATE_EVALUATION_WORDS 16

/** The size of a keygate_key_file in words of 8 bytes. */
#define KEYGATE_KEY_FILE_WORDS 8

/** The size of the buffer that keygate_generate_key needs, in bytes with the NUL. */
#define KEYGATE_GENERATED_KEY_SIZE 36

/** How requests are guarded: a KEYGATE_MODE_ number. */
typedef int32_t keygate_mode;

/**
 * Bytes that somebody else owns. With len 0, ptr is not looked at. No NUL is needed at the end,
 * and none ends it. The layout is frozen.
 */
typedef struct keygate_str {
  /** The first byte. */
  const char *ptr;
  /** How many bytes. */
  size_t len;
} keygate_str;

/** A key that clients may present. */
typedef struct keygate_key {
  /**
   * 1 to 256 bytes of SP, HTAB and 0x21 to 0x7E, neither starting nor ending with SP or HTAB, and
   * no variable that was not expanded.
   */
  struct keygate_str secret;
  /** 0 to 32 bytes of 0x21 to 0x7E that name the key in logs. */
  struct keygate_str label;
} keygate_key;

/** A header that a credential is read from. */
typedef struct keygate_source {
  /**
   * An HTTP token of 1 to 32 bytes, in any case, and none that belongs to the message itself
   * ("host", "upgrade").
   */
  struct keygate_str name;
  /**
   * Empty, or a token of 1 to 16 bytes: a leading auth-scheme of this name, in any case, and the
   * spaces behind it are not part of the credential.
   */
  struct keygate_str scheme;
  /** 0, or without a scheme KEYGATE_SOURCE_BEARER. */
  uint32_t flags;
} keygate_source;

/**
 * What a policy is made from. Begin with keygate_config_init, then set what differs. Nothing it
 * points to is needed once keygate_policy_init has returned.
 */
typedef struct keygate_config {
  /** The size of this struct in bytes, as the caller's header has it. */
  size_t size;
  /** A KEYGATE_MODE_ number. */
  keygate_mode auth_mode;
  /** KEYGATE_ALLOW_LAN_ACCESS, KEYGATE_NO_SOURCES, KEYGATE_NO_EXEMPT. */
  uint32_t flags;
  /**
   * The one key, without a label. Empty: no key, unless keys has some. Without any key, whatever
   * needs one is denied.
   */
  struct keygate_str api_key;
  /** Up to 8 keys instead of api_key, so that one can be retired after the next is in use. */
  const struct keygate_key *keys;
  /** How many. */
  size_t key_count;
  /**
   * Up to 8 sources in order of precedence. None: authorization (Bearer), x-api-key and
   * x-goog-api-key.
   */
  const struct keygate_source *sources;
  /** How many. */
  size_t source_count;
  /**
   * Up to 8 paths of 1 to 64 bytes of 0x21 to 0x7E that start with '/' and hold neither '?' nor
   * '#'. None: "/healthz".
   */
  const struct keygate_str *exempt;
  /** How many. */
  size_t exempt_count;
  /** A KEYGATE_MATCH_ number. */
  int32_t match;
  /** A KEYGATE_PREFLIGHT_ number. */
  int32_t preflight;
  /** A KEYGATE_STRIP_ number. */
  int32_t strip;
  /**
   * Empty, or the name of the header in which hosts tell what they forward to the label of the key
   * that matched: a token of 1 to 32 bytes that is no spelling of a source or of a header that the
   * gate reads or drops.
   */
  struct keygate_str identity_header;
  /**
   * Empty, or what hosts send as Access-Control-Allow-Origin with their 401: "*" or an origin of 1
   * to 128 bytes of 0x21 to 0x7E.
   */
  struct keygate_str allow_origin;
} keygate_config;

/** The library's result of setting something up: KEYGATE_OK, or a negative KEYGATE_ERR_ number. */
typedef int32_t keygate_status;

/**
 * Storage for a policy, anywhere the caller likes: static, on the stack, in a pool. It holds no
 * pointers into itself and may be copied with memcpy; each copy holds the keys and is wiped by
 * itself. A zeroed one denies everything.
 */
typedef struct keygate_policy {
  /** Not to be touched. */
  uint64_t opaque[KEYGATE_POLICY_WORDS];
} keygate_policy;

/** What is wrong with a configuration, and where. It holds no byte of what was configured. */
typedef struct keygate_config_error {
  /**
   * The size of this struct in bytes, as the caller's header has it. Set by the caller; no more
   * than this is written.
   */
  size_t size;
  /** KEYGATE_OK or a KEYGATE_ERR_ number. */
  keygate_status status;
  /** A KEYGATE_FIELD_ number. */
  int32_t field;
  /** A KEYGATE_BYTE_ number: with KEYGATE_ERR_KEY_BYTE, which byte it is. */
  int32_t byte_class;
  /** The entry of the list, from 0, or SIZE_MAX. */
  size_t index;
  /** The line of the text, from 1, or 0 where there is none. */
  size_t line;
  /** The column in that line, in characters from 1, or 0. */
  size_t column;
} keygate_config_error;

/** What texts for the operator are written in: a KEYGATE_LANGUAGE_ number. Any other is English. */
typedef int32_t keygate_language;

/**
 * Storage for reading a key file. It refers to the caller's text. A zeroed one has no keys and is
 * KEYGATE_ERR_STATE.
 */
typedef struct keygate_key_file {
  /** Not to be touched. */
  uint64_t opaque[KEYGATE_KEY_FILE_WORDS];
} keygate_key_file;

/** KEYGATE_ALLOW or KEYGATE_DENY, and never anything else. */
typedef int32_t keygate_verdict;

/** Which rule decided: a KEYGATE_REASON_ number. */
typedef int32_t keygate_reason;

/** What was decided and why. It holds no byte of a key or of a credential. */
typedef struct keygate_decision {
  /**
   * The size of this struct in bytes, as the caller's header has it. Set by the caller; no more
   * than this is written.
   */
  size_t size;
  /** KEYGATE_ALLOW or KEYGATE_DENY. */
  keygate_verdict verdict;
  /** A KEYGATE_REASON_ number. */
  keygate_reason reason;
  /**
   * The mode in force, auto being resolved; KEYGATE_MODE_STRICT with
   * KEYGATE_REASON_INVALID_CALL.
   */
  keygate_mode effective_mode;
  /** The index of the source that the deciding header belongs to, or -1 where no header decided. */
  int32_t source;
  /** The lowest index of a key that matched, or -1. */
  int32_t key;
  /** 0 or KEYGATE_BEARER_STRIPPED. */
  uint32_t flags;
  /** The index of the deciding header among those of the request or those pushed, or SIZE_MAX. */
  size_t header;
} keygate_decision;

/**
 * A header field as received: the name in any case, the value with or without white space around
 * it. The layout is frozen: four words, the same as phr_header, envoy_http_header and their kin.
 */
typedef struct keygate_header {
  /** The field name. */
  struct keygate_str name;
  /** The field value. */
  struct keygate_str value;
} keygate_header;

/** A request. */
typedef struct keygate_request {
  /** The size of this struct in bytes, as the caller's header has it. */
  size_t size;
  /** The method as on the request line. */
  struct keygate_str method;
  /** The request target as received: neither normalised nor percent-decoded, with its query. */
  struct keygate_str target;
  /** The header fields in the order received. */
  const struct keygate_header *headers;
  /** How many; there is no limit. */
  size_t header_count;
} keygate_request;

/** Storage for a decision under way. A zeroed one denies. It belongs to one thread at a time. */
typedef struct keygate_evaluation {
  /** Not to be touched. */
  uint64_t opaque[KEYGATE_EVALUATION_WORDS];
} keygate_evaluation;

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

/**
 * The number of the interface that the library has: compare it with KEYGATE_ABI_VERSION. Any
 * thread, any time.
 */
uint32_t keygate_abi_version(void);

/** The version of the library, "1.2.3" for example. Static. */
const char *keygate_version(void);

/**
 * Sets a config to its defaults: strict, no key, the default sources and exempt path.
 *
 * config: size bytes of the caller's, normally sizeof(keygate_config). NULL, misaligned or shorter
 * than a size_t: nothing is done.
 */
void keygate_config_init(struct keygate_config *config, size_t size);

/**
 * Reads a mode's name: "off", "strict", "all_except_health" or "auto", in lower case.
 *
 * out: set to KEYGATE_MODE_STRICT first, and to the mode where the name is known.
 *
 * Returns KEYGATE_OK; KEYGATE_ERR_MODE for any other name; KEYGATE_ERR_NULL,
 * KEYGATE_ERR_ALIGNMENT or KEYGATE_ERR_LENGTH for a bad argument.
 */
keygate_status keygate_mode_parse(struct keygate_str text, keygate_mode *out);

/**
 * Makes a policy of a config.
 *
 * policy: size bytes of the caller's, normally sizeof(keygate_policy). It is zeroed first, so that
 * it denies everything unless KEYGATE_OK is returned. To reload, make a second policy and swap.
 * config: copied, keys included; nothing of it is needed afterwards. Nothing of it may lie inside
 * policy.
 * error: NULL, or an error whose size is set: it is told the field and the entry too. It must not
 * overlap the policy.
 *
 * Returns KEYGATE_OK or what is wrong with the config; keygate_config_error_text says it in words.
 * A config without any key is not wrong: its policy denies whatever needs one.
 *
 * No other thread may use the policy until this has returned.
 */
keygate_status keygate_policy_init(struct keygate_policy *policy,
                                   size_t size,
                                   const struct keygate_config *config,
                                   struct keygate_config_error *error);

/**
 * Makes a policy of a configuration in JSON: the object with "auth_mode" and its other fields, or
 * one that has it under "proxy".
 *
 *   {"auth_mode": "strict", "keys": [{"key": "sk-...", "label": "alice"}],
 *    "sources": [{"name": "authorization", "bearer": true}], "exempt": ["/healthz"]}
 *
 * The fields are those of keygate_config, and "allow_lan_access": true. Inside and beside "proxy",
 * whose file is another product's, unknown fields are ignored; without "proxy" they are an error. A
 * field that is spelled almost like a known one ("apiKey") is an error in both. Each character of a
 * string stands for one byte, U+0000 to U+00FF. A leading byte order mark is skipped.
 *
 * policy, error: as for keygate_policy_init.
 * json: the text; nothing of it is needed afterwards.
 * keys: key_count keys from elsewhere, such as those of keygate_key_file_next; the text must then
 * have neither "api_key" nor "keys". NULL and 0: the keys are those in the text.
 *
 * Returns KEYGATE_OK or what is wrong with the text; error has the field, the entry, the line and
 * the column.
 */
keygate_status keygate_policy_parse(struct keygate_policy *policy,
                                    size_t size,
                                    struct keygate_str json,
                                    const struct keygate_key *keys,
                                    size_t key_count,
                                    struct keygate_config_error *error);

/**
 * Writes what is wrong as one sentence: line and column where there are any, the field with the
 * entry, and what it is. No byte of a key is in it.
 *
 * buffer: as for keygate_explain.
 *
 * Returns the length of the whole text in bytes without the NUL, like snprintf. For a bad argument
 * the text is that of KEYGATE_ERR_NULL, KEYGATE_ERR_ALIGNMENT or KEYGATE_ERR_SIZE.
 */
size_t keygate_config_error_text(const struct keygate_config_error *error,
                                 keygate_language language,
                                 char *buffer,
                                 size_t size);

/**
 * Begins to read a key file: one key a line, each with an optional label.
 *
 *   # laptops
 *   sk-5f0c4b8e21d97a36 label=alice
 *
 * A line that is empty or begins with '#' has none. A leading byte order mark and one CR at the end
 * of a line are skipped. Everything before the last " label=" of a line is the key, and what
 * follows it must be a label. Keys that begin with '#' or hold " label=" need JSON.
 *
 * file: size bytes of the caller's, normally sizeof(keygate_key_file).
 * text: kept until the last keygate_key_file_next; the keys lie in it.
 *
 * A bad argument shows in keygate_key_file_end.
 */
void keygate_key_file_begin(struct keygate_key_file *file, size_t size, struct keygate_str text);

/**
 * The next key.
 *
 * out: set to the key and its label, which lie in the text; to two empty strings where there is
 * none. It must not overlap the file.
 *
 * Returns false after the last key and at the first that can never work: keygate_key_file_end
 * tells the two apart.
 */
bool keygate_key_file_next(struct keygate_key_file *file, struct keygate_key *out);

/**
 * What was wrong in the lines that were read so far. It may be asked at any time.
 *
 * error: NULL, or an error whose size is set: it is told the line. It must not overlap the file.
 *
 * Returns KEYGATE_OK, or why keygate_key_file_next has stopped before the end.
 */
keygate_status keygate_key_file_end(struct keygate_key_file *file,
                                    struct keygate_config_error *error);

/**
 * Wipes a policy, keys and all, so that it denies everything afterwards. NULL is fine, and so is a
 * policy that was never made or is wiped already.
 *
 * No other thread may use the policy at the same time.
 */
void keygate_policy_wipe(struct keygate_policy *policy);

/** The mode as configured, a KEYGATE_MODE_ number. KEYGATE_MODE_STRICT for a bad policy. */
keygate_mode keygate_policy_auth_mode(const struct keygate_policy *policy);

/**
 * The mode in force, auto being resolved. With KEYGATE_MODE_OFF, no request is asked for a key.
 * KEYGATE_MODE_STRICT for a bad policy.
 */
keygate_mode keygate_policy_effective_mode(const struct keygate_policy *policy);

/** How many keys the policy has. 0 for a bad policy. */
size_t keygate_policy_key_count(const struct keygate_policy *policy);

/** How many headers the policy wants to see. 0 for a bad policy. */
size_t keygate_policy_wanted_count(const struct keygate_policy *policy);

/**
 * The name of a header that the policy wants to see, in lower case: the sources in order of
 * precedence, and with KEYGATE_PREFLIGHT_CORS "origin" and "access-control-request-method". A host with a header map may pass only these headers, every occurrence in the order
 * received; the decision is the same but for the header's index.
 *
 * The text lies inside the policy and lives as long. {NULL, 0} for a bad policy or an index
 * beyond the last.
 */
struct keygate_str keygate_policy_wanted_name(const struct keygate_policy *policy,
                                              size_t index);

/**
 * Whether the first wanted header that is present settles the decision, so that a host need not
 * look for the others. False for a bad policy.
 */
bool keygate_policy_first_decides(const struct keygate_policy *policy);

/**
 * The name, in lower case, of the header in which a host tells what it forwards to the label of the
 * key that matched (keygate_policy_key_label): it adds the header on KEYGATE_REASON_KEY_MATCHED where
 * that key has a label, after it has dropped what keygate_policy_drops says.
 *
 * The text lies inside the policy and lives as long. {NULL, 0} where there is none, and for a bad
 * policy.
 */
struct keygate_str keygate_policy_identity_header(const struct keygate_policy *policy);

/**
 * The name of the source that decided, in lower case: keygate_decision.source is its index.
 *
 * The text lies inside the policy and lives as long. {NULL, 0} for a bad policy or an index
 * beyond the last.
 */
struct keygate_str keygate_policy_source_name(const struct keygate_policy *policy, size_t index);

/**
 * The label of a key.
 *
 * The text lies inside the policy and lives as long. {NULL, 0} for a bad policy, an index beyond
 * the last, or a key without a label.
 */
struct keygate_str keygate_policy_key_label(const struct keygate_policy *policy, size_t index);

/**
 * Whether a header must be dropped before a request is forwarded that was decided so; the header's
 * part on FORWARDING says which are. It is asked with the decision as it came out of the call that
 * decided.
 *
 * Returns true for every header after a deny, and for a bad argument.
 */
bool keygate_policy_drops(const struct keygate_policy *policy,
                          const struct keygate_decision *decision,
                          struct keygate_str name,
                          struct keygate_str value);

/**
 * The lengths of the names that are read or may be dropped: bit n % 64 is set where one has n bytes.
 * A host may leave out every header whose name has another length: it changes nothing of a decision
 * but the header's index, and keygate_policy_drops is false for it unless the request is denied.
 *
 * Returns all ones for a bad policy.
 */
uint64_t keygate_policy_name_lengths(const struct keygate_policy *policy);

/**
 * Decides about a request: keygate_evaluation_begin, a push of each header and a finish, in one
 * call. Headers after the one that settles the verdict are not looked at.
 *
 * out: NULL, or a decision whose size is set; it is set to deny before anything else is read.
 *
 * Returns KEYGATE_ALLOW (1) or KEYGATE_DENY (0) and nothing else. Any bad argument, an unusable
 * policy included, is a deny with KEYGATE_REASON_INVALID_CALL.
 */
keygate_verdict keygate_decide(const struct keygate_policy *policy,
                               const struct keygate_request *request,
                               struct keygate_decision *out);

/**
 * Begins a decision that is fed one header at a time.
 *
 * evaluation: size bytes of the caller's, normally sizeof(keygate_evaluation).
 * policy: kept until keygate_evaluation_finish; it must stay as it is for so long.
 * method, target: judged at once and not kept.
 *
 * A bad argument shows in keygate_evaluation_finish, which then denies.
 */
void keygate_evaluation_begin(struct keygate_evaluation *evaluation,
                              size_t size,
                              const struct keygate_policy *policy,
                              struct keygate_str method,
                              struct keygate_str target);

/**
 * Takes the next header, in the order received. Nothing of it is kept, so one small buffer serves
 * for all of them.
 *
 * Returns false where nothing that follows can change the verdict; the rest may be left out then,
 * and pushing it does no harm. A bad argument returns false too and makes
 * keygate_evaluation_finish deny.
 */
bool keygate_evaluation_push(struct keygate_evaluation *evaluation,
                             struct keygate_str name,
                             struct keygate_str value);

/**
 * Ends an evaluation: the decision about the headers pushed so far. The evaluation must be begun
 * anew before it is used again; until then it denies.
 *
 * out: NULL, or a decision whose size is set. It must not overlap the evaluation.
 *
 * Returns KEYGATE_ALLOW (1) or KEYGATE_DENY (0) and nothing else.
 */
keygate_verdict keygate_evaluation_finish(struct keygate_evaluation *evaluation,
                                          struct keygate_decision *out);

/**
 * Says why a request is decided as it is, for the operator and never for the client: what it finds
 * out about a wrong key shows in the text and in the time it takes. It holds header names and
 * lengths, and no byte of a key or of a credential.
 *
 * buffer: size bytes of the caller's; NULL is fine with size 0. As much as fits is written, always
 * with a NUL at its end where size is not 0. NULL, or a size above PTRDIFF_MAX, counts as size 0.
 * It must not overlap the policy: then nothing is written and 0 returned.
 *
 * Returns the length of the whole text in bytes without the NUL, like snprintf: what is below
 * size was written whole. Lines end in '\n' but for the last. For a bad argument the text is that
 * of KEYGATE_REASON_INVALID_CALL and names the argument.
 */
size_t keygate_explain(const struct keygate_policy *policy,
                       const struct keygate_request *request,
                       keygate_language language,
                       char *buffer,
                       size_t size);

/**
 * The same as codes: bit i is row i of the table of findings, and keygate_finding_name gives its
 * name. 0 for a bad argument. For the operator, never for the client.
 */
uint32_t keygate_findings(const struct keygate_policy *policy,
                          const struct keygate_request *request);

/**
 * The name of a finding, "bearer_no_space" for example. Static; "unknown" unless exactly one known
 * bit is set.
 */
const char *keygate_finding_name(uint32_t one_bit);

/**
 * What a finding means, in one sentence. Static; "unknown finding" unless exactly one known bit is
 * set.
 */
const char *keygate_finding_text(uint32_t one_bit, keygate_language language);

/**
 * What is probably a mistake in the configuration that a policy was made from: bit i is row i of the
 * table of lints. A host logs each as a warning, name and text, when it starts and when it reloads. 0
 * for a bad policy.
 */
uint32_t keygate_lints(const struct keygate_policy *policy);

/** The name of a lint, "key_short" for example. Static; "unknown" unless exactly one known bit is set. */
const char *keygate_lint_name(uint32_t one_bit);

/**
 * What a lint means and what to change, in one sentence without a byte of a key. Static; "unknown lint"
 * unless exactly one known bit is set.
 */
const char *keygate_lint_text(uint32_t one_bit,
                              keygate_language language);

/**
 * Makes a fresh key: "sk-" and 32 lower-case hexadecimal digits.
 *
 * random: 16 bytes from the system's source of randomness.
 * buffer: size bytes of the caller's, at least KEYGATE_GENERATED_KEY_SIZE (36). With less, it gets
 * an empty text: half a key is none. NULL is fine with size 0.
 *
 * Returns 35, the length of the key without the NUL, or 0 for a bad argument.
 */
size_t keygate_generate_key(const uint8_t *random, char *buffer, size_t size);

/** One sentence for the operator's log. Static; "unknown reason" for any other number. */
const char *keygate_reason_text(keygate_reason reason, keygate_language language);

/** The name of a reason, "key_mismatch" for example. Static; "unknown" for any other number. */
const char *keygate_reason_name(keygate_reason reason);

/**
 * The name of a field, "auth_mode" or "keys.label" for example, and "" of KEYGATE_FIELD_CONFIG. Static;
 * "unknown" for any other number.
 */
const char *keygate_field_name(int32_t field);

/** The name of a mode, "all_except_health" for example. Static; "unknown" for any other number. */
const char *keygate_mode_name(keygate_mode mode);

/** The name of a status, "key_too_long" for example. Static; "unknown" for any other number. */
const char *keygate_status_name(keygate_status status);

/**
 * What a status means, in words. Static; "unknown status" for any other number.
 * keygate_config_error_text says more.
 */
const char *keygate_status_text(keygate_status status, keygate_language language);

/** The body to answer a denied request with, of type application/json. Static; never NULL. */
const char *keygate_denial_body(const struct keygate_decision *decision);

/**
 * The headers to answer a denied request with, and status 401: ask for index 0, 1, 2 and so on
 * until it returns false.
 *
 * policy: that which decided; a bad one is one without allow_origin.
 * out: set to a header, whose texts are static or lie in the policy; to two empty strings after the
 * last.
 */
bool keygate_denial_header(const struct keygate_policy *policy,
                           const struct keygate_decision *decision,
                           size_t index,
                           struct keygate_header *out);

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

#endif  /* KEYGATE_H */
