#include "services/gateway/problem.h"

#include "proto/message.h"

#define TEXT(name) [PROBLEM_##name]

/* Slug and status of the common errors come from libcommon; here are the words. */
const struct problem_text problem_texts[PROBLEM_COUNT] = {
    TEXT(NONE) = {"none", 200, "問題はありません", "No problem"},
    TEXT(INVALID) = {"invalid-request", 400, "リクエストの形式が正しくありません",
                     "The request is malformed"},
    TEXT(UNAUTHENTICATED) = {"unauthenticated", 401, "ログインまたは有効なトークンが必要です",
                             "A login or a valid token is needed"},
    TEXT(FORBIDDEN) = {"forbidden", 403, "この操作を行う権限がありません", "You may not do this"},
    TEXT(NOT_FOUND) = {"not-found", 404, "見つかりません", "Not found"},
    TEXT(METHOD) = {"method-not-allowed", 405, "このメソッドは使えません", "The method is not allowed here"},
    TEXT(NOT_ACCEPTABLE) = {"not-acceptable", 406, "要求された形式では応答できません",
                            "No representation that the client accepts"},
    TEXT(CONFLICT) = {"conflict", 409, "現在の状態と矛盾しています", "This conflicts with the present state"},
    TEXT(PRECONDITION) = {"precondition-failed", 412, "ほかの人が先に変更しました",
                          "It has been changed in the meantime"},
    TEXT(TOO_LARGE) = {"too-large", 413, "大きすぎます", "Too large"},
    TEXT(MEDIA_TYPE) = {"unsupported-media-type", 415, "この Content-Type は受け付けられません",
                        "This Content-Type is not taken here"},
    TEXT(UNPROCESSABLE) = {"validation-failed", 422, "入力内容に誤りがあります",
                           "Some of the input is not valid"},
    TEXT(INFECTED) = {"attachment-infected", 422, "ファイルからウイルスが検出されました",
                      "The virus scanner found something in the file"},
    TEXT(PRECONDITION_REQUIRED) = {"precondition-required", 428, "If-Match ヘッダーが必要です",
                                   "An If-Match header is needed"},
    TEXT(THROTTLED) = {"too-many-requests", 429, "リクエストが多すぎます。しばらく待ってください",
                       "Too many requests: please wait"},
    TEXT(INTERNAL) = {"internal", 500, "サーバー内部で問題が発生しました",
                      "Something went wrong in the server"},
    TEXT(UNAVAILABLE) = {"unavailable", 503, "一時的に利用できません", "Not available for the moment"},
    TEXT(OVERLOADED) = {"overloaded", 503, "混み合っています。しばらく待ってください",
                        "Overloaded: please wait"},
    TEXT(DEADLINE) = {"deadline-exceeded", 503, "時間内に応答できませんでした", "No answer in time"},
    TEXT(SCANNER) = {"scanner-unavailable", 503, "ウイルス検査を行えませんでした。しばらく待ってください",
                     "The virus scanner gives no verdict: please wait"},
    TEXT(NO_SPACE) = {"insufficient-storage", 507, "ディスクの空き容量が足りません", "The disk is full"},
    TEXT(CANCELLED) = {"cancelled", 499, "中断されました", "Cancelled"},
    TEXT(LENGTH_REQUIRED) = {"length-required", 411, "本文と Content-Length が必要です",
                             "A body with a Content-Length is needed"},
    TEXT(RANGE) = {"range-not-satisfiable", 416, "要求された範囲はありません", "There is no such range"},
    TEXT(EXPECTATION) = {"expectation-failed", 417, "Expect ヘッダーに応えられません",
                         "The Expect header cannot be met"},
    TEXT(HEAD_TOO_LARGE) = {"head-too-large", 431, "リクエストヘッダーが大きすぎます",
                            "The request's headers are too large"},
    TEXT(CROSS_SITE) = {"cross-site", 403, "ほかのサイトからの操作は受け付けられません",
                        "Requests from other sites are refused"},
    TEXT(CSRF) = {"csrf-token", 403, "X-CSRF-Token ヘッダーがないか、正しくありません",
                  "The X-CSRF-Token header is missing or wrong"},
    TEXT(SECOND_FACTOR) = {"second-factor-required", 401, "ワンタイムコードが必要です",
                           "A one-time code is needed"},
    TEXT(MUST_CHANGE_PASSWORD) = {"password-change-required", 403, "新しいパスワードの設定が必要です",
                                  "A new password must be set"},
    TEXT(SEARCH_REBUILDING) = {"search-rebuilding", 503, "検索索引を再構築しています",
                               "Search is rebuilding"},
};

enum problem problem_of_error(int err)
{
    return err < 0 && -err < MIRAI_ERROR_COUNT ? (enum problem) - err : PROBLEM_INTERNAL;
}

enum problem problem_of_status(int status)
{
    for (enum problem problem = PROBLEM_INVALID; problem < PROBLEM_COUNT; problem++) {
        if (problem_texts[problem].status == status) {
            return problem;
        }
    }
    return status >= 500 ? PROBLEM_INTERNAL : PROBLEM_INVALID;
}

void problem_write(struct mirai_buf *out, enum problem problem, struct mirai_str locale,
                   struct mirai_str instance, struct mirai_str detail, struct mirai_str errors)
{
    const struct problem_text *text = &problem_texts[problem];
    bool ja = mirai_str_eq(locale, MIRAI_STR("ja"));
    mirai_buf_printf(out, "{\"type\":\"urn:mirai:problem:%s\",\"title\":", text->slug);
    mirai_buf_append_json(out, mirai_str(ja ? text->ja : text->en));
    mirai_buf_printf(out, ",\"status\":%d", text->status);
    if (detail.len > 0) {
        mirai_buf_append_str(out, MIRAI_STR(",\"detail\":"));
        mirai_buf_append_json(out, detail);
    }
    mirai_buf_append_str(out, MIRAI_STR(",\"instance\":"));
    mirai_buf_append_json(out, instance);
    if (errors.len > 0) {
        size_t before = out->len;
        mirai_buf_append_str(out, MIRAI_STR(",\"errors\":"));
        if (mirai_mp_to_json(errors, out) != 0) {
            out->len = before;
        }
    }
    mirai_buf_append_char(out, '}');
}
