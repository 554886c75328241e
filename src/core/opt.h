/*
 * The options of a call as the caller's header laid them out. Everything that takes an hf_opt reads
 * it through opt_read, so that programs built against an older header (a shorter struct) go on
 * working, and so that numbers are checked in one place.
 */
#ifndef CORE_OPT_H
#define CORE_OPT_H

#include "base/err.h"

/*
 * Copies opt (NULL: no options) into *out, zero where it says nothing, and checks the range of
 * every member and the form of every name. Strings are borrowed. HF_INVALID names the member; so
 * does it if opt->size is 0 (HF_OPT was not used), or a newer member is set that this library does
 * not know.
 */
int opt_read(const hf_opt *opt, hf_opt *out, struct err *err);

/* HF_INVALID for what id_check_name refuses, and for a comma: queues are listed with commas. */
int opt_check_queue(const char *queue, struct err *err);

#endif
