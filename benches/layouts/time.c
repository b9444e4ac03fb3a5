/* time SLICES: times the floor, the gate by hand and the library by turns, in short slices of which the least
   counts, and prints the nanoseconds of a call in each layout, in JSON. LAYOUTS are linked as floor_allows_0,
   floor_allows_1 and so on. time 0 SUBJECT: calls the subject once, for its instructions to be counted. */
#include <keygate.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define TEXT(text) {text, sizeof text - 1}
#define KEY "sk-0123456789abcdef0123456789abcdef"
enum { HEADERS = 12, CALLS = 256, GATE = 4096 };

struct layout {
  int (*floor)(const keygate_header *, size_t, keygate_str);
  size_t (*gate_size)(void);
  void (*gate_init)(void *, keygate_str);
  keygate_verdict (*gate)(const void *, const keygate_request *, keygate_decision *);
  void (*config_init)(keygate_config *, size_t);
  keygate_status (*init)(keygate_policy *, size_t, const keygate_config *, keygate_config_error *);
  keygate_verdict (*decide)(const keygate_policy *, const keygate_request *, keygate_decision *);
  bool (*drops)(const keygate_policy *, const keygate_decision *, keygate_str, keygate_str);
  uint32_t (*findings)(const keygate_policy *, const keygate_request *);
};

#define DECLARE(k) \
  int floor_allows_##k(const keygate_header *, size_t, keygate_str); \
  size_t gate_size_##k(void); \
  void gate_init_##k(void *, keygate_str); \
  keygate_verdict gate_decide_##k(const void *, const keygate_request *, keygate_decision *); \
  void keygate_config_init_##k(keygate_config *, size_t); \
  keygate_status keygate_policy_init_##k(keygate_policy *, size_t, const keygate_config *, keygate_config_error *); \
  keygate_verdict keygate_decide_##k(const keygate_policy *, const keygate_request *, keygate_decision *); \
  bool keygate_policy_drops_##k(const keygate_policy *, const keygate_decision *, keygate_str, keygate_str); \
  uint32_t keygate_findings_##k(const keygate_policy *, const keygate_request *);
#define ENTRY(k) \
  {floor_allows_##k, gate_size_##k, gate_init_##k, gate_decide_##k, keygate_config_init_##k, \
   keygate_policy_init_##k, keygate_decide_##k, keygate_policy_drops_##k, keygate_findings_##k},
LAYOUTS(DECLARE)
static const struct layout layouts[] = {LAYOUTS(ENTRY)};

/* The fixture's request; the same with a wrong key; and with somebody else's token, where the gate's key stands in
   the next source. */
static const keygate_str bearer = TEXT("Bearer " KEY);
static const keygate_header plain[HEADERS] = {
  {TEXT("Host"), TEXT("127.0.0.1:8045")},
  {TEXT("Accept-Encoding"), TEXT("gzip, deflate, br, zstd")},
  {TEXT("Connection"), TEXT("keep-alive")},
  {TEXT("Accept"), TEXT("application/json")},
  {TEXT("Content-Type"), TEXT("application/json")},
  {TEXT("User-Agent"), TEXT("OpenAI/Python 2.8.1")},
  {TEXT("X-Stainless-Lang"), TEXT("python")},
  {TEXT("X-Stainless-Package-Version"), TEXT("2.8.1")},
  {TEXT("X-Stainless-OS"), TEXT("Linux")},
  {TEXT("X-Stainless-Arch"), TEXT("x64")},
  {TEXT("Authorization"), TEXT("Bearer " KEY)},
  {TEXT("Content-Length"), TEXT("312")},
};
static keygate_header wrong[HEADERS], stranger[HEADERS];

static void *gate;
static keygate_policy first, any; /* any: with strip: matched */

static keygate_request request(const keygate_header *headers)
{
  return (keygate_request){sizeof(keygate_request), TEXT("POST"), TEXT("/v1/chat/completions"), headers, HEADERS};
}

enum { FLOOR, BY_HAND, BY_HAND_TOLD, DECIDE, DECIDE_TOLD, ANY_SECOND, TIMED, WRONG = TIMED, DROPS, SEARCH, SUBJECTS };
static const char *const names[SUBJECTS] = {
  "floor", "by_hand", "by_hand_told", "decide", "decide_told", "any_second", "wrong", "drops", "search",
};

/* What the subject comes to, so that nothing is left out. */
static unsigned call(const struct layout *layout, int subject)
{
  keygate_decision decision = {.size = sizeof decision};
  keygate_request ours = request(subject == ANY_SECOND ? stranger : subject == WRONG || subject == SEARCH ? wrong : plain);
  unsigned dropped = 0;
  switch (subject) {
  case FLOOR: return layout->floor(plain, HEADERS, bearer);
  case BY_HAND: return layout->gate(gate, &ours, NULL);
  case BY_HAND_TOLD: return layout->gate(gate, &ours, &decision);
  case DECIDE: return layout->decide(&first, &ours, NULL);
  case DECIDE_TOLD: return layout->decide(&first, &ours, &decision);
  case ANY_SECOND: return layout->decide(&any, &ours, NULL);
  case WRONG: return layout->decide(&first, &ours, NULL) == KEYGATE_DENY;
  case SEARCH: return layout->findings(&first, &ours) == 0;
  case DROPS:
    layout->decide(&any, &ours, &decision);
    for (size_t i = 0; i < HEADERS; i++)
      dropped += layout->drops(&any, &decision, plain[i].name, plain[i].value);
    return dropped;
  default: return 0;
  }
}

static double slice(const struct layout *layout, int subject)
{
  struct timespec from, to;
  clock_gettime(CLOCK_MONOTONIC, &from);
  for (int i = 0; i < CALLS; i++)
    if (call(layout, subject) != 1)
      exit(1); /* every one of them allows */
  clock_gettime(CLOCK_MONOTONIC, &to);
  return ((to.tv_sec - from.tv_sec) * 1e9 + (to.tv_nsec - from.tv_nsec)) / CALLS;
}

/* The gate by hand decides as the library does. */
static void agree(const struct layout *layout, const keygate_request *asked)
{
  keygate_decision a = {.size = sizeof a}, b = {.size = sizeof b};
  if (layout->decide(&first, asked, &a) != layout->gate(gate, asked, &b) || memcmp(&a, &b, sizeof a) != 0)
    exit(2);
}

static void prepare(const struct layout *layout)
{
  free(gate);
  if (layout->gate_size() > GATE || (gate = aligned_alloc(64, GATE)) == NULL)
    exit(2);
  layout->gate_init(gate, (keygate_str)TEXT(KEY));
  keygate_config config;
  layout->config_init(&config, sizeof config);
  config.auth_mode = KEYGATE_MODE_STRICT;
  config.api_key = (keygate_str)TEXT(KEY);
  if (layout->init(&first, sizeof first, &config, NULL) != KEYGATE_OK)
    exit(2);
  config.match = KEYGATE_MATCH_ANY;
  config.strip = KEYGATE_STRIP_MATCHED;
  if (layout->init(&any, sizeof any, &config, NULL) != KEYGATE_OK)
    exit(2);
  const keygate_header *const lists[] = {plain, wrong, stranger};
  for (size_t i = 0; i < 3; i++) {
    keygate_request asked = request(lists[i]);
    agree(layout, &asked);
    asked.header_count = 10;
    agree(layout, &asked);
    asked.method = (keygate_str)TEXT("OPTIONS");
    agree(layout, &asked);
  }
}

int main(int argc, char **argv)
{
  int slices = argc > 1 ? atoi(argv[1]) : 4000;
  memcpy(wrong, plain, sizeof plain);
  wrong[10].value = (keygate_str)TEXT("Bearer sk-0123456789abcdef0123456789abcdeX");
  memcpy(stranger, plain, sizeof plain);
  stranger[9] = (keygate_header){TEXT("X-Api-Key"), TEXT(KEY)};
  stranger[10].value = (keygate_str)TEXT("Bearer sk-ant-oat01-23456789abcdef0123456789ab");
  if (slices == 0 && argc > 2) {
    prepare(&layouts[0]);
    for (int subject = 0; subject < SUBJECTS; subject++)
      if (strcmp(argv[2], names[subject]) == 0)
        return call(&layouts[0], subject) != 1;
    return strcmp(argv[2], "none") == 0 ? 0 : 2;
  }
  const char *between = "[{";
  for (size_t k = 0; k < sizeof layouts / sizeof *layouts; k++) {
    prepare(&layouts[k]);
    double least[TIMED];
    for (int subject = 0; subject < TIMED; subject++)
      least[subject] = slice(&layouts[k], subject);
    for (int i = 0; i < slices; i++)
      for (int subject = 0; subject < TIMED; subject++) {
        double one = slice(&layouts[k], subject);
        if (one < least[subject])
          least[subject] = one;
      }
    for (int subject = 0; subject < TIMED; subject++) {
      printf("%s\"%s\": %.2f", subject ? ", " : between, names[subject], least[subject]);
      between = ", {";
    }
    printf("}");
  }
  puts("]");
  return 0;
}
