/*
 * explain.h - `turnstile explain`: what would be done with this request, and why?
 */
#pragma once

/*
 * The whole command, argv[0] being "explain": loads the configuration, reads a body, and prints
 * the verdict on it as one line of JSON. Returns the exit status: 0, or 2 with a line on stderr.
 */
int explain_main(int argc, char **argv);
