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

static void make(keygate_policy *policy, const struct key *keys, size_t count, int match, int strip)
{
	keygate_key list[MAX_KEYS] = {0};
	keygate_config config;
	for (size_t i = 0; i < count; i++)
		list[i].secret = (keygate_str){keys[i].bytes, keys[i].len};
	keygate_config_init(&config, sizeof config);
	config.keys = list;
	config.key_count = count;
	config.match = match;
	config.strip = strip;
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
		make(round ? &other : &first, keys, count, 0, 0);
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

/* A copy of a policy in which all that depends on the keys is undefined. */
static void undefine(keygate_policy *policy, const keygate_policy *made, const unsigned char *secret)
{
	memcpy(policy, made, sizeof *policy);
	for (size_t at = 0; at < sizeof *policy; at++)
		if (secret[at])
			VALGRIND_MAKE_MEM_UNDEFINED((char *)policy + at, 1);
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
		undefine(&policy, made, secret);
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
			make(&policy, keys, count, 0, 0);
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
}

/* Counts one call. Everything of one group is the same request with the same verdict. */
static void counted(const struct key *keys, size_t count, const char *value, size_t len, int push, int expected)
{
	static keygate_policy policy;
	char group[64];
	make(&policy, keys, count, 0, 0);
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
}

/* What looks at more than one value: a right key in any source, what is dropped, and why it was so. */
enum asking { DECIDE, PUSH, DROPS, EXPLAIN };

struct question {
	const char *name;
	enum asking how;
	int match;
	keygate_str target;
	keygate_header headers[2];
	size_t count;
};

static bool counting;

/* How long the text is. */
static long explain(const keygate_policy *policy, const keygate_request *request)
{
	static char text[8192];
	size_t length = keygate_explain(policy, request, KEYGATE_LANGUAGE_EN, text, sizeof text);
	VALGRIND_MAKE_MEM_DEFINED(&length, sizeof length);
	VALGRIND_MAKE_MEM_DEFINED(text, sizeof text);
	return (long)length;
}

/* What comes of it: the source with a right key or -1, whether the first header is dropped, or the length of
   the text. */
static long answer(const keygate_policy *policy, const struct question *question)
{
	keygate_decision out = {.size = sizeof out};
	const keygate_header *headers = question->headers;
	keygate_request request = {sizeof request, {"GET", 3}, question->target, headers, question->count};
	keygate_evaluation evaluation;
	bool drops;
	switch (question->how) {
	case DECIDE:
		keygate_decide(policy, &request, &out);
		break;
	case PUSH:
		keygate_evaluation_begin(&evaluation, sizeof evaluation, policy, request.method, request.target);
		for (size_t i = 0; i < question->count; i++)
			keygate_evaluation_push(&evaluation, headers[i].name, headers[i].value);
		keygate_evaluation_finish(&evaluation, &out);
		break;
	case DROPS:
		out.verdict = KEYGATE_ALLOW;
		out.reason = KEYGATE_REASON_KEY_MATCHED;
		drops = keygate_policy_drops(policy, &out, headers[0].name, headers[0].value);
		VALGRIND_MAKE_MEM_DEFINED(&drops, sizeof drops);
		return drops;
	case EXPLAIN:
		return explain(policy, &request);
	}
	VALGRIND_MAKE_MEM_DEFINED(&out, sizeof out);
	return out.verdict == KEYGATE_ALLOW ? out.source : -1;
}

/* Asks of one list of keys. Of one name, nothing but the keys differs and nothing is answered but this; how
   much is said, 0 leaves open. */
static long ask(const struct question *question, const struct key *keys, size_t key_count, long expected)
{
	static const char *const how[] = {"decide", "push", "drops", "explain"};
	static keygate_policy made, policy;
	static unsigned char secret[MAX_KEYS + 1][sizeof policy];
	static bool known[MAX_KEYS + 1];
	char group[128];
	snprintf(group, sizeof group, "%s, %s, %zu keys", how[question->how], question->name, key_count);
	make(&made, keys, key_count, question->match, KEYGATE_STRIP_MATCHED);
	long got;
	if (counting) {
		CALLGRIND_ZERO_STATS;
		CALLGRIND_TOGGLE_COLLECT;
		got = answer(&made, question);
		CALLGRIND_TOGGLE_COLLECT;
		CALLGRIND_DUMP_STATS_AT(group);
	} else {
		if (!known[key_count])
			find_secrets(secret[key_count], key_count);
		known[key_count] = true;
		undefine(&policy, &made, secret[key_count]);
		unsigned before = VALGRIND_COUNT_ERRORS;
		got = answer(&policy, question);
		printf("asked %u %s\n", VALGRIND_COUNT_ERRORS - before, group);
	}
	if (got != expected && (expected != 0 || question->how != EXPLAIN))
		fail(group);
	cases++;
	return got;
}

static keygate_header header(const char *name, const char *value, size_t len)
{
	return (keygate_header){{name, strlen(name)}, {value, len}};
}

/* Keys that are none of what is sent, of any length and almost equal. */
static void other_keys(struct key *keys, size_t count, const struct key *sent, size_t round)
{
	static const size_t lengths[] = {8, 17, 35, 64, 255, 256, 9, 100};
	for (size_t i = 0; i < count; i++) {
		keys[i] = key_of(lengths[(round + i) % 8], 40 + (unsigned)i);
		if ((round + i) % 3 == 0) {
			size_t at = (round * 7 + i) % sent->len;
			keys[i] = *sent;
			keys[i].bytes[at] = keys[i].bytes[at] == '~' ? '}' : '~';
		}
	}
}

enum { ROUNDS = 12 };

static void any(size_t count, size_t len)
{
	struct key keys[MAX_KEYS], first = key_of(len, 7), second = key_of(len, 9);
	char bearer[sizeof BEARER + MAX_KEY] = BEARER, name[64];
	memcpy(bearer + strlen(BEARER), first.bytes, len);
	struct question question = {name, DECIDE, KEYGATE_MATCH_ANY, {"/v1", 3}, .count = 2};
	for (int way = 0; way < 4; way++) {
		question.how = way / 2 ? PUSH : DECIDE;
		question.headers[way % 2] = header("authorization", bearer, strlen(BEARER) + len);
		question.headers[1 - way % 2] = header("x-api-key", second.bytes, len);
		for (size_t round = 0; round < ROUNDS; round++) {
			for (int right = 0; right < (count > 1 ? 4 : 3); right++) {
				static const char *const which[] = {"none", "the first source", "the second", "both"};
				snprintf(name, sizeof name, "%zu bytes, order %d, right in %s", len, way % 2, which[right]);
				other_keys(keys, count, round % 2 ? &first : &second, round);
				if (right & 1)
					keys[round % count] = first;
				if (right & 2)
					keys[(round + (right == 3)) % count] = second;
				ask(&question, keys, count, right == 0 ? -1 : right == 2);
			}
		}
	}
}

static void dropped(size_t count, size_t len)
{
	static const char *const before[] = {"", BEARER, "Token ", "a\t"};
	struct key keys[MAX_KEYS], sent = key_of(len, 7);
	char value[16 + MAX_KEY], name[64];
	struct question question = {name, DROPS, 0, {"/v1", 3}, .count = 1};
	for (size_t shape = 0; shape < 4; shape++) {
		size_t prefix = strlen(before[shape]);
		memcpy(value, before[shape], prefix);
		memcpy(value + prefix, sent.bytes, len);
		question.headers[0] = header("authorization", value, prefix + len);
		for (size_t round = 0; round < ROUNDS; round++) {
			for (int right = 0; right < 2; right++) {
				snprintf(name, sizeof name, "%zu bytes, shape %zu, %s", len, shape, right ? "dropped" : "kept");
				other_keys(keys, count, &sent, round);
				if (right)
					keys[round % count] = sent;
				ask(&question, keys, count, right);
			}
		}
	}
}

/* The keys stand in what is sent, each of another length at another place. Of equal digits, so that the texts
   are of one length. */
static void explained(size_t count)
{
	enum { SENT = 120 };
	struct key keys[MAX_KEYS], sent = {.len = SENT};
	char target[2 + SENT] = "/?";
	for (size_t i = 0; i < SENT; i++)
		sent.bytes[i] = (char)('a' + (i * 7 + i / 26) % 26);
	memcpy(target + 2, sent.bytes, SENT);
	const keygate_str here = {"/v1", 3}, there = {target, sizeof target};
	const keygate_header value = header("x-api-key", sent.bytes, SENT), cookie = header("cookie", sent.bytes, SENT);
	const keygate_header wrong = header("x-api-key", "another", 7);
	const struct question questions[] = {
		{"no key", EXPLAIN, 0, here, {value}, 1},
		{"no key in a cookie", EXPLAIN, 0, here, {wrong, cookie}, 2},
		{"no key in the query", EXPLAIN, 0, there, {wrong}, 1},
		{"a key in the value", EXPLAIN, 0, here, {value}, 1},
		{"a key in a cookie", EXPLAIN, 0, here, {wrong, cookie}, 2},
		{"a key in the query", EXPLAIN, 0, there, {wrong}, 1},
		{"the value in a key", EXPLAIN, 0, here, {value}, 1},
		{"a key that begins the value", EXPLAIN, 0, here, {value}, 1},
		{"a key in another source", EXPLAIN, 0, here, {header("authorization", "another", 7), value}, 2},
	};
	for (size_t q = 0; q < sizeof questions / sizeof *questions; q++) {
		long said = 0; /* how much the first text says */
		for (size_t round = 0; round < ROUNDS; round++) {
			struct key key = sent;
			size_t at = q == 7 ? 0 : 20 + round * 3;
			other_keys(keys, count, &sent, round);
			if (q >= 3 && q <= 7) {
				key.len = 8 + round * 3;
				memmove(key.bytes, sent.bytes + at, key.len);
			}
			if (q == 6)
				key = key_of(SENT + 1 + round * 7, 1);
			if (q == 6)
				memcpy(key.bytes, sent.bytes, SENT);
			if (q >= 3)
				keys[round % count] = key;
			said = ask(&questions[q], keys, count, said);
		}
	}
}

static void others(void)
{
	static const size_t lengths[] = {9, 35, 249};
	for (size_t count = 1; count <= MAX_KEYS; count += MAX_KEYS - 1) {
		for (size_t l = 0; l < 3; l++) {
			any(count, lengths[l]);
			dropped(count, lengths[l]);
		}
		explained(count);
	}
}

int main(int argc, char **argv)
{
	counting = argc == 2 && !strcmp(argv[1], "callgrind");
	if (counting) {
		callgrind();
	} else if (argc == 2 && !strcmp(argv[1], "memcheck")) {
		memcheck();
	} else {
		fail("memcheck or callgrind?");
	}
	others();
	printf("cases %lu\n", cases);
	return 0;
}
