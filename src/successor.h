/*
 * successor.h - starts our own successor: the program as it is on disk now, with our arguments.
 *
 * It takes over by listen.takeover (net/takeover_client.h) like one that was started by hand. For
 * where nobody else can start it: in a service, as another process of the same unit.
 */
#pragma once

#include "lifecycle.h"

/* Starts it; why that can't be, or why it ended, is logged. */
void successor_start(struct process *p);

/* A child has ended: if it is the successor, it is logged why. */
void successor_reap(struct process *p);
