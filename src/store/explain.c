/* Plans and fillings by the kind of store. */
#include "store/explain.h"

#include <string.h>

static bool
is_postgres(const struct store *s)
{
    return strcmp(s->ops->name, "postgresql") == 0;
}

int
store_explain(struct store *s, explain_fn fn, void *arg, bool *inside, struct err *err)
{
    if (is_postgres(s))
        return postgres_explain(s, fn, arg, inside, err);
    *inside = true; /* there are no functions */
    return sqlite_explain(s, fn, arg, err);
}

int
store_explain_end(struct store *s, struct err *err)
{
    if (!is_postgres(s))
        return sqlite_explain_end(s, err);
    postgres_explain_end(s);
    return HF_OK;
}

int
store_fill(struct store *s, enum fill what, int64_t first, int64_t last, int each, struct err *err)
{
    if (is_postgres(s))
        return postgres_fill(s, what, first, last, each, err);
    return sqlite_fill(s, what, first, last, each, err);
}

int
store_statistics(struct store *s, enum statistics which, bool filled, struct err *err)
{
    if (is_postgres(s))
        return postgres_statistics(s, which, filled, err);
    return sqlite_statistics(s, which, filled, err);
}
