/* A reactor: no _start; _initialize (wasi-libc's) runs the constructor. */
#include <stdio.h>
#include <stdlib.h>

#define EXPORT(name) __attribute__((export_name(name)))

static const char *state = "not initialized";

__attribute__((constructor)) static void prepare(void) { state = "initialized"; }

EXPORT("greet") void greet(void) { puts(state); fflush(stdout); }
EXPORT("a#b") void odd_name(void) { puts("odd name"); fflush(stdout); }
EXPORT("leave") void leave(void) { exit(7); }
EXPORT("typed") int typed(int x) { return x; }
EXPORT("result") int result(void) { return 1; }
