/* The recipe of keygate.h for reloading: readers decide while a writer swaps the policy, and wipes
 * the old one when no call uses it any more. Controls: PLAIN, a pointer that is not atomic; --early,
 * a policy wiped while it may be in use; LOCKED, a lock on the read side. */
#include <keygate.h>

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "guard.h"
#include "threads.h"

enum { READERS = 2, ROUNDS = 50000, SWAPS = 200 };

#ifdef PLAIN
static keygate_policy *in_force;
#else
static _Atomic(keygate_policy *) in_force;
#endif

/* How often each reader was done with a policy: what the writer waits for before it wipes one. In
 * one order with the swaps, so that a reader that was done since a swap sees what was put in force. */
static _Atomic uint32_t done[READERS];
static const uint32_t GONE = UINT32_MAX;
static atomic_bool enough; /* swaps */

#ifdef LOCKED
static pthread_rwlock_t lock = PTHREAD_RWLOCK_INITIALIZER;
#endif

keygate_verdict read_side(const keygate_request *request);

/* All that a request costs a reader: run looks for locks in its machine code. */
keygate_verdict read_side(const keygate_request *request) {
#ifdef LOCKED
  pthread_rwlock_rdlock(&lock);
  keygate_verdict verdict = keygate_decide(in_force, request, NULL);
  pthread_rwlock_unlock(&lock);
  return verdict;
#else
  return keygate_decide(in_force, request, NULL);
#endif
}

static const keygate_str NAMES[] = {{"x-a", 3}, {"x-b", 3}};
static const keygate_str KEYS[] = {{"key-a", 5}, {"key-b", 5}};

static void make(keygate_policy *policy, int which) {
  keygate_config config;
  keygate_config_init(&config, sizeof config);
  keygate_source source = {NAMES[which], {0}, 0};
  config.api_key = KEYS[which];
  config.sources = &source;
  config.source_count = 1;
  CHECK(keygate_policy_init(policy, sizeof *policy, &config, NULL) == KEYGATE_OK);
}

static void *reader(void *number) {
  _Atomic uint32_t *rounds = number;
  const keygate_header right[] = {{NAMES[0], KEYS[0]}, {NAMES[1], KEYS[1]}};
  const keygate_header crossed[] = {{NAMES[0], KEYS[1]}, {NAMES[1], KEYS[0]}};
  keygate_request request = {sizeof request, {"GET", 3}, {"/", 1}, NULL, 2};
  for (uint32_t i = 1; i <= ROUNDS || !enough; i++) {
    request.headers = i % 2 ? right : crossed;
    CHECK(read_side(&request) == (i % 2 ? KEYGATE_ALLOW : KEYGATE_DENY));
    *rounds = i;
  }
  *rounds = GONE;
  return NULL;
}

/* Whether readers are left, once each was done since the swap. */
static int wait_for_readers(void) {
  int left = 0;
  for (int i = 0; i < READERS; i++) {
    uint32_t before = done[i], now = before;
    while (now != GONE && now == before) {
      sched_yield();
      now = done[i];
    }
    left |= now != GONE;
  }
  return left;
}

int main(int argc, char **argv) {
  static keygate_policy policies[2];
  int early = argc > 1 && strcmp(argv[1], "--early") == 0;
  make(&policies[0], 0);
  in_force = &policies[0];
  pthread_t threads[READERS];
  for (int i = 0; i < READERS; i++) {
    CHECK(pthread_create(&threads[i], NULL, reader, &done[i]) == 0);
  }
  int swaps = 0, left = 1;
  while (left) {
    keygate_policy *old = &policies[swaps % 2], *new = &policies[(swaps + 1) % 2];
    swaps++;
    make(new, swaps % 2);
    in_force = new;
    left = early || wait_for_readers();
    keygate_policy_wipe(old);
    enough = swaps >= SWAPS;
  }
  for (int i = 0; i < READERS; i++) {
    CHECK(pthread_join(threads[i], NULL) == 0);
  }
  CHECK(swaps >= SWAPS);
  printf("%d decisions and more by %d readers beside %d swaps\n", READERS * ROUNDS, READERS, swaps);
  return 0;
}
