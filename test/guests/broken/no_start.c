/* A good module that nobody can start. */
__attribute__((export_name("answer"))) int answer(void) { return 42; }
