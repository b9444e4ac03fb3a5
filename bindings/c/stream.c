/* Decides about one request head from standard input, a header at a time, with room for one line of
 * 128 bytes: what a microcontroller does.
 *
 *   printf 'GET / HTTP/1.1\r\nx-api-key: sk-x\r\n\r\n' | ./stream sk-x
 *
 * A request line that does not fit is a deny, and so is a header's name. A value that does not fit
 * counts as an empty one, which no key equals and no other header rescues: nothing is ever decided
 * from half a line.
 * Exit status: 0 allow, 1 deny, 2 a bad call. */
#include <keygate.h>

#include <stdio.h>
#include <string.h>

#define HEAD_MAX 16384

enum line { LINE, TOO_LONG, NO_LINE };

static char buffer[128];

/* The next byte, or EOF: a head that never ends does not hold us for ever. */
static int next_byte(void) {
  static size_t read;
  return read++ < HEAD_MAX ? getchar() : EOF;
}

/* No control bytes but HTAB, and not EOF. */
static bool is_text(int byte) {
  return byte == '\t' || (byte >= ' ' && byte != 0x7F);
}

/* RFC 9110 section 5.6.2 */
static bool is_token(int byte) {
  return (byte >= '0' && byte <= '9') || (byte >= 'A' && byte <= 'Z') || (byte >= 'a' && byte <= 'z') ||
         (byte > 0 && strchr("!#$%&'*+-.^_`|~", byte) != NULL);
}

static bool is_visible(int byte) {
  return byte > ' ' && byte < 0x7F;
}

/* Reads a line without its CR LF into the buffer. TOO_LONG: the buffer is full of its beginning.
 * NO_LINE: the end, a control byte, a CR or LF alone. */
static enum line read_line(size_t *length) {
  for (*length = 0;; ++*length) {
    int byte = next_byte();
    if (byte == '\r') {
      return next_byte() == '\n' ? LINE : NO_LINE;
    }
    if (!is_text(byte)) {
      return NO_LINE;
    }
    if (*length == sizeof buffer) {
      return TOO_LONG;
    }
    buffer[*length] = (char)byte;
  }
}

/* Passes over the rest of a line that is too long, held to the same. */
static bool skip_line(void) {
  int byte;
  do {
    byte = next_byte();
  } while (is_text(byte));
  return byte == '\r' && next_byte() == '\n';
}

/* The bytes of one kind from `at` on, perhaps none. */
static keygate_str take(size_t at, size_t length, bool (*is)(int)) {
  keygate_str run = {buffer + at, 0};
  while (at + run.len < length && is((unsigned char)run.ptr[run.len])) {
    run.len++;
  }
  return run;
}

static bool is_version(const char *text, size_t length) {
  return length == 8 && memcmp(text, "HTTP/", 5) == 0 && text[5] >= '0' && text[5] <= '9' && text[6] == '.' &&
         text[7] >= '0' && text[7] <= '9';
}

/* RFC 9112 to the letter. False: not a request head; whatever is not one is never guessed at. */
static bool decide(const keygate_policy *policy, keygate_decision *decision) {
  size_t length;
  if (read_line(&length) != LINE) {
    return false;
  }
  keygate_str method = take(0, length, is_token);
  size_t at = method.len;
  if (method.len == 0 || at == length || buffer[at++] != ' ') {
    return false;
  }
  keygate_str target = take(at, length, is_visible);
  at += target.len;
  if (target.len == 0 || at == length || buffer[at++] != ' ' || !is_version(buffer + at, length - at)) {
    return false;
  }
  keygate_evaluation evaluation;
  keygate_evaluation_begin(&evaluation, sizeof evaluation, policy, method, target);
  for (;;) {
    enum line line = read_line(&length);
    if (line == LINE && length == 0) {
      keygate_evaluation_finish(&evaluation, decision);
      return true;
    }
    keygate_str name = take(0, length, is_token);
    if (line == NO_LINE || name.len == 0 || name.len == length || buffer[name.len] != ':') {
      return false;
    }
    keygate_str value = {buffer + name.len + 1, length - name.len - 1};
    if (line == TOO_LONG) {
      value.len = 0;
      if (!skip_line()) {
        return false;
      }
    }
    keygate_evaluation_push(&evaluation, name, value);
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
    status = keygate_policy_init(&policy, sizeof policy, &config, NULL);
  }
  if (status != KEYGATE_OK) {
    fprintf(stderr, "stream: %s\n", keygate_status_text(status, KEYGATE_LANGUAGE_EN));
    return 2;
  }
  keygate_decision decision = {.size = sizeof decision};
  bool allow = false;
  if (decide(&policy, &decision)) {
    allow = decision.verdict == KEYGATE_ALLOW;
    printf("%s %s\n", allow ? "allow" : "deny", keygate_reason_name(decision.reason));
  } else {
    puts("deny: not a request head, or one with a line or a name that does not fit");
  }
  keygate_policy_wipe(&policy);
  return allow ? 0 : 1;
}
