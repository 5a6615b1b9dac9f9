/* A program with _start, and a second function to begin at. */
#include <stdio.h>

__attribute__((export_name("other"))) void other(void) { puts("other"); fflush(stdout); }
int main(int argc, char **argv) {
    puts("main");
    for (int i = 0; i < argc; i++) printf("[%s]\n", argv[i]);
    return 0;
}
