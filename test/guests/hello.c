/* The smallest hello there is through wasi-libc: clang, not rustc. */
#include <stdio.h>
int main(void) { puts("hello from C"); return 0; }
