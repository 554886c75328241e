/* A run's row as the public hf_info. */
#ifndef CLIENT_INFO_H
#define CLIENT_INFO_H

#include "store/store.h"

/* To be freed with hf_info_free. HF_NOMEM. */
int info_make(const struct run_row *run, hf_info **out, struct err *err);

#endif
