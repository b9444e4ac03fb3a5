/* The gate that a C programmer would write for its own proxy: the rules, the checks of pointers and the
   comparison in constant time are keygate's, and nothing that no configuration here asks for. */
#include <keygate.h>
#include <stdint.h>
#include <string.h>

enum { KEY_MAX = 256, KEYS = 8, SOURCES = 3 };

struct key {
  uint8_t bytes[KEY_MAX];
  uint64_t len;
};

/* A name of 8 to 16 bytes by its two ends, each with the case bit of its letters. */
struct name {
  size_t len;
  uint64_t first, first_fold, last, last_fold;
};

struct gate {
  uint64_t lengths; /* of the names, as bits */
  struct name names[SOURCES];
  size_t key_count;
  struct key keys[KEYS];
};

static const keygate_str sources[SOURCES] = {
  {"authorization", 13}, {"x-api-key", 9}, {"x-goog-api-key", 14},
};

size_t gate_size(void)
{
  return sizeof(struct gate);
}

static uint64_t word(const void *at)
{
  uint64_t word;
  memcpy(&word, at, sizeof word);
  return word;
}

static uint64_t fold(const char *at)
{
  char fold[8];
  for (size_t i = 0; i < sizeof fold; i++)
    fold[i] = at[i] >= 'a' && at[i] <= 'z' ? 0x20 : 0;
  return word(fold);
}

void gate_init(struct gate *gate, keygate_str key)
{
  memset(gate, 0, sizeof *gate);
  for (size_t i = 0; i < SOURCES; i++) {
    keygate_str name = sources[i];
    const char *last = name.ptr + name.len - 8;
    gate->lengths |= 1ull << name.len;
    gate->names[i] = (struct name){name.len, word(name.ptr), fold(name.ptr), word(last), fold(last)};
  }
  memcpy(gate->keys[0].bytes, key.ptr, key.len);
  gate->keys[0].len = key.len;
  gate->key_count = 1;
}

static int bad(const void *at, size_t len, size_t item)
{
  return len != 0 && (at == NULL || len > PTRDIFF_MAX / item || (uintptr_t)at > UINTPTR_MAX - len * item);
}

static int unaligned(const void *at)
{
  return at == NULL || (uintptr_t)at % sizeof(void *) != 0;
}

static int overlap(const void *a, size_t a_len, const void *b, size_t b_len)
{
  uintptr_t first = (uintptr_t)a, second = (uintptr_t)b;
  return first < second + b_len && second < first + a_len;
}

/* 0 where they are the same; reads as many bytes as were sent, whatever the key is. */
static uint64_t differs(const struct key *key, const uint8_t *sent, size_t len)
{
  uint64_t differs = key->len ^ len;
  size_t at = 0;
  for (; at + 8 <= len; at += 8)
    differs |= word(key->bytes + at) ^ word(sent + at);
  for (; at < len; at++)
    differs |= key->bytes[at] ^ sent[at];
  return differs;
}

static int usable(const uint8_t *text, size_t len)
{
  int sound = len != 0;
  for (size_t i = 0; i < len; i++)
    sound &= text[i] == '\t' || (text[i] >= 0x20 && text[i] < 0x7f);
  return sound;
}

static int is_health(keygate_str method, keygate_str target)
{
  if (!(method.len == 3 && memcmp(method.ptr, "GET", 3) == 0) &&
      !(method.len == 4 && memcmp(method.ptr, "HEAD", 4) == 0))
    return 0;
  return target.len >= 8 && memcmp(target.ptr, "/healthz", 8) == 0 &&
         (target.len == 8 || target.ptr[8] == '?') && memchr(target.ptr, '#', target.len) == NULL;
}

keygate_verdict gate_decide(const struct gate *gate, const keygate_request *request, keygate_decision *out)
{
  if (out != NULL) {
    if (unaligned(out) || out->size != sizeof *out || overlap(out, sizeof *out, gate, sizeof *gate))
      return KEYGATE_DENY;
    out->verdict = KEYGATE_DENY;
    out->reason = KEYGATE_REASON_INVALID_CALL;
    out->effective_mode = KEYGATE_MODE_STRICT;
    out->source = out->key = -1;
    out->flags = 0;
    out->header = SIZE_MAX;
  }
  if (unaligned(gate) || unaligned(request) || request->size != sizeof *request ||
      bad(request->headers, request->header_count, sizeof *request->headers) ||
      (request->header_count != 0 && unaligned(request->headers)) ||
      bad(request->method.ptr, request->method.len, 1) || bad(request->target.ptr, request->target.len, 1))
    return KEYGATE_DENY;
  const keygate_header *headers = request->headers;
  if (out != NULL && (overlap(out, sizeof *out, request, sizeof *request) ||
                      overlap(out, sizeof *out, headers, request->header_count * sizeof *headers)))
    return KEYGATE_DENY;

  size_t open = 0, deciding = SIZE_MAX;
  keygate_reason reason = KEYGATE_REASON_CREDENTIAL_MISSING;
  if (request->method.len == 7 && memcmp(request->method.ptr, "OPTIONS", 7) == 0)
    reason = KEYGATE_REASON_PREFLIGHT;
  else if (is_health(request->method, request->target))
    reason = KEYGATE_REASON_HEALTH;
  else if (gate->key_count == 0)
    reason = KEYGATE_REASON_NO_KEY_CONFIGURED;
  else
    open = SOURCES;

  for (size_t i = 0; i < request->header_count && open != 0; i++) {
    keygate_str name = headers[i].name;
    if ((gate->lengths >> (name.len % 64) & 1) == 0)
      continue;
    if (bad(name.ptr, name.len, 1))
      goto invalid;
    for (size_t source = 0; source < open; source++) {
      const struct name *own = &gate->names[source];
      if (name.len == own->len && (word(name.ptr + name.len - 8) | own->last_fold) == own->last &&
          (word(name.ptr) | own->first_fold) == own->first) {
        if (bad(headers[i].value.ptr, headers[i].value.len, 1))
          goto invalid;
        open = source;
        deciding = i;
        break;
      }
    }
  }

  int key = -1, stripped = 0;
  if (deciding != SIZE_MAX) {
    const uint8_t *text = (const uint8_t *)headers[deciding].value.ptr;
    size_t len = headers[deciding].value.len;
    while (len != 0 && (text[0] == ' ' || text[0] == '\t'))
      text++, len--;
    while (len != 0 && (text[len - 1] == ' ' || text[len - 1] == '\t'))
      len--;
    if (open == 0 && len >= 7 && memcmp(text, "Bearer ", 7) == 0)
      text += 7, len -= 7, stripped = 1;
    if (len != 0 && len <= KEY_MAX)
      for (size_t i = gate->key_count; i-- > 0;) {
        uint64_t wrong = differs(&gate->keys[i], text, len);
        key = wrong == 0 ? (int)i : key;
      }
    reason = key >= 0               ? KEYGATE_REASON_KEY_MATCHED
             : usable(text, len)    ? KEYGATE_REASON_KEY_MISMATCH
                                    : KEYGATE_REASON_CREDENTIAL_UNUSABLE;
  }
  keygate_verdict verdict = reason < KEYGATE_REASON_NO_KEY_CONFIGURED ? KEYGATE_ALLOW : KEYGATE_DENY;
  if (out != NULL) {
    out->verdict = verdict;
    out->reason = reason;
    out->source = deciding == SIZE_MAX ? -1 : (int32_t)open;
    out->key = key;
    out->flags = stripped ? KEYGATE_BEARER_STRIPPED : 0;
    out->header = deciding;
  }
  return verdict;

invalid:
  return KEYGATE_DENY;
}
