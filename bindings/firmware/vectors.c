/* Every vector, through the whole list and byte by byte through the gate's buffer. */
#include "checks.h"
#include "gate.h"
#include "output.h"
#include "table.h"

static bool same(keygate_str left, keygate_str right) {
    if (left.len != right.len)
        return false;
    for (size_t i = 0; i < left.len; i++)
        if (left.ptr[i] != right.ptr[i])
            return false;
    return true;
}

static bool is(keygate_str text, const char *c_text) {
    size_t len = 0;
    while (c_text[len])
        len++;
    return same(text, (keygate_str){c_text, len});
}

static keygate_status make(const vector *vector) {
    keygate_config config = vector->config;
    config.size = sizeof config;
    keygate_status status = keygate_mode_parse(vector->auth_mode, &config.auth_mode);
    return status ? status : keygate_policy_init(&policy, sizeof policy, &config, NULL);
}

static bool as_expected(const vector *vector, keygate_verdict verdict,
                        const keygate_decision *decision) {
    keygate_str source = {0};
    if (decision->source >= 0)
        source = keygate_policy_source_name(&policy, (size_t)decision->source);
    size_t header = vector->header < 0 ? SIZE_MAX : (size_t)vector->header;
    return verdict == decision->verdict &&
           is(vector->verdict, verdict == KEYGATE_ALLOW ? "allow" : "deny") &&
           is(vector->reason, keygate_reason_name(decision->reason)) &&
           is(vector->effective_mode, keygate_mode_name(decision->effective_mode)) &&
           same(vector->source, source) && decision->header == header &&
           decision->key == vector->key;
}

static bool feed(gate *gate, keygate_str field) {
    for (size_t i = 0; i < field.len; i++)
        gate_byte(gate, field.ptr[i]);
    return gate_field_end(gate);
}

static keygate_verdict stream(gate *gate, const keygate_request *request, keygate_decision *out) {
    gate_begin(gate, &policy);
    feed(gate, request->method);
    bool open = feed(gate, request->target);
    for (size_t i = 0; open && i < request->header_count; i++) {
        feed(gate, request->headers[i].name);
        open = feed(gate, request->headers[i].value);
    }
    return gate_finish(gate, out);
}

#ifdef EXPLANATION
static bool findings_as_expected(const vector *vector) {
    uint32_t findings = keygate_findings(&policy, &vector->request);
    size_t at = 0;
    for (uint32_t bit = 1; bit; bit <<= 1) {
        if (!(findings & bit))
            continue;
        const char *name = keygate_finding_name(bit);
        if (at && (at >= vector->findings.len || vector->findings.ptr[at++] != ','))
            return false;
        for (; *name; name++)
            if (at >= vector->findings.len || vector->findings.ptr[at++] != *name)
                return false;
    }
    return at == vector->findings.len;
}
#endif

/* A request that breaks off before its target is complete is denied. */
static void check_broken_off(gate *gate) {
    keygate_decision decision = {.size = sizeof decision};
    gate_begin(gate, &policy);
    feed(gate, (keygate_str){"OPTIONS", 7});
    if (gate_finish(gate, &decision) != KEYGATE_DENY ||
        decision.reason != KEYGATE_REASON_INVALID_CALL)
        output_failure("stream", "a request that breaks off");
}

void check_vectors(void) {
    static gate gate;
    uint32_t refused = 0, decided = 0, carried = 0, not_carried = 0;
#ifdef EXPLANATION
    uint32_t explained = 0;
#endif
    for (uint32_t i = 0; i < vector_count; i++) {
        const vector *vector = &vectors[i];
        keygate_status status = make(vector);
        if (vector->error) {
            if (status < 0)
                refused++;
            else
                output_failure("configuration accepted", vector->name);
            continue;
        }
        if (status != KEYGATE_OK) {
            output_failure("configuration refused", vector->name);
            continue;
        }
        keygate_decision decision = {.size = sizeof decision};
        keygate_verdict verdict = keygate_decide(&policy, &vector->request, &decision);
        if (as_expected(vector, verdict, &decision))
            decided++;
        else
            output_failure("decide", vector->name);

        verdict = stream(&gate, &vector->request, &decision);
        if (!vector->not_carried && as_expected(vector, verdict, &decision))
            carried++;
        else if (vector->not_carried && gate.ever_cut && verdict == KEYGATE_DENY &&
                 decision.reason == KEYGATE_REASON_CREDENTIAL_UNUSABLE)
            not_carried++;
        else
            output_failure("stream", vector->name);
#ifdef EXPLANATION
        if (findings_as_expected(vector))
            explained++;
        else
            output_failure("findings", vector->name);
#endif
    }
    check_broken_off(&gate);
    output_number("vectors", vector_count);
    output_number("configurations refused", refused);
    output_number("decided from a list", decided);
    output_number("decided through 128 bytes", carried);
    output_number("too long for 128 bytes, denied", not_carried);
#ifdef EXPLANATION
    output_number("explained", explained);
#endif
}
