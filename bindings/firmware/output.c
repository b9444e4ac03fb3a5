#include "output.h"

#include "port.h"

static uint32_t failures;

void output_number(const char *name, uint32_t value) {
    char digits[12];
    char *at = digits + sizeof digits;
    *--at = 0;
    *--at = '\n';
    do {
        *--at = (char)('0' + value % 10);
        value /= 10;
    } while (value);
    port_write(name);
    port_write(" ");
    port_write(at);
}

void output_failure(const char *what, const char *which) {
    failures++;
    if (failures > 20)
        return; /* counted in the summary all the same */
    port_write("FAILED ");
    port_write(what);
    port_write(": ");
    port_write(which);
    port_write("\n");
}

uint32_t output_failures(void) {
    return failures;
}
