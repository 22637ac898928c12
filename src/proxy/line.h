/*
 * line.h - the line, asked by who stands in it: GET listen.line_path. Private to proxy/.
 *
 *      GET PATH               of the account that the asker's credential names, those with that credential
 *      GET PATH?session=ID    those of this session: Claude Code's, or the one in the body's metadata
 *      GET PATH/statusline    a script that asks so for Claude Code's status line
 *      OPTIONS                of these: what a browser asks first for a page of another site
 *
 * Nobody is asked who it is: to know a key or a session is to be the one who has it. So the answer names
 * nobody else, and says nothing of others but how many there are. An account that isn't named by the key
 * itself is shown only to keys and sessions that have a request of it here.
 */
#pragma once

#include "proxy/exchange.h"

struct line;

/* Whether it asks so: NULL if not, else for line_free(). When the head is in. */
struct line *line_asked(struct exchange *x) MUST_USE;

/* Asks, or answers: the exchange ends as soon as the answer is there. From X_READING. */
void line_advance(struct exchange *x);

/* The answer's body, for OUTCOME_LINE_ASKED; its own fields are added. Both point into the exchange. */
struct span line_answer(const struct line *l, struct field_list *fields);

/* Takes NULL. */
void line_free(struct line *l);
