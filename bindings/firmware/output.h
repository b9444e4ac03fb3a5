/* Lines of text for the summary. */
#ifndef OUTPUT_H
#define OUTPUT_H

#include <stdint.h>

/* "name value\n" */
void output_number(const char *name, uint32_t value);
/* "FAILED what: which\n"; counted */
void output_failure(const char *what, const char *which);
uint32_t output_failures(void);

#endif
