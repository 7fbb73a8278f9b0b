#include "services/ctl/text.h"

#include "libcommon/config.h"
#include "libcommon/error.h"

#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <wchar.h>

static bool japanese = true;

/* The first of the usual variables that is set. */
static const char *environment_locale(void)
{
    static const char *const names[] = {"LC_ALL", "LC_MESSAGES", "LANG"};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        const char *value = getenv(names[i]);
        if (value != NULL && *value != '\0') {
            return value;
        }
    }
    return NULL;
}

void text_init(void)
{
    const char *language = mirai_config_str(MIRAI_CONFIG_LOCALE);
    if (!mirai_config_is_set(MIRAI_CONFIG_LOCALE) && environment_locale() != NULL) {
        language = environment_locale();
    }
    japanese = language != NULL && strncmp(language, "ja", 2) == 0;
    setlocale(LC_CTYPE, "C.UTF-8"); /* for mbrtowc and wcwidth: all text here is UTF-8 */
}

bool text_japanese(void)
{
    return japanese;
}

const char *text(const char *ja, const char *en)
{
    return japanese ? ja : en;
}

const char *text_error(int err)
{
    static const struct {
        const char *ja;
        const char *en;
    } errors[MIRAI_ERROR_COUNT] = {
        [MIRAI_ERROR_INDEX_NONE] = {"成功", "done"},
        [MIRAI_ERROR_INDEX_INVALID] = {"不正な要求です", "the request is malformed"},
        [MIRAI_ERROR_INDEX_UNAUTHENTICATED] = {"認証されていません", "not authenticated"},
        [MIRAI_ERROR_INDEX_FORBIDDEN] = {"権限がありません", "not allowed"},
        [MIRAI_ERROR_INDEX_NOT_FOUND] = {"見つかりません", "not found"},
        [MIRAI_ERROR_INDEX_METHOD] = {"この操作はありません", "there is no such operation"},
        [MIRAI_ERROR_INDEX_NOT_ACCEPTABLE] = {"表現できません", "cannot be represented so"},
        [MIRAI_ERROR_INDEX_CONFLICT] = {"現在の状態と衝突します", "conflicts with the present state"},
        [MIRAI_ERROR_INDEX_PRECONDITION] = {"別の変更が先に行われました", "something else changed it before"},
        [MIRAI_ERROR_INDEX_TOO_LARGE] = {"大きすぎます", "too large"},
        [MIRAI_ERROR_INDEX_MEDIA_TYPE] = {"対応していない形式です", "unsupported media type"},
        [MIRAI_ERROR_INDEX_UNPROCESSABLE] = {"値が正しくありません", "a value is not valid"},
        [MIRAI_ERROR_INDEX_INFECTED] = {"ウイルスが検出されました", "the virus scanner found something"},
        [MIRAI_ERROR_INDEX_PRECONDITION_REQUIRED] = {"版の指定が必要です", "a version must be given"},
        [MIRAI_ERROR_INDEX_THROTTLED] = {"要求が多すぎます", "too many requests"},
        [MIRAI_ERROR_INDEX_INTERNAL] = {"内部エラー（デーモンのログを参照）",
                                        "internal error (see the daemon's log)"},
        [MIRAI_ERROR_INDEX_UNAVAILABLE] = {"デーモンが応答しません", "the daemon is not available"},
        [MIRAI_ERROR_INDEX_OVERLOADED] = {"デーモンが過負荷です", "the daemon is overloaded"},
        [MIRAI_ERROR_INDEX_DEADLINE] = {"時間内に応答がありません", "no answer in time"},
        [MIRAI_ERROR_INDEX_SCANNER] = {"ウイルス検査を行えません", "the virus scanner gives no verdict"},
        [MIRAI_ERROR_INDEX_NO_SPACE] = {"ディスクの空きがありません", "the disk is full"},
        [MIRAI_ERROR_INDEX_CANCELLED] = {"取り消されました", "cancelled"},
    };
    int index = err <= 0 && -err < MIRAI_ERROR_COUNT ? -err : MIRAI_ERROR_INDEX_INTERNAL;
    return text(errors[index].ja, errors[index].en);
}

struct mirai_str text_problem(struct mirai_str problem)
{
    static const struct {
        const char *slug;
        const char *ja;
        const char *en;
    } problems[] = {
        {"required", "必須です", "is required"},
        {"type", "型が違います", "has the wrong type"},
        {"too-short", "短すぎます", "is too short"},
        {"too-long", "長すぎます", "is too long"},
        {"too-small", "小さすぎます", "is too small"},
        {"too-large", "大きすぎます", "is too large"},
        {"enum", "使えない値です", "is not one of the allowed values"},
        {"utf8", "UTF-8 ではありません", "is not UTF-8"},
        {"nul", "NUL を含みます", "contains NUL"},
        {"unknown-field", "不明な項目です", "is unknown"},
        {"too-many", "多すぎます", "has too many items"},
        {"format", "書式が違います", "has the wrong format"},
        {"duplicate", "重複しています", "is given twice"},
    };
    for (size_t i = 0; i < sizeof(problems) / sizeof(problems[0]); i++) {
        if (mirai_str_eq(mirai_str(problems[i].slug), problem)) {
            return mirai_str(text(problems[i].ja, problems[i].en));
        }
    }
    return problem;
}

void text_size(char out[32], int64_t bytes)
{
    static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB"};
    double value = (double)bytes;
    size_t unit = 0;
    while (value >= 1024 && unit + 1 < sizeof(units) / sizeof(units[0])) {
        value /= 1024;
        unit++;
    }
    snprintf(out, 32, unit == 0 ? "%.0f %s" : "%.1f %s", value, units[unit]);
}

void text_duration(char out[32], int64_t ms)
{
    int64_t s = ms / 1000;
    if (ms < 1000) {
        snprintf(out, 32, "%lld ms", (long long)ms);
    } else if (s < 60) {
        snprintf(out, 32, "%.1f s", (double)ms / 1000);
    } else if (s < 3600) {
        snprintf(out, 32, "%lld min %lld s", (long long)(s / 60), (long long)(s % 60));
    } else if (s < 86400) {
        snprintf(out, 32, "%lld h %lld min", (long long)(s / 3600), (long long)(s % 3600 / 60));
    } else {
        snprintf(out, 32, "%lld d %lld h", (long long)(s / 86400), (long long)(s % 86400 / 3600));
    }
}

void text_time(char out[32], int64_t unix_ms)
{
    struct tm local;
    time_t seconds = (time_t)(unix_ms / 1000);
    if (localtime_r(&seconds, &local) == NULL || strftime(out, 32, "%Y-%m-%d %H:%M:%S", &local) == 0) {
        snprintf(out, 32, "-");
    }
}

size_t text_width(struct mirai_str s)
{
    mbstate_t state = {0};
    size_t width = 0;
    while (s.len > 0) {
        wchar_t c;
        size_t n = mbrtowc(&c, s.data, s.len, &state);
        if (n == 0 || n > s.len) { /* NUL or not UTF-8 */
            n = 1;
            width++;
            state = (mbstate_t){0};
        } else {
            int columns = wcwidth(c);
            width += columns > 0 ? (size_t)columns : 0;
        }
        s.data += n;
        s.len -= n;
    }
    return width;
}

void text_append_safe(struct mirai_buf *buf, struct mirai_str s)
{
    for (size_t i = 0; i < s.len; i++) {
        unsigned char c = (unsigned char)s.data[i];
        bool c1 = c == 0xc2 && i + 1 < s.len && (unsigned char)s.data[i + 1] < 0xa0; /* U+0080..U+009F */
        if (c < 0x20 || c == 0x7f || c1) {
            mirai_buf_append_str(buf, MIRAI_STR("\xef\xbf\xbd"));
            i += c1;
        } else {
            mirai_buf_append_char(buf, (char)c);
        }
    }
}
