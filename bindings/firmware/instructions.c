/* How many instructions a decision takes, and that no secret changes how many. */
#include "checks.h"
#include "output.h"
#include "port.h"

enum { KEYS = 8, KEY_LEN = 256, NOWHERE = 9999 };

static char key_bytes[KEYS][KEY_LEN], credential[KEY_LEN];
static keygate_key keys[KEYS];
static keygate_header headers[8];
static keygate_request request;
static keygate_decision decision;
static keygate_evaluation evaluation;

static void nothing(void) {
}

static void nops(void) {
    __asm__ volatile(".rept 1000\n nop\n .endr");
}

static void decide(void) {
    keygate_decide(&policy, &request, &decision);
}

static void push(void) {
    keygate_evaluation_begin(&evaluation, sizeof evaluation, &policy, request.method,
                             request.target);
    for (size_t i = 0; i < request.header_count; i++)
        if (!keygate_evaluation_push(&evaluation, headers[i].name, headers[i].value))
            break;
    keygate_evaluation_finish(&evaluation, &decision);
}

__attribute__((noinline)) static uint32_t elapsed(void (*run)(void)) {
    uint32_t from = port_clock();
    run();
    return port_instructions(from, port_clock());
}

static uint32_t instructions(void (*run)(void)) {
    return elapsed(run) - elapsed(nothing);
}

/* Two results at least, and all of them the same. */
typedef struct group {
    uint32_t least, most, count;
} group;

static void add(group *group, void (*run)(void), keygate_reason reason) {
    uint32_t taken = instructions(run);
    if (decision.reason != reason)
        output_failure("instructions", "not the reason that is measured");
    if (group->count == 0 || taken < group->least)
        group->least = taken;
    if (taken > group->most)
        group->most = taken;
    group->count++;
}

static uint32_t compared, spread;

static void close(const group *group) {
    if (group->count < 2)
        output_failure("instructions", "nothing to compare with");
    compared += group->count;
    if (group->most - group->least > spread)
        spread = group->most - group->least;
}

/* Bytes that a key can have, and that differ from key to key. */
static char filler(uint32_t seed, uint32_t index) {
    return (char)('0' + (seed * 7 + index * 3 + seed * index) % 75);
}

static void reset_keys(void) {
    for (uint32_t i = 0; i < KEYS; i++) {
        for (uint32_t j = 0; j < KEY_LEN; j++)
            key_bytes[i][j] = filler(i + 1, j);
        keys[i] = (keygate_key){{key_bytes[i], 40 + i}, {0}};
    }
    for (uint32_t j = 0; j < KEY_LEN; j++)
        credential[j] = filler(0, j);
}

/* Key `index` becomes `len` bytes that begin like the credential, but for the byte at `differs`. */
static void set_key(uint32_t index, uint32_t len, uint32_t differs) {
    for (uint32_t j = 0; j < len; j++)
        key_bytes[index][j] = (char)(j == differs ? credential[j] ^ 1 : credential[j]);
    keys[index].secret.len = len;
}

/* Every place of the key among `count`, its length, and where it first differs. */
static void secrets(uint32_t sent, uint32_t count, void (*run)(void)) {
    group mismatch = {0}, match = {0};
    const uint32_t lens[] = {1, sent - 1, sent, sent + 1, KEY_LEN};
    request.header_count = 1;
    headers[0] = (keygate_header){{"x-api-key", 9}, {credential, sent}};
    for (uint32_t place = 0; place < count; place++) {
        for (uint32_t i = 0; i < sizeof lens / sizeof *lens; i++) {
            uint32_t len = lens[i];
            if (len == 0 || len > KEY_LEN)
                continue;
            const uint32_t places[] = {0, len / 2, len - 1, NOWHERE};
            for (uint32_t j = 0; j < sizeof places / sizeof *places; j++) {
                reset_keys();
                set_key(place, len, places[j]);
                make_policy(keys, count);
                if (len == sent && places[j] == NOWHERE)
                    add(&match, run, KEYGATE_REASON_KEY_MATCHED);
                else
                    add(&mismatch, run, KEYGATE_REASON_KEY_MISMATCH);
            }
        }
    }
    /* How many keys match is no less a secret than which. */
    reset_keys();
    for (uint32_t i = 0; i < count; i++)
        set_key(i, sent, NOWHERE);
    make_policy(keys, count);
    add(&match, run, KEYGATE_REASON_KEY_MATCHED);
    close(&mismatch);
    close(&match);
}

static void typical(const char *name, uint32_t count, uint32_t header_count) {
    static const keygate_header request_headers[] = {
        {{"Host", 4}, {"localhost:8080", 14}},
        {{"User-Agent", 10}, {"python-httpx/0.28.1", 19}},
        {{"Accept", 6}, {"*/*", 3}},
        {{"Accept-Encoding", 15}, {"gzip, deflate", 13}},
        {{"Connection", 10}, {"keep-alive", 10}},
        {{"Content-Type", 12}, {"application/json", 16}},
        {{"Content-Length", 14}, {"1024", 4}},
        {{"Authorization", 13}, {"Bearer sk-4f6a1c09b2d84e7795c3aa10de5b8f21", 42}},
    };
    reset_keys();
    keys[0].secret = (keygate_str){"sk-4f6a1c09b2d84e7795c3aa10de5b8f21", 35};
    make_policy(keys, count);
    request.header_count = header_count;
    for (uint32_t i = 0; i < header_count; i++)
        headers[i] = request_headers[8 - header_count + i];
    uint32_t taken = instructions(decide);
    keygate_reason reason =
        header_count ? KEYGATE_REASON_KEY_MATCHED : KEYGATE_REASON_CREDENTIAL_MISSING;
    if (decision.reason != reason)
        output_failure("instructions", name);
    output_number(name, taken);
}

void check_instructions(void) {
    request = (keygate_request){sizeof request, {"GET", 3}, {"/v1/models", 10}, headers, 0};
    decision.size = sizeof decision;
    if (instructions(nops) != 1000)
        output_failure("instructions", "1000 are not counted as 1000");
    typical("instructions, no header", 1, 0);
    typical("instructions, key of 35 bytes in the only header", 1, 1);
    typical("instructions, key of 35 bytes in the last of 8", 1, 8);
    output_number("the same, header by header", instructions(push));
    typical("the same, 8 keys", 8, 8);

    const uint32_t sent[] = {1, 2, 8, 35, 255, 256};
    for (uint32_t i = 0; i < sizeof sent / sizeof *sent; i++)
        for (uint32_t count = 1; count <= KEYS; count += KEYS - 1) {
            secrets(sent[i], count, decide);
            secrets(sent[i], count, push);
        }
    output_number("decisions compared over secrets", compared);
    output_number("instructions that secrets make a difference of", spread);
    if (spread)
        output_failure("instructions", "they depend on a secret");
}
