/* Decides many times, so that valgrind can see whether anything depends on a key.

   driver memcheck: the keys' bytes and lengths are undefined during each call, and memcheck counts
   what is decided by them. driver callgrind: the same request against many keys, instructions
   counted one call at a time. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <valgrind/callgrind.h>
#include <valgrind/memcheck.h>

#include "keygate.h"

#define MAX_KEYS 8
#define MAX_KEY 256
#define BEARER "Bearer "

struct key {
	char bytes[MAX_KEY];
	size_t len;
};

/* Without optimisation, a call to this may be left where no panic can be reached. */
void keygate_a_panic_can_be_reached(void)
{
	abort();
}

static void fail(const char *what)
{
	fprintf(stderr, "driver: %s\n", what);
	exit(2);
}

static struct key key_of(size_t len, unsigned seed)
{
	struct key key = {.len = len};
	for (size_t i = 0; i < len; i++)
		key.bytes[i] = (char)(0x21 + (seed * 31 + i * 7 + i / 13) % 94);
	return key;
}

static void make(keygate_policy *policy, const struct key *keys, size_t count)
{
	keygate_key list[MAX_KEYS] = {0};
	keygate_config config;
	for (size_t i = 0; i < count; i++)
		list[i].secret = (keygate_str){keys[i].bytes, keys[i].len};
	keygate_config_init(&config, sizeof config);
	config.keys = list;
	config.key_count = count;
	if (keygate_policy_init(policy, sizeof *policy, &config, NULL) != KEYGATE_OK)
		fail("no policy");
}

/* Which bytes of a policy depend on its keys: found by making many policies. */
static void find_secrets(unsigned char *secret, size_t count)
{
	static keygate_policy first, other;
	struct key keys[MAX_KEYS];
	memset(secret, 0, sizeof first);
	for (unsigned round = 0; round < 64; round++) {
		for (size_t i = 0; i < count; i++)
			keys[i] = key_of(round % 2 ? 1 + (round * 37 + i * 11) % MAX_KEY : MAX_KEY, round * 8 + (unsigned)i);
		make(round ? &other : &first, keys, count);
		for (size_t at = 0; round && at < sizeof first; at++)
			secret[at] |= ((unsigned char *)&first)[at] != ((unsigned char *)&other)[at];
	}
	/* Where a policy holds padding, so may this. */
	VALGRIND_MAKE_MEM_DEFINED(secret, sizeof first);
	size_t found = 0;
	for (size_t at = 0; at < sizeof first; at++)
		found += secret[at];
	if (found < count * (MAX_KEY + 1))
		fail("the keys are not where they should be");
}

/* One request, by one of the two ways to decide. */
static keygate_decision decide(const keygate_policy *policy, const char *name, const char *value, size_t len, int push)
{
	keygate_decision out = {.size = sizeof out};
	keygate_str method = {"GET", 3}, target = {"/v1/models", 10};
	keygate_header header = {{name, strlen(name)}, {value, len}};
	keygate_verdict verdict;
	if (push) {
		keygate_evaluation evaluation;
		keygate_evaluation_begin(&evaluation, sizeof evaluation, policy, method, target);
		bool open = keygate_evaluation_push(&evaluation, header.name, header.value);
		VALGRIND_MAKE_MEM_DEFINED(&open, sizeof open);
		verdict = keygate_evaluation_finish(&evaluation, &out);
	} else {
		keygate_request request = {sizeof request, method, target, &header, 1};
		verdict = keygate_decide(policy, &request, &out);
	}
	VALGRIND_MAKE_MEM_DEFINED(&out, sizeof out);
	VALGRIND_MAKE_MEM_DEFINED(&verdict, sizeof verdict);
	if (verdict != out.verdict)
		fail("two verdicts");
	return out;
}

static unsigned long cases;

/* Prints how many times memcheck complained during a call: "errors VERDICT POSSIBLE COUNT". */
static void watched(const keygate_policy *made, const unsigned char *secret,
		    const char *value, size_t len, int expected)
{
	static keygate_policy policy;
	static char bearer[sizeof BEARER + MAX_KEY + 1];
	memcpy(bearer, BEARER, strlen(BEARER));
	memcpy(bearer + strlen(BEARER), value, len);
	for (int way = 0; way < 4; way++) {
		memcpy(&policy, made, sizeof policy);
		for (size_t at = 0; at < sizeof policy; at++)
			if (secret[at])
				VALGRIND_MAKE_MEM_UNDEFINED((char *)&policy + at, 1);
		unsigned before = VALGRIND_COUNT_ERRORS;
		/* Nothing is left of the prefix where nothing follows it. */
		int prefixed = way % 2 && len > 0;
		keygate_decision out = prefixed
			? decide(&policy, "authorization", bearer, strlen(BEARER) + len, way / 2)
			: decide(&policy, "x-api-key", value, len, way / 2);
		unsigned after = VALGRIND_COUNT_ERRORS;
		printf("errors %d %d %u\n", out.verdict, len >= 1 && len <= MAX_KEY, after - before);
		if (out.verdict != expected)
			fail("wrong verdict");
		cases++;
	}
}

static void memcheck(void)
{
	static const size_t lengths[] = {1, 2, 7, 8, 9, 16, 35, 64, 255, 256};
	static const size_t counts[] = {1, 8};
	static keygate_policy policy;
	static unsigned char secret[sizeof policy];
	if (!RUNNING_ON_VALGRIND)
		fail("not under valgrind: nothing would be checked");
	unsigned char probe[1];
	VALGRIND_MAKE_MEM_UNDEFINED(probe, 1);
	if (VALGRIND_GET_VBITS(probe, secret, 1) != 1 || secret[0] != 0xff)
		fail("not under memcheck: nothing would be checked");
	for (size_t c = 0; c < 2; c++) {
		size_t count = counts[c];
		find_secrets(secret, count);
		for (size_t l = 0; l < sizeof lengths / sizeof *lengths; l++) {
			struct key keys[MAX_KEYS];
			size_t len = lengths[l], at = l % count;
			/* The others are of other lengths; one is the wanted key and one byte more or less. */
			for (size_t i = 0; i < count; i++)
				keys[i] = key_of(1 + (len * 5 + i * 41) % MAX_KEY, 100 + (unsigned)i);
			keys[at] = key_of(len, 7);
			make(&policy, keys, count);
			char value[MAX_KEY + 1];
			memcpy(value, keys[at].bytes, len);
			value[len] = '~';
			watched(&policy, secret, value, len, 1);
			for (size_t differs = 0; differs < len; differs += differs < 20 || differs > 250 ? 1 : 29) {
				value[differs] ^= 1;
				/* Still a byte that a value can hold, and no blank at an edge. */
				if (value[differs] == 0x20 || value[differs] == 0x7f)
					value[differs] ^= 3;
				watched(&policy, secret, value, len, 0);
				value[differs] = keys[at].bytes[differs];
			}
			watched(&policy, secret, value, len - 1, 0);
			watched(&policy, secret, value, len + 1, 0);
			watched(&policy, secret, value, 0, 0);
			memset(value, '~', sizeof value);
			watched(&policy, secret, value, len, 0);
		}
	}
	printf("cases %lu\n", cases);
}

/* Counts one call. Everything of one group is the same request with the same verdict. */
static void counted(const struct key *keys, size_t count, const char *value, size_t len, int push, int expected)
{
	static keygate_policy policy;
	char group[64];
	make(&policy, keys, count);
	snprintf(group, sizeof group, "%zu keys, %zu bytes, %s, %s", count, len, push ? "push" : "decide",
		 expected ? "allow" : "deny");
	CALLGRIND_ZERO_STATS;
	CALLGRIND_TOGGLE_COLLECT;
	keygate_decision out = decide(&policy, "x-api-key", value, len, push);
	CALLGRIND_TOGGLE_COLLECT;
	CALLGRIND_DUMP_STATS_AT(group);
	if (out.verdict != expected)
		fail("wrong verdict");
	cases++;
}

static void callgrind(void)
{
	static const size_t lengths[] = {1, 8, 9, 35, 64, 256};
	if (!RUNNING_ON_VALGRIND)
		fail("not under valgrind: nothing would be counted");
	for (size_t l = 0; l < sizeof lengths / sizeof *lengths; l++) {
		size_t len = lengths[l];
		struct key sent = key_of(len, 7);
		for (int push = 0; push < 2; push++) {
			for (size_t count = 1; count <= MAX_KEYS; count += MAX_KEYS - 1) {
				/* Other bytes than the value's throughout, of these lengths. */
				const size_t others[] = {1, 2, 8, 17, 64, 255, 256, len, len > 1 ? len - 1 : 2};
				for (size_t o = 0; o < sizeof others / sizeof *others; o++) {
					struct key keys[MAX_KEYS];
					for (size_t i = 0; i < count; i++)
						keys[i] = key_of(others[(o + i) % 9], 40 + (unsigned)i);
					counted(keys, count, sent.bytes, len, push, 0);
					/* All bytes but one, and a longer and a shorter one. */
					for (size_t i = 0; i < count; i++)
						keys[i] = sent;
					for (size_t i = 0; i < count; i++) {
						size_t at = o * (len - 1) / 8;
						keys[i].bytes[at] = keys[i].bytes[at] == '!' ? '"' : '!';
					}
					counted(keys, count, sent.bytes, len, push, 0);
				}
				if (len > 1) {
					struct key keys[MAX_KEYS];
					for (size_t i = 0; i < count; i++) {
						keys[i] = sent;
						keys[i].len = len - 1;
					}
					counted(keys, count, sent.bytes, len, push, 0);
				}
				/* Which one matches, and how many do. */
				for (unsigned which = 1; which < 1u << count; which = which * 2 + (which % 3 == 1)) {
					struct key keys[MAX_KEYS];
					for (size_t i = 0; i < count; i++)
						keys[i] = which >> i & 1 ? sent : key_of(1 + (i * 31 + which) % MAX_KEY, 60);
					counted(keys, count, sent.bytes, len, push, 1);
				}
			}
		}
	}
	printf("cases %lu\n", cases);
}

int main(int argc, char **argv)
{
	if (argc == 2 && !strcmp(argv[1], "memcheck"))
		memcheck();
	else if (argc == 2 && !strcmp(argv[1], "callgrind"))
		callgrind();
	else
		fail("memcheck or callgrind?");
	return 0;
}
