/*
 * differential.h - one body, several opinions.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

/*
 * Scans the body in several splits (chosen by the body itself) and compares reason and metadata
 * with the reference parser's and, where it can have one, with cJSON's full parse. Prints the body
 * and aborts where they differ. Returns the reason's code, for statistics.
 */
const char *differential(const char *data, size_t len);

/* libFuzzer's entry: clang -fsanitize=fuzzer without main.c. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
