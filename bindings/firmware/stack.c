/* How much stack the calls use at most over all vectors: what lies below is painted before. */
#include "checks.h"
#include "output.h"
#include "port.h"
#include "table.h"

enum { PAINT = 0x5EA5EA5E, LIMIT = 256, LIMIT_MORE = 384 };

static const vector *current;
static keygate_config config;
static keygate_decision decision;
static keygate_evaluation evaluation;
static const keygate_header *header;
static bool open;

static void init(void) {
    keygate_policy_init(&policy, sizeof policy, &config, NULL);
}

static void decide(void) {
    keygate_decide(&policy, &current->request, &decision);
}

static void begin(void) {
    keygate_evaluation_begin(&evaluation, sizeof evaluation, &policy, current->request.method,
                             current->request.target);
}

static void push(void) {
    open = keygate_evaluation_push(&evaluation, header->name, header->value);
}

static void finish(void) {
    keygate_evaluation_finish(&evaluation, &decision);
}

#ifdef EXPLANATION
static void findings(void) {
    (void)keygate_findings(&policy, &current->request);
}
#endif

__attribute__((noinline)) static void use(uint32_t *most, void (*run)(void)) {
    uint32_t *here = port_stack_pointer();
    for (volatile uint32_t *word = stack_low; word < here; word++)
        *word = PAINT;
    run();
    const volatile uint32_t *word = stack_low;
    while (word < here && *word == PAINT)
        word++;
    uint32_t used = (uint32_t)((const char *)here - (const char *)word);
    if (used > *most)
        *most = used;
}

static void limited(const char *name, uint32_t used, uint32_t limit) {
    output_number(name, used);
    if (used == 0 || used > limit)
        output_failure("stack beyond its limit, or none", name);
}

void check_stack(void) {
    uint32_t for_init = 0, for_begin = 0, for_finish = 0;
    /* By whether more than the first header of a source may matter. */
    uint32_t for_decide[2] = {0, 0}, for_push[2] = {0, 0};
#ifdef EXPLANATION
    uint32_t for_findings = 0;
#endif
    for (uint32_t i = 0; i < vector_count; i++) {
        current = &vectors[i];
        config = current->config;
        config.size = sizeof config;
        if (keygate_mode_parse(current->auth_mode, &config.auth_mode) != KEYGATE_OK)
            continue;
        use(&for_init, init);
        bool more = !keygate_policy_first_decides(&policy);
        decision.size = sizeof decision;
        use(&for_decide[more], decide);
        use(&for_begin, begin);
        open = true;
        for (size_t j = 0; open && j < current->request.header_count; j++) {
            header = &current->request.headers[j];
            use(&for_push[more], push);
        }
        use(&for_finish, finish);
#ifdef EXPLANATION
        use(&for_findings, findings);
#endif
    }
    output_number("stack, policy_init", for_init);
    /* It keeps its evaluation there. */
    limited("stack, decide", for_decide[0], LIMIT);
    limited("stack, decide with match any or preflight cors", for_decide[1], LIMIT_MORE);
    limited("stack, begin", for_begin, LIMIT);
    limited("stack, push", for_push[0], LIMIT);
    limited("stack, push with match any or preflight cors", for_push[1], LIMIT_MORE);
    limited("stack, finish", for_finish, LIMIT);
#ifdef EXPLANATION
    output_number("stack, findings", for_findings);
#endif
}
