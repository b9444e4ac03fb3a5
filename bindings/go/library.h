/* The library's header, or what to do where it is not built. `make lib` puts it here. */
#if defined(__linux__) && defined(__x86_64__) && defined(__LP64__)
#define KEYGATE_ARCHIVE "libkeygate_linux_amd64.a"
#elif defined(__linux__) && defined(__aarch64__) && defined(__LP64__)
#define KEYGATE_ARCHIVE "libkeygate_linux_arm64.a"
#endif

#ifndef KEYGATE_ARCHIVE
#error "keygate for Go runs on linux/amd64 and linux/arm64 only"
#elif !__has_include("keygate.h") || !__has_include(KEYGATE_ARCHIVE)
#error "the keygate library is not in this folder: it is built and not committed; run `make go` in the repository, see README.md"
#else
#include "keygate.h"
#endif
