#include "services/search-index/insight/concepts.h"

#include <pthread.h>

enum place {
    SAID,   /* anywhere in the text */
    HEADED, /* in a heading or a label, with text that belongs to it */
};

static const struct {
    enum concept concept;
    enum place place;
    const char *phrases;
} table[] = {
    {CONCEPT_IMPACT, SAID,
     "影響|被害|利用できな|利用不可|使用できな|使えな|使えませ|アクセスできな|ログインできな|接続できな|"
     "サインインできな"},
    {CONCEPT_IMPACT, SAID,
     "impact*|affected|affects|users could not|users cannot|unable to|not available|unavailable|outage"},
    {CONCEPT_IMPACT, HEADED, "対象|範囲|対象者|対象ユーザー|scope|who is affected|what changes for you"},
    {CONCEPT_TIME, SAID,
     "発生日時|発生時刻|検知日時|復旧日時|発生時間|時系列|タイムライン|timeline|occurred at|started "
     "at|detected at"},
    {CONCEPT_TIME, HEADED, "日時|時刻|発生日|経緯|経過|when|time|date"},
    {CONCEPT_SYMPTOM, SAID, "症状|事象|現象|エラーメッセージ|symptom*|error message*"},
    {CONCEPT_SYMPTOM, HEADED, "概要|状況|内容|summary|description|what happened"},
    {CONCEPT_CAUSE, SAID, "原因|起因|caused by|cause|causes|reason was|because of|due to"},
    {CONCEPT_CAUSE, HEADED, "要因|分析|analysis|diagnosis|why"},
    {CONCEPT_ROOT_CAUSE, SAID,
     "根本原因|真因|真の原因|原因は|原因が|原因として|が原因|root cause*|underlying cause|なぜなぜ|caused "
     "by"},
    {CONCEPT_ROOT_CAUSE, HEADED, "原因|cause|causes|causes and effects"},
    {CONCEPT_RESOLUTION, SAID,
     "復旧|解消|解決|対処|暫定対応|再起動し|修正し|交換し|復元し|回復し|resolved|resolution|restored|"
     "recovered|fixed|mitigat*"},
    {CONCEPT_RESOLUTION, HEADED,
     "対応|対応手順|対応内容|処置|措置|調査と対応|response|recovery|fix|solution|actions*"},
    {CONCEPT_WORKAROUND, SAID,
     "回避策|回避方法|暫定対応|暫定対処|暫定策|代替手段|代替策|workaround*|work around|for now"},
    {CONCEPT_WORKAROUND, HEADED, "暫定|代替|回避|alternative*|mitigation"},
    {CONCEPT_PERMANENT_FIX, SAID,
     "恒久対応|恒久対策|恒久的な対応|恒久的な対策|恒久措置|根本対策|抜本|permanent fix*|long-term "
     "fix|permanent solution|fixed in"},
    {CONCEPT_PERMANENT_FIX, HEADED, "対策|解決策|再発防止|再発防止策|solution|fix|remediation|prevention"},
    {CONCEPT_PREVENTION, SAID,
     "再発防止|再発を防|予防|恒久対|再発しな|監視を追加|prevent*|avoid a repeat|so that it does not happen "
     "again"},
    {CONCEPT_PROBLEM_LINK, SAID,
     "問題管理|問題票|問題記録|問題レコード|既知のエラー|関連する問題|problem record*|problem ticket*|known "
     "error*|related problem*"},
    {CONCEPT_PROBLEM_LINK, HEADED, "関連する記事|関連記事|関連文書|関連|see also|related"},
    {CONCEPT_PURPOSE, SAID, "目的|背景|理由|のため、|purpose|background|in order to|reason for"},
    {CONCEPT_STEPS, SAID, "手順|作業内容|作業項目|作業の流れ|procedure*|steps|step 1|runbook"},
    {CONCEPT_STEPS, HEADED,
     "作業|流れ|申請方法|方法|やり方|初日の流れ|how to|implementation|deployment|instructions|what to do"},
    {CONCEPT_ROLLBACK, SAID,
     "切り戻|切戻|切りもど|ロールバック|元に戻|巻き戻|原状復帰|原状回復|復元手順|戻し手順|バックアウト|"
     "旧環境に戻|以前のバージョンに戻"},
    {CONCEPT_ROLLBACK, SAID,
     "rollback*|roll back|rolled back|rolling back|backout|back-out|back out|revert*|fall back|fallback"},
    {CONCEPT_SCHEDULE, SAID,
     "作業日時|実施日時|実施日|作業日|日程|スケジュール|予定日|作業時間|実施予定|リリース日|公開日|展開日|"
     "展開リング|メンテナンス時間|停止時間|作業枠"},
    {CONCEPT_SCHEDULE, SAID,
     "schedul*|maintenance window|change window|timetable|planned for|release date|go-live"},
    {CONCEPT_SCHEDULE, HEADED, "当日|日時|時期|予定|期間|週間前|日前|date|dates|when|at a glance"},
    {CONCEPT_APPROVAL, SAID,
     "承認|決裁|許可を得|上長|変更諮問|稟議|cab|approv*|sign-off|signed off|authoris*|authoriz*"},
    {CONCEPT_TEST, SAID,
     "検証|テスト|動作確認|確認手順|リハーサル|試験|確認項目|動作を確認|test|tests|tested|testing|verif*|"
     "rehears*|smoke"},
    {CONCEPT_TEST, HEADED, "確認|事後確認|結果|checks|check|result|results|validation"},
    {CONCEPT_RISK, SAID, "リスク|危険|懸念|risk*"},
    {CONCEPT_VERSION, SAID,
     "バージョン|月度|月例|更新番号|ビルド番号|リリース番号|version*|build number|release number"},
    {CONCEPT_VERSION, HEADED, "版|版数|ビルド|build|release"},
    {CONCEPT_CONTENTS, SAID,
     "新機能|更新プログラム|月例更新|月例パッチ|変更点|変更内容|改善|不具合の修正|不具合修正|修正内容|"
     "追加機能|リリース内容|リリースノート|what "
     "is new|what's new|new features|bug fixes|improvements|release notes|changes in"},
    {CONCEPT_CONTENTS, HEADED, "内容|変更|修正|機能|構成|changes|features|fixes|contents|what changes*"},
    {CONCEPT_KNOWN_ISSUE, SAID,
     "既知の問題|既知の不具合|制限事項|注意事項|注意点|known issue*|limitation*|caveat*"},
    {CONCEPT_REQUESTER, SAID,
     "申請者|依頼者|依頼元|申請部署|利用者名|社員番号|本人確認|本人から|上長から|申請番号|requester*|"
     "requested by|on behalf of|applicant*"},
    {CONCEPT_REQUESTER, HEADED,
     "必要な情報|申請に必要な情報|申請の内容|申請の条件|対象者|who may ask|what the request must contain"},
    {CONCEPT_DUE, SAID,
     "期限|期日|納期|希望日|営業日|までに|日前|対応時間|受付時間|標準の対応|due|deadline*|within|business "
     "day*|working day*|turnaround|lead time"},
    {CONCEPT_DUE, HEADED, "いつまで|timetable|when"},
    {CONCEPT_USERS, SAID,
     "利用者|ユーザー|社員|皆さま|皆様|お客様|お使い|ご利用|ご連絡|ください|問い合わせ|users|customers|staff|"
     "everyone|please|you can|you may|help desk"},
    {CONCEPT_PENDING, SAID,
     "未定|未記入|調査中|確認中|検討中|後日|記入して|記載予定|追記予定|tbd|tba|todo|fixme|to be "
     "determined|to be decided|to be written"},
};

static struct phrase_set *set;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void build(void)
{
    set = phrase_set_new();
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        phrase_set_add(set, table[i].phrases,
                       (uint32_t)table[i].concept | (table[i].place == HEADED ? CONCEPT_HEADED : 0));
    }
}

const struct phrase_set *concept_phrases(void)
{
    pthread_once(&once, build);
    return set;
}
