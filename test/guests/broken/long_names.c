/* An import whose name is longer than a pipe takes at once, and would clear a terminal. */
#define A "\033[2Jaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define B A A A A A A A A A A A A A A A A
#define C B B B B B B B B B B B B B B B B
#define D C C C C C C C C C C C C C C C C
__attribute__((import_module("no_such_module"), import_name(D))) void missing(void);
__attribute__((export_name("_start"))) void start(void) { missing(); }
