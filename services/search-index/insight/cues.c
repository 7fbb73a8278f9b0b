#include "services/search-index/insight/cues.h"

#include "proto/enums.h"

#include <pthread.h>

#define INCIDENT MIRAI_ITSM_TYPE_INCIDENT
#define PROBLEM  MIRAI_ITSM_TYPE_PROBLEM
#define CHANGE   MIRAI_ITSM_TYPE_CHANGE
#define RELEASE  MIRAI_ITSM_TYPE_RELEASE
#define REQUEST  MIRAI_ITSM_TYPE_REQUEST
#define OTHER    MIRAI_ITSM_TYPE_OTHER

/* Longer phrases hide the shorter ones in them: 根本原因 says nothing of 原因. Weights: 3 nearly decides, 1 is a
 * hint. The terms are those of ITIL and of its Japanese translation. */
const struct cue cue_table[] = {
    {INCIDENT, 3.0,
     "障害報告|インシデント|障害発生|障害の発生|障害が発生|incident|incidents|outage|outages|service "
     "down|breach"},
    {INCIDENT, 2.0,
     "障害|停止した|停止しました|ダウンした|ダウンしました|落ちた|繋がらない|つながらない|つながりません|"
     "繋がりません"},
    {INCIDENT, 2.0,
     "接続できない|接続できません|できなくなっ|利用できなくなっ|使えなくなっ|表示されなくなっ|"
     "アクセスできない|went down|stopped working|could not|unreachable"},
    {INCIDENT, 2.0, "復旧|復旧しました|復旧した|復旧手順|restored|recovered|restoration|recovery|resolved"},
    {INCIDENT, 2.0, "時系列|発生日時|検知|第一報|初動|timeline|detected at|occurred"},
    {INCIDENT, 1.5, "影響範囲|影響|impact|affected"},
    {INCIDENT, 1.5, "症状|事象|symptom*"},
    {INCIDENT, 1.0, "エラー|異常|失敗した|失敗しました|停止|発生|error|errors|failed|failure|failures|alert"},
    {INCIDENT, 1.0, "原因|対応|暫定対応|再発防止|cause|resolution|prevention"},
    {INCIDENT, 1.0,
     "枯渇|満杯|遮断|切断|期限切れ|乗っ取り|フィッシング|マルウェア|感染|expired|exhausted|phishing|full"},
    {INCIDENT, 1.0, "調査|切り分け|緊急|至急|diagnosis|investigat*|urgent|triage"},

    {PROBLEM, 3.0,
     "根本原因|根本的な原因|真因|問題管理|既知のエラー|root cause|root causes|root cause analysis|known "
     "error|problem record|problem management"},
    {PROBLEM, 3.0,
     "恒久対応|恒久対策|恒久的な対策|恒久的な対応|permanent fix|permanent fixes|permanent solution"},
    {PROBLEM, 2.5, "回避策|回避方法|workaround|workarounds"},
    {PROBLEM, 2.5,
     "繰り返し発生|繰り返される|再発する|再発して|再発しており|頻発|多発|たびたび|recurring|recurrent|"
     "reoccur*|keeps happening|repeatedly|again and again"},
    {PROBLEM, 1.5, "なぜなぜ分析|傾向分析|発生傾向|原因分析|原因調査|原因究明|trend|trends|analysis"},
    {PROBLEM, 1.0,
     "再現手順|再現条件|再現|発生条件|reproduce*|reproducible|intermittent*|間欠|ときどき|時々"},
    {PROBLEM, 0.5, "症状|調査|調査方法|概要|symptoms|investigation|summary"},

    {CHANGE, 3.0,
     "変更計画|変更要求|変更申請|変更管理|変更作業|変更内容|change request|change plan|change record|change "
     "window|rfc"},
    {CHANGE, 2.5,
     "切り戻し|切戻し|切り戻し手順|切戻し手順|切り戻し計画|ロールバック|rollback|rollback plan|roll "
     "back|backout|back-out plan"},
    {CHANGE, 2.0,
     "移行|切り替え|切替|切替作業|置き換え|入れ替え|マイグレーション|migrat*|cutover|switch "
     "over|replace*|rollover"},
    {CHANGE, 2.0,
     "作業手順|作業日時|作業時間|メンテナンス|計画停止|保守作業|maintenance window|planned "
     "maintenance|scheduled maintenance"},
    {CHANGE, 2.0,
     "設定変更|構成変更|設定を変更|有効化|無効化|有効にする|無効にする|増設|更改|enable|enabling|disable|"
     "disabling|upgrade|upgrading|アップグレード"},
    {CHANGE, 1.5,
     "事前準備|事前確認|事後確認|作業前|作業後|影響とリスク|リスクと対策|リスク|risks|risk|verification|"
     "purpose"},
    {CHANGE, 1.0, "目的|検証|承認|変更諮問|cab|variables|予定|実施|pre-check|post-check"},

    {RELEASE, 3.5,
     "リリースノート|リリース計画|リリース内容|リリース手順|リリースのお知らせ|release notes|release "
     "plan|release note"},
    {RELEASE, 2.5,
     "リリース|リリースしました|新バージョン|release|released|new version|general availability"},
    {RELEASE, 2.5,
     "新機能|不具合の修正|不具合修正|改善点|変更点|修正内容|what is new|what's new|new features|bug "
     "fixes|changelog|what changes for you"},
    {RELEASE, 2.0,
     "デプロイ|デプロイ手順|展開リング|展開計画|展開の手順|展開|deploy|deployment|deployed|roll-out|rollout|"
     "ring 0|ring 1"},
    {RELEASE, 2.0, "互換性|既知の問題|既知の不具合|known issues|compatibility|deprecated|breaking change*"},
    {RELEASE, 1.5,
     "バージョン|アップデート|月例更新|月例パッチ|更新プログラム|パッチ|標準イメージ|version|versions|"
     "monthly patches|patch|patches|image"},
    {RELEASE, 0.5, "切り戻し|ロールバック|rollback|概要|公開"},

    {REQUEST, 3.0,
     "申請方法|申請手順|申請に必要|申請の条件|申請書|申請フォーム|申請の流れ|利用申請|service "
     "request|request form|what the request must contain|how to request"},
    {REQUEST, 2.0,
     "申請|申請する|申請者|申請してください|依頼|依頼者|ご依頼|request|requests|requester|requested|"
     "applicant"},
    {REQUEST, 2.0, "付与|権限付与|発行|払い出し|貸与|貸出|再発行|grant|granted|provisioning|issue a"},
    {REQUEST, 2.0, "入社|退職|異動|着任|離任|onboarding|offboarding|new employee|leaver|joiner"},
    {REQUEST, 1.5, "承認|上長|上長の承認|承認者|approval|approved by|approver|manager"},
    {REQUEST, 1.5,
     "リセット|初期化|ロック解除|本人確認|更新手続き|reset|unlock|renew|renewal|licence|license|ライセンス"},
    {REQUEST, 1.0,
     "権限|アカウント|営業日|受付時間|完了の条件|利用開始|窓口|account|accounts|access|business days|done "
     "when"},

    {OTHER, 2.5,
     "よくある質問|faq|チェックリスト|マニュアル|手引き|ガイドライン|方針|規程|規定|ポリシー|checklist|"
     "guideline*|policy|policies|handbook|how to"},
    {OTHER, 2.0,
     "運用方針|訓練|勉強会|研修|用語集|入門|基礎|まとめ|一覧|drill|exercise|tutorial|overview|glossary|"
     "introduction|reference"},
    {OTHER, 2.0,
     "使い方|設定方法|操作方法|利用方法|確認方法|手順書|トラブルシューティング|troubleshooting|first five "
     "minutes|guide"},
    {OTHER, 1.5,
     "基本の考え方|まず確認すること|対処|症状別|症状別の対処|つまずきやすい|定期の点検|点検|scenario|review|"
     "goal|before you ask"},
    {OTHER, 1.0, "前提|対象|頻度|原則|事前の準備|バックアップ|復元|writing a good|common"},
};

const size_t cue_count = sizeof(cue_table) / sizeof(cue_table[0]);

static struct phrase_set *set;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void build(void)
{
    set = phrase_set_new();
    for (size_t i = 0; i < cue_count; i++) {
        phrase_set_add(set, cue_table[i].phrases, (uint32_t)i);
    }
}

const struct phrase_set *cue_phrases(void)
{
    pthread_once(&once, build);
    return set;
}
