/* A good module but for one import that no host has. */
__attribute__((import_module("no_such_module"), import_name("no_such_function")))
void missing(void);
__attribute__((export_name("_start"))) void start(void) { missing(); }
