/* The library's header, or what to do where it is not built. `make lib` puts it here. */
#if !__has_include("keygate.h") || !__has_include("libkeygate_linux_amd64.a")
#error "the keygate library is not in this folder: it is built and not committed; run `make go` in the repository, see README.md"
#else
#include "keygate.h"
#endif
