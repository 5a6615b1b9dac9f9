/* A reactor that nobody can initialize. */
__attribute__((export_name("_initialize"))) int initialize(void) { return 1; }
__attribute__((export_name("go"))) void go(void) {}
