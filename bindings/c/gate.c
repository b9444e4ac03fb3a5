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

static keygate_str text(const char *from, const char *to) {
  keygate_str str = {from, (size_t)(to - from)};
  return str;
}

/* The end of the line at `at`, without its CR; `next` is set to what follows. NULL: no line. */
static const char *line_end(const char *at, const char *end, const char **next) {
  const char *lf = memchr(at, '\n', (size_t)(end - at));
  if (lf == NULL) {
    return NULL;
  }
  *next = lf + 1;
  return lf > at && lf[-1] == '\r' ? lf - 1 : lf;
}

/* Whatever is not a request head is refused, never guessed at. */
static bool parse(const char *at, const char *end, keygate_request *request) {
  const char *next;
  const char *stop = line_end(at, end, &next);
  const char *space = stop == NULL ? NULL : memchr(at, ' ', (size_t)(stop - at));
  if (space == NULL || space == at) {
    return false;
  }
  request->method = text(at, space);
  at = space + 1;
  space = memchr(at, ' ', (size_t)(stop - at));
  if (space == NULL || space == at || stop - space < 6 || memcmp(space + 1, "HTTP/", 5) != 0) {
    return false;
  }
  request->target = text(at, space);
  request->headers = headers;
  request->header_count = 0;
  for (at = next; (stop = line_end(at, end, &next)) != NULL; at = next) {
    if (stop == at) {
      return true;
    }
    const char *colon = memchr(at, ':', (size_t)(stop - at));
    if (colon == NULL || colon == at || request->header_count == HEADERS_MAX) {
      return false;
    }
    for (const char *byte = at; byte < colon; byte++) {
      if (*byte <= ' ') {
        return false; /* a folded line, or white space before the colon */
      }
    }
    headers[request->header_count].name = text(at, colon);
    headers[request->header_count].value = text(colon + 1, stop);
    request->header_count++;
  }
  return false;
}

int main(int argc, char **argv) {
  keygate_config config;
  keygate_config_init(&config, sizeof config);
  const char *api_key = getenv("GATE_API_KEY");
  if (api_key != NULL) {
    config.api_key.ptr = api_key;
    config.api_key.len = strlen(api_key);
  }
  keygate_status status = KEYGATE_OK;
  if (argc > 1) {
    keygate_str mode = {argv[1], strlen(argv[1])};
    status = keygate_mode_parse(mode, &config.auth_mode);
  }
  static keygate_policy policy;
  if (status == KEYGATE_OK) {
    status = keygate_policy_init(&policy, sizeof policy, &config);
  }
  if (status != KEYGATE_OK) {
    fprintf(stderr, "gate: %s\n", keygate_status_text(status));
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
      keygate_str name = headers[i].name;
      if (keygate_policy_drops(&policy, &decision, name, headers[i].value)) {
        printf("drop before forwarding: %.*s\n", (int)name.len, name.ptr);
      }
    }
  } else {
    printf("401\nWWW-Authenticate: %s\nContent-Type: application/json\n\n%s\n",
           keygate_denial_challenge(&decision), keygate_denial_body(&decision));
  }
  if (getenv("GATE_EXPLAIN") != NULL) {
    char why[4096];
    keygate_explain(&policy, &request, why, sizeof why);
    fprintf(stderr, "%s\n", why);
  }
  keygate_policy_wipe(&policy);
  return allow ? 0 : 1;
}
