#include "services/gateway/shared_rates.h"

#include "libcommon/error.h"
#include "libcommon/log.h"
#include "libcommon/time.h"

#include <hiredis/hiredis.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#define EXCHANGE_MS 1000

/* The generic cell rate algorithm of buckets.c for what many requests have taken. ARGV prefix, what may be missing at most
 * (µs), and the buckets with what was taken from each (µs): what is missing in each now. Keys are made from the prefix, as
 * in held.c. */
static const char script[] = "local time = redis.call('TIME')\n"
                             "local now = time[1] * 1000000 + time[2]\n"
                             "local most = tonumber(ARGV[2])\n"
                             "local missing = {}\n"
                             "for name, taken in string.gmatch(ARGV[3], '(%S+) (%d+)') do\n"
                             "  local key = ARGV[1] .. name\n"
                             "  local full = math.max(tonumber(redis.call('GET', key) or 0), now)\n"
                             "  local left = math.min(full - now + tonumber(taken), most)\n"
                             "  redis.call('SET', key, string.format('%.0f', now + left), 'PX',\n"
                             "             math.ceil(left / 1000))\n"
                             "  missing[#missing + 1] = left\n"
                             "end\n"
                             "return missing";

struct shared_rates {
    struct shared_rates_options options;
    uv_timer_t timer;
    struct redis_command *command; /* under way, or NULL */
    char prefix[80];
    char most_us[24];
    /* What was told: */
    struct bucket_use uses[SHARED_RATES_MAX];
    struct buckets *tables[SHARED_RATES_MAX];
    size_t count;
};

int shared_rates_read(const struct redisReply *reply, size_t count, uint64_t most_us, uint64_t *missing_us)
{
    if (reply->type != REDIS_REPLY_ARRAY || reply->elements != count) {
        return MIRAI_E_INVALID;
    }
    for (size_t i = 0; i < count; i++) {
        const struct redisReply *left = reply->element[i];
        if (left->type != REDIS_REPLY_INTEGER || left->integer < 0 || (uint64_t)left->integer > most_us) {
            return MIRAI_E_INVALID;
        }
        missing_us[i] = (uint64_t)left->integer;
    }
    return 0;
}

static uint64_t most_us_of(const struct shared_rates *rates)
{
    return SHARED_RATES_WINDOWS * rates->options.window_ns / 1000;
}

/* Without an answer what was told may be lost to the others: some seconds' worth at most. */
static void on_exchanged(void *data, int status, const struct redisReply *reply)
{
    struct shared_rates *rates = data;
    uint64_t missing_us[SHARED_RATES_MAX], now_ns = mirai_monotonic_us() * 1000;
    rates->command = NULL;
    if (status != 0) {
        return; /* redis.c has logged why */
    }
    if (shared_rates_read(reply, rates->count, most_us_of(rates), missing_us) != 0) {
        mirai_log(WARNING, "Redis answers nonsense about rate limits");
        return;
    }
    for (size_t i = 0; i < rates->count; i++) {
        buckets_raise(rates->tables[i], rates->uses[i].key, now_ns + missing_us[i] * 1000);
    }
}

/* The first table has half of the places, the second what is left: neither keeps the other out. */
static void collect(struct shared_rates *rates)
{
    rates->count = 0;
    for (unsigned i = 0; i < SHARED_RATES_TABLES; i++) {
        struct buckets *table = rates->options.tables[i];
        size_t most = (i + 1) * SHARED_RATES_MAX / SHARED_RATES_TABLES;
        size_t found = buckets_used(table, rates->uses + rates->count, most - rates->count);
        for (size_t k = 0; k < found; k++) {
            rates->tables[rates->count++] = table;
        }
    }
}

static void on_timer(uv_timer_t *timer)
{
    struct shared_rates *rates = timer->data;
    if (rates->command != NULL) {
        return;
    }
    collect(rates);
    if (rates->count == 0) {
        return;
    }
    struct mirai_buf text = {0};
    for (size_t i = 0; i < rates->count; i++) {
        int table = rates->tables[i] == rates->options.tables[0] ? 0 : 1;
        mirai_buf_printf(&text, "%d:%016" PRIx64 " %" PRIu64 "\n", table, rates->uses[i].key,
                         (rates->uses[i].taken_ns + 999) / 1000);
    }
    const struct mirai_str argv[] = {mirai_str(rates->prefix), mirai_str(rates->most_us),
                                     mirai_buf_str(&text)};
    rates->command = redis_eval(rates->options.redis, script, 0, 3, argv, on_exchanged, rates);
    mirai_buf_free(&text);
}

struct shared_rates *shared_rates_new(const struct shared_rates_options *options)
{
    struct shared_rates *rates = mirai_alloc(sizeof(*rates));
    rates->options = *options;
    snprintf(rates->prefix, sizeof(rates->prefix), "%srate:", options->prefix);
    snprintf(rates->most_us, sizeof(rates->most_us), "%" PRIu64, most_us_of(rates));
    uv_timer_init(options->loop, &rates->timer);
    rates->timer.data = rates;
    uv_timer_start(&rates->timer, on_timer, EXCHANGE_MS, EXCHANGE_MS);
    return rates;
}

static void on_closed(uv_handle_t *timer)
{
    free(timer->data);
}

void shared_rates_free(struct shared_rates *rates)
{
    if (rates != NULL) {
        redis_cancel(rates->command);
        uv_close((uv_handle_t *)&rates->timer, on_closed);
    }
}
