/* Decides about one request head from standard input.
 *
 *   printf 'GET / HTTP/1.1\r\nx-api-key: sk-x\r\n\r\n' | GATE_API_KEY=sk-x ./gate [MODE]
 *
 * MODE is strict (the default), off, all_except_health or auto. Prints the verdict, the reason and,
 * on a deny, the answer. With GATE_EXPLAIN set, says why on standard error.
 * Exit status: 0 allow, 1 deny, 2 a bad call or a request head that cannot be read. */
#include <keygate.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HEAD_MAX 65536
#define HEADERS_MAX 256

static char head[HEAD_MAX];
static keygate_header headers[HEADERS_MAX];

/* RFC 9110 section 5.6.2 */
static bool is_token(unsigned char byte) {
  return (byte >= '0' && byte <= '9') || (byte >= 'A' && byte <= 'Z') || (byte >= 'a' && byte <= 'z') ||
         (byte != 0 && strchr("!#$%&'*+-.^_`|~", byte) != NULL);
}

static bool is_digit(unsigned char byte) {
  return byte >= '0' && byte <= '9';
}

static bool is_visible(unsigned char byte) {
  return byte > ' ' && byte < 0x7F;
}

/* No control bytes but HTAB, so neither CR, LF nor NUL. */
static bool is_text(unsigned char byte) {
  return byte == '\t' || (byte >= ' ' && byte != 0x7F);
}

/* The bytes of one kind from `at` on, perhaps none; `at` is moved behind them. */
static keygate_str take(const char **at, const char *end, bool (*is)(unsigned char)) {
  keygate_str run = {*at, 0};
  while (*at < end && is((unsigned char)**at)) {
    ++*at;
    run.len++;
  }
  return run;
}

/* Moves `at` behind `text`, where that is what stands there. */
static bool skip(const char **at, const char *end, const char *text) {
  size_t len = strlen(text);
  if ((size_t)(end - *at) < len || memcmp(*at, text, len) != 0) {
    return false;
  }
  *at += len;
  return true;
}

/* RFC 9112 to the letter: whatever is not a whole request head is refused, never guessed at. What
 * another server might read in another way, a bare CR or LF, a folded line, a second space, is not
 * read here at all. */
static bool parse(const char *at, const char *end, keygate_request *request) {
  request->method = take(&at, end, is_token);
  if (request->method.len == 0 || !skip(&at, end, " ")) {
    return false;
  }
  request->target = take(&at, end, is_visible);
  if (request->target.len == 0 || !skip(&at, end, " HTTP/") || take(&at, end, is_digit).len != 1 ||
      !skip(&at, end, ".") || take(&at, end, is_digit).len != 1 || !skip(&at, end, "\r\n")) {
    return false;
  }
  request->headers = headers;
  for (request->header_count = 0; !skip(&at, end, "\r\n"); request->header_count++) {
    if (request->header_count == HEADERS_MAX) {
      return false;
    }
    keygate_header *header = &headers[request->header_count];
    header->name = take(&at, end, is_token);
    if (header->name.len == 0 || !skip(&at, end, ":")) {
      return false;
    }
    header->value = take(&at, end, is_text);
    if (!skip(&at, end, "\r\n")) {
      return false;
    }
  }
  return true;
}

static bool is_connection(keygate_str name) {
  static const char connection[] = "connection";
  bool same = name.len == sizeof connection - 1;
  for (size_t i = 0; same && i < name.len; i++) {
    same = (name.ptr[i] | 0x20) == connection[i];
  }
  return same;
}

/* Whether the header must not reach the upstream. A request that was allowed without a key is one
 * request and not a connection: it upgrades nothing. */
static bool drops(const keygate_policy *policy, const keygate_decision *decision, keygate_header header) {
  bool keyless = decision->reason == KEYGATE_REASON_PREFLIGHT || decision->reason == KEYGATE_REASON_HEALTH;
  return keygate_policy_drops(policy, decision, header.name, header.value) || (keyless && is_connection(header.name));
}

int main(int argc, char **argv) {
  keygate_config config;
  keygate_config_init(&config, sizeof config);
  const char *api_key = getenv("GATE_API_KEY");
  if (api_key != NULL) {
    config.api_key.ptr = api_key;
    config.api_key.len = strlen(api_key);
  }
  keygate_config_error error = {.size = sizeof error};
  if (argc > 1) {
    keygate_str mode = {argv[1], strlen(argv[1])};
    error.status = keygate_mode_parse(mode, &config.auth_mode);
  }
  static keygate_policy policy;
  if (error.status != KEYGATE_OK || keygate_policy_init(&policy, sizeof policy, &config, &error) != KEYGATE_OK) {
    char why[256];
    keygate_config_error_text(&error, KEYGATE_LANGUAGE_EN, why, sizeof why);
    fprintf(stderr, "gate: %s\n", why);
    return 2;
  }

  keygate_request request = {.size = sizeof request};
  size_t length = fread(head, 1, sizeof head, stdin);
  if (!parse(head, head + length, &request)) {
    fprintf(stderr, "gate: not a request head of up to %d bytes and %d headers\n", HEAD_MAX, HEADERS_MAX);
    keygate_policy_wipe(&policy);
    return 2;
  }
  keygate_decision decision = {.size = sizeof decision};
  bool allow = keygate_decide(&policy, &request, &decision);
  printf("%s %s\n", allow ? "allow" : "deny", keygate_reason_name(decision.reason));
  if (allow) {
    for (size_t i = 0; i < request.header_count; i++) {
      if (drops(&policy, &decision, headers[i])) {
        keygate_str name = headers[i].name;
        printf("drop before forwarding: %.*s\n", (int)name.len, name.ptr);
      }
    }
  } else {
    puts("401");
    keygate_header header;
    for (size_t i = 0; keygate_denial_header(&policy, &decision, i, &header); i++) {
      printf("%.*s: %.*s\n", (int)header.name.len, header.name.ptr, (int)header.value.len, header.value.ptr);
    }
    printf("\n%s\n", keygate_denial_body(&decision));
  }
  if (getenv("GATE_EXPLAIN") != NULL) {
    char why[4096];
    keygate_explain(&policy, &request, KEYGATE_LANGUAGE_EN, why, sizeof why);
    fprintf(stderr, "%s\n", why);
  }
  keygate_policy_wipe(&policy);
  return allow ? 0 : 1;
}
