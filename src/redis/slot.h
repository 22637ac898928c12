/*
 * slot.h - which of a cluster's 16384 slots a key lives in.
 *
 * CRC16 (XMODEM: polynomial 0x1021, from 0) of the key, or of what is between its first "{" and the
 * next "}" if that isn't empty: https://redis.io/docs/reference/cluster-spec/ ("Hash tags"). Pure.
 */
#pragma once

#include "base/span.h"

enum { REDIS_SLOTS = 16384 };

unsigned redis_slot(struct span key);
