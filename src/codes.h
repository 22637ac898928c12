/*
 * codes.h - `turnstile codes`: the words of logs and metrics, and what they mean.
 */
#pragma once

#include <stdio.h>

/*
 * Prints every outcome ("  word = status type code", then a line of help) and every reason of a
 * verdict ("  code = kind", then a line of help). config/make-manpage and tests/lint/outcomes read
 * this text.
 */
void codes_print(FILE *to);
