/*
 * routes.h - all there is for operators: one row a route.
 */
#pragma once

#include "admin/route.h"

extern const struct route routes[];
extern const size_t routes_count;
