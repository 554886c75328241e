#!/bin/sh
# Writes orders.jsonl: the same thousand orders every time.
#   examples/orders/make-orders.sh > examples/orders/orders.jsonl
exec awk 'BEGIN {
    split("mug lamp chair desk clock vase", skus, " ")
    seed = 20240131
    for (i = 1; i <= 1000; i++) {
        seed = (seed * 16807) % 2147483647
        amount = 500 + seed % 20000
        card = i % 25 == 7 ? "declined" : i % 40 == 3 ? "slow" : i % 10 == 4 ? "flaky" : "good"
        approval = i % 48 == 20 ? "no" : i % 8 == 4 ? "yes" : "none"
        printf "{\"order\":\"order-%04d\",\"sku\":\"%s\",\"quantity\":%d,\"amount\":%d,", i, skus[1 + seed % 6], 1 + i % 4, amount
        printf "\"card\":\"%s\",\"approval\":\"%s\"}\n", card, approval
    }
}' /dev/null
