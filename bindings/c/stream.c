/* Decides about one request head from standard input, a header at a time, with room for one line of
 * 128 bytes: what a microcontroller does.
 *
 *   printf 'GET / HTTP/1.1\r\nx-api-key: sk-x\r\n\r\n' | ./stream sk-x
 *
 * A line that does not fit is skipped where its name shows that it carries no credential. Any other
 * is a deny: nothing is ever decided from half a line.
 * Exit status: 0 allow, 1 deny, 2 a bad call. */
#include <keygate.h>

#include <stdio.h>
#include <string.h>

enum line { LINE, TOO_LONG, NO_LINE };

static char buffer[128];

/* Reads a line without its end into the buffer. TOO_LONG: the buffer is full of its beginning. */
static enum line read_line(size_t *length) {
  *length = 0;
  for (int byte = getchar(); byte != EOF; byte = getchar()) {
    if (byte == '\n') {
      if (*length > 0 && buffer[*length - 1] == '\r') {
        --*length;
      }
      return LINE;
    }
    if (*length == sizeof buffer) {
      return TOO_LONG;
    }
    buffer[(*length)++] = (char)byte;
  }
  return NO_LINE;
}

static bool skip_line(void) {
  int byte;
  do {
    byte = getchar();
  } while (byte != EOF && byte != '\n');
  return byte == '\n';
}

/* The name of the header in the buffer; empty where there is none. */
static keygate_str header_name(size_t length) {
  keygate_str name = {buffer, 0};
  while (name.len < length && buffer[name.len] > ' ' && buffer[name.len] != ':') {
    name.len++;
  }
  if (name.len == length || buffer[name.len] != ':') {
    name.len = 0;
  }
  return name;
}

static bool decide(const keygate_policy *policy, keygate_decision *decision) {
  static const keygate_str nothing = {NULL, 0};
  /* What is dropped after this decision is what a credential is read from, under any spelling. */
  static const keygate_decision off = {
      .size = sizeof off, .verdict = KEYGATE_ALLOW, .reason = KEYGATE_REASON_AUTH_OFF};
  size_t length;
  if (read_line(&length) != LINE) {
    return false;
  }
  const char *space = memchr(buffer, ' ', length);
  size_t method = space == NULL ? 0 : (size_t)(space - buffer);
  const char *target = buffer + method + 1;
  const char *end = space == NULL ? NULL : memchr(target, ' ', length - method - 1);
  if (method == 0 || end == NULL || end == target) {
    return false;
  }
  keygate_evaluation evaluation;
  keygate_evaluation_begin(&evaluation, sizeof evaluation, policy, (keygate_str){buffer, method},
                           (keygate_str){target, (size_t)(end - target)});
  bool open = true;
  for (;;) {
    enum line line = read_line(&length);
    if (line == LINE && length == 0) {
      return keygate_evaluation_finish(&evaluation, decision);
    }
    keygate_str name = header_name(length);
    if (line == NO_LINE || name.len == 0) {
      return false;
    }
    keygate_str value = {buffer + name.len + 1, length - name.len - 1};
    if (line == TOO_LONG) {
      if (open && keygate_policy_drops(policy, &off, name, nothing)) {
        /* Once the verdict is settled, no push is taken any more: a header without a name tells. */
        open = keygate_evaluation_push(&evaluation, nothing, nothing);
        if (open) {
          return false;
        }
      }
      value = nothing; /* it does not matter */
      if (!skip_line()) {
        return false;
      }
    }
    open = open && keygate_evaluation_push(&evaluation, name, value);
  }
}

int main(int argc, char **argv) {
  if (argc < 2) {
    fputs("usage: stream KEY [MODE] <request-head\n", stderr);
    return 2;
  }
  keygate_config config;
  keygate_config_init(&config, sizeof config);
  config.api_key = (keygate_str){argv[1], strlen(argv[1])};
  keygate_status status = KEYGATE_OK;
  if (argc > 2) {
    status = keygate_mode_parse((keygate_str){argv[2], strlen(argv[2])}, &config.auth_mode);
  }
  static keygate_policy policy;
  if (status == KEYGATE_OK) {
    status = keygate_policy_init(&policy, sizeof policy, &config);
  }
  if (status != KEYGATE_OK) {
    fprintf(stderr, "stream: %s\n", keygate_status_text(status));
    return 2;
  }
  keygate_decision decision = {.size = sizeof decision};
  bool allow = decide(&policy, &decision);
  if (decision.reason == 0) {
    puts("deny: not a request head, or a line that matters is longer than the buffer");
  } else {
    printf("%s %s\n", allow ? "allow" : "deny", keygate_reason_name(decision.reason));
  }
  keygate_policy_wipe(&policy);
  return allow ? 0 : 1;
}
