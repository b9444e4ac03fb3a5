/* Memory that traps one byte past its end or before its beginning. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define CHECK(condition) ((condition) ? (void)0 : fail(#condition, __FILE__, __LINE__))

static const char *checking = "";

static inline void fail(const char *what, const char *file, int line) {
  fprintf(stderr, "%s:%d: %s: not so: %s\n", file, line, checking, what);
  exit(1);
}

#define PAGE ((size_t)4096)

/* size bytes, at the end of a page (or at the beginning of one) between two pages that trap. */
static inline void *guarded(size_t size, int at_end) {
  size_t room = (size + PAGE - 1) / PAGE * PAGE;
  char *base = mmap(NULL, room + 2 * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  CHECK(base != MAP_FAILED);
  if (room > 0) {
    CHECK(mprotect(base + PAGE, room, PROT_READ | PROT_WRITE) == 0);
  }
  return base + PAGE + (at_end ? room - size : 0);
}

static inline void release(void *at, size_t size) {
  size_t room = (size + PAGE - 1) / PAGE * PAGE;
  uintptr_t base = ((uintptr_t)at - (size == 0)) / PAGE * PAGE;
  CHECK(munmap((void *)(base - (size == 0 ? 0 : PAGE)), room + 2 * PAGE) == 0);
}
