/* Linked without a C library and without its start-up: the archive needs nothing but these. */
#include <keygate.h>

void *memcpy(void *to, const void *from, size_t size) {
  for (size_t i = 0; i < size; i++) {
    ((volatile char *)to)[i] = ((const char *)from)[i];
  }
  return to;
}

void *memmove(void *to, const void *from, size_t size) {
  if ((uintptr_t)to <= (uintptr_t)from) {
    return memcpy(to, from, size);
  }
  while (size-- > 0) {
    ((volatile char *)to)[size] = ((const char *)from)[size];
  }
  return to;
}

void *memset(void *to, int byte, size_t size) {
  for (size_t i = 0; i < size; i++) {
    ((volatile char *)to)[i] = (char)byte;
  }
  return to;
}

int memcmp(const void *a, const void *b, size_t size) {
  for (size_t i = 0; i < size; i++) {
    int difference = ((const unsigned char *)a)[i] - ((const unsigned char *)b)[i];
    if (difference != 0) {
      return difference;
    }
  }
  return 0;
}

int bcmp(const void *a, const void *b, size_t size) { return memcmp(a, b, size); }

static keygate_policy policy;

int gate(const char *value, size_t length);

/* 0 where the value is the key and 1 where it is not. */
int gate(const char *value, size_t length) {
  keygate_config config;
  keygate_config_init(&config, sizeof config);
  config.api_key = (keygate_str){"sk-free", 7};
  if (keygate_policy_init(&policy, sizeof policy, &config, NULL) != KEYGATE_OK) {
    return 2;
  }
  keygate_header header = {{"x-api-key", 9}, {value, length}};
  keygate_request request = {sizeof request, {"GET", 3}, {"/", 1}, &header, 1};
  char why[256];
  if (keygate_explain(&policy, &request, KEYGATE_LANGUAGE_EN, why, sizeof why) == 0) {
    return 2;
  }
  return !keygate_decide(&policy, &request, NULL);
}

__attribute__((noreturn, used)) static void finish(void) {
  long code = gate("sk-free", 7) == 0 && gate("sk-fred", 7) == 1 ? 0 : 1;
#ifdef __x86_64__
  __asm__ volatile("syscall" : : "a"(60L), "D"(code) : "memory");
#elif defined(__aarch64__)
  register long number __asm__("x8") = 93;
  register long first __asm__("x0") = code;
  __asm__ volatile("svc 0" : : "r"(number), "r"(first) : "memory");
#else
#error "no exit for this machine"
#endif
  __builtin_unreachable();
}

#ifdef __x86_64__
__asm__(".globl _start\n_start:\n  and $-16, %rsp\n  call finish\n");
#else
__asm__(".globl _start\n_start:\n  bl finish\n");
#endif
