/* Short texts of known ITSM types, in the words of tickets and mails, not of the samples. */
#ifndef TEST_INSIGHT_TEXTS_H
#define TEST_INSIGHT_TEXTS_H

#include "proto/enums.h"

static const struct {
    int type;
    const char *title;
    const char *body;
} insight_texts[] = {
    {MIRAI_ITSM_TYPE_INCIDENT, "基幹システムにログインできない",
     "今朝 9 時ごろから、営業部の全員が基幹システムにログインできません。認証サーバーがエラー 500 "
     "を返しています。再起動で 9:40 に復旧しました。"},
    {MIRAI_ITSM_TYPE_INCIDENT, "メール送信が遅延しています",
     "14:10 頃からメールの送信に 30 分以上かかる事象が発生しています。影響は全社。キューが 2 "
     "万通たまっており、原因を調査中です。"},
    {MIRAI_ITSM_TYPE_INCIDENT, "ファイルサーバー停止のお知らせと状況",
     "fs02 がディスク故障により停止しました。現在、予備機で復旧作業中です。"},
    {MIRAI_ITSM_TYPE_INCIDENT, "Web site returned 502 for 20 minutes",
     "At 10:05 the load balancer lost both backends. Customers could not log in. The service was restored at "
     "10:25 after a restart of app01."},
    {MIRAI_ITSM_TYPE_INCIDENT, "Laptop infected by ransomware",
     "The alert came at 07:50. The PC was cut off from the network. Two shared folders were affected and "
     "restored from the backup."},
    {MIRAI_ITSM_TYPE_INCIDENT, "複合機から印刷できません",
     "3 階の複合機で印刷が失敗しています。トナーは交換済み。スプーラーを再起動したところ解消しました。"},

    {MIRAI_ITSM_TYPE_PROBLEM, "月末に会計バッチが遅れる問題の調査",
     "毎月末に同じ遅延が繰り返し発生している。根本原因は索引の断片化。回避策として手動で再構成する。恒久対策"
     "は次期バージョンで行う。"},
    {MIRAI_ITSM_TYPE_PROBLEM, "無線が頻繁に切れる",
     "同様の問い合わせが先月から 15 "
     "件あり、再発しています。ドライバーの不具合が真因と考えられる。暫定的に電波強度を変更。"},
    {MIRAI_ITSM_TYPE_PROBLEM, "Recurring memory leak in the report service",
     "The service runs out of memory every four days. The root cause is a cache without a limit. Workaround: "
     "restart at night."},
    {MIRAI_ITSM_TYPE_PROBLEM, "なぜ証明書の更新漏れが再発するのか",
     "なぜなぜ分析の結果、台帳の管理者が決まっていないことが根本原因と判明。恒久対応として台帳を統合する。"},
    {MIRAI_ITSM_TYPE_PROBLEM, "既知のエラー: PDF が開けない",
     "原因はプラグインの不具合。再現手順は次のとおり。回避策は別のビューアーを使うこと。"},
    {MIRAI_ITSM_TYPE_PROBLEM, "Intermittent database timeouts",
     "Trend analysis of 40 incidents shows one pattern. Known error; the permanent fix is planned for the "
     "next quarter."},

    {MIRAI_ITSM_TYPE_CHANGE, "ファイアウォールのルール追加作業",
     "作業日時は 6 月 3 日 22:00。事前準備として設定を保存し、作業手順に沿ってルールを 3 "
     "本追加する。問題があれば保存した設定に切り戻す。"},
    {MIRAI_ITSM_TYPE_CHANGE, "サーバー室の空調更改に伴う計画停止",
     "メンテナンスのため日曜日に全サーバーを停止します。作業後に動作確認を行います。影響とリスクは別紙。"},
    {MIRAI_ITSM_TYPE_CHANGE, "Move the mail relay to new hardware",
     "Maintenance window: Saturday 20:00. Migrate the queue, switch the DNS record, verify. Rollback: point "
     "the record back."},
    {MIRAI_ITSM_TYPE_CHANGE, "TLS 1.0 の無効化",
     "目的は脆弱性対策。負荷分散装置の設定を変更し、検証後に本番へ適用する。ロールバックは旧設定の読み込み"
     "。"},
    {MIRAI_ITSM_TYPE_CHANGE, "ストレージ増設の変更計画",
     "容量を 20 TB 増設する。リスクは低い。承認は CAB で取得する。"},
    {MIRAI_ITSM_TYPE_CHANGE, "Enable MFA for administrators",
     "Purpose: lower the risk of stolen passwords. Steps and back-out plan are below. The change was "
     "approved on Monday."},

    {MIRAI_ITSM_TYPE_RELEASE, "勤怠システム Ver 3.2 リリースのお知らせ",
     "新機能として代理申請を追加しました。不具合の修正は 4 件です。既知の問題があります。"},
    {MIRAI_ITSM_TYPE_RELEASE, "11 月の月例パッチ",
     "更新プログラムを検証機から順に展開する。既知の不具合を確認し、リング 1 の後に全社へ配布する。"},
    {MIRAI_ITSM_TYPE_RELEASE, "Intranet portal 5.0.1",
     "Release notes. New features: dark mode. Bug fixes: search. Deployment starts on Monday."},
    {MIRAI_ITSM_TYPE_RELEASE, "在庫アプリのデプロイ計画",
     "バージョン 1.8.0 を本番にデプロイする。変更点は画面の改善と互換性の向上。"},
    {MIRAI_ITSM_TYPE_RELEASE, "New version of the VPN client",
     "Version 6.1 will be rolled out in rings. What is new: faster sign-in. Known issues: none."},
    {MIRAI_ITSM_TYPE_RELEASE, "標準イメージ 2027 春",
     "新しい標準イメージを公開しました。変更点とアップデートの方法をまとめます。"},

    {MIRAI_ITSM_TYPE_REQUEST, "共有フォルダーの権限を付けてほしい",
     "営業 2 課の新しい社員に、フォルダーの書き込み権限の付与を依頼します。上長の承認は取得済みです。"},
    {MIRAI_ITSM_TYPE_REQUEST, "ソフトウェアの利用申請",
     "申請者は申請フォームに用途と期間を記入する。承認後、3 営業日以内にライセンスを発行する。"},
    {MIRAI_ITSM_TYPE_REQUEST, "新入社員の PC とアカウント",
     "4 月 1 日に入社する 3 名分のアカウントの発行をお願いします。"},
    {MIRAI_ITSM_TYPE_REQUEST, "Request for a shared mailbox",
     "The requester names an owner. The manager approves. The mailbox is provisioned within two business "
     "days."},
    {MIRAI_ITSM_TYPE_REQUEST, "Password reset for a user on leave",
     "How to request it: call the desk; identity is checked with the manager, then the account is unlocked."},
    {MIRAI_ITSM_TYPE_REQUEST, "退職者のアカウント停止の手続き",
     "退職日の 5 営業日前までに、上長が申請してください。"},

    {MIRAI_ITSM_TYPE_OTHER, "会議室予約システムの使い方",
     "画面右上の「予約」を押し、日付を選びます。繰り返しの予約もできます。"},
    {MIRAI_ITSM_TYPE_OTHER, "情報セキュリティ方針",
     "本方針は全社員に適用する。情報資産を分類し、区分ごとに取り扱いの原則を定める。"},
    {MIRAI_ITSM_TYPE_OTHER, "How to write a good knowledge article",
     "Write for a reader who was not there. Use headings. See the checklist below."},
    {MIRAI_ITSM_TYPE_OTHER, "Linux コマンド一覧",
     "よく使うコマンドをまとめる。ls は一覧、grep は検索。入門者向けの基礎。"},
    {MIRAI_ITSM_TYPE_OTHER, "防災訓練の進め方", "年に 2 回の訓練で、安否確認の流れを練習する。"},
    {MIRAI_ITSM_TYPE_OTHER, "Glossary of network terms",
     "An overview of the terms used in our documents: VLAN, trunk, gateway."},
};

#define INSIGHT_TEXTS (sizeof(insight_texts) / sizeof(insight_texts[0]))

#endif
