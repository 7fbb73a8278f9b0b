/* Every command, once: parser, help and completion come from these rows. */
#include "services/ctl/commands.h"

#include <stddef.h>

#define ROLES    "viewer|editor|admin"
#define TYPES    "incident|problem|change|release|request|other"
#define STATUSES "draft|in_review|published|archived"

static const struct cli_option run_options[] = {
    {"--only", "NAMES", NULL, "起動するデーモン（コンマ区切り）", "daemons to start, comma-separated"},
    {0},
};
static const struct cli_option import_options[] = {
    {"--owner", "NAME", NULL, "記事の所有者", "owner of the articles"},
    {"--status", "STATUS", STATUSES, "記載がない記事の状態（既定 published）",
     "status where the file says none (default published)"},
    {"--type", "TYPE", TYPES, "記載もフォルダー名もない記事の種類（既定 other）",
     "type where neither file nor folder says one (default other)"},
    {"--space", "NAME", NULL, "記事を入れるスペース", "space for the articles"},
    {"--dry-run", NULL, NULL, "検査だけして書き込まない", "check only, write nothing"},
    {0},
};
static const struct cli_option user_create_options[] = {
    {"--role", "ROLE", ROLES, "役割（既定 viewer）", "role (default viewer)"},
    {"--display-name", "TEXT", NULL, "表示名", "name for people"},
    {"--email", "ADDRESS", NULL, "メールアドレス", "mail address"},
    {"--password-file", "FILE", NULL, "パスワードを読むファイル（- は標準入力）",
     "file that holds the password (-: standard input)"},
    {"--generate", NULL, NULL, "パスワードを生成して一度だけ表示", "make a password and show it once"},
    {"--must-change-password", NULL, NULL, "次のログインで新しいパスワードを設定させる",
     "the next login must set a new password"},
    {0},
};
static const struct cli_option password_options[] = {
    {"--password-file", "FILE", NULL, "パスワードを読むファイル（- は標準入力）",
     "file that holds the password (-: standard input)"},
    {"--generate", NULL, NULL, "パスワードを生成して一度だけ表示", "make a password and show it once"},
    {"--must-change-password", NULL, NULL, "次のログインで新しいパスワードを設定させる",
     "the next login must set a new password"},
    {0},
};
static const struct cli_option hand_over_options[] = {
    {"--to", "NAME", NULL, "記事の新しい所有者", "who becomes the owner of the articles"},
    {0},
};
static const struct cli_option token_options[] = {
    {"--user", "USER", NULL, "トークンの持ち主", "whose token it is"},
    {"--role", "ROLE", ROLES, "与える最高の役割（既定は利用者の役割）",
     "highest role it gives (default: the user's)"},
    {"--days", "DAYS", NULL, "有効日数（既定 90）", "lifetime in days (default 90)"},
    {"--output-file", "FILE", NULL, "秘密を書くファイル（モード 0600）", "file for the secret (mode 0600)"},
    {0},
};
static const struct cli_option audit_options[] = {
    {"--limit", "COUNT", NULL, "件数（既定 50）", "number of entries (default 50)"},
    {"--user", "USER", NULL, "この利用者だけ", "only of this user"},
    {"--action", "ACTION", NULL, "この操作だけ（例 article.create）",
     "only this action, such as article.create"},
    {"--object", "OBJECT", NULL, "この対象だけ（例 article/12）", "only on this object, such as article/12"},
    {"--result", "RESULT", NULL, "この結果だけ（例 forbidden）", "only with this result, such as forbidden"},
    {"--after", "TIME", NULL, "この時刻より後（RFC 3339）", "only after this time (RFC 3339)"},
    {"--before", "TIME", NULL, "この時刻より前（RFC 3339）", "only before this time (RFC 3339)"},
    {0},
};
static const struct cli_option audit_verify_options[] = {
    {"--file", "FILE", NULL, "書き出したファイル、またはデータベース（既定は動作中のデータストア）",
     "an export or a database (default: the running store)"},
    {"--heads", "FILE", NULL, "署名付きヘッドを含むファイル（ログ、バックアップなど）",
     "a file with signed heads: a log, a backup's"},
    {"--key", "FILE", NULL, "信頼する公開鍵のファイル", "a file with the public keys that are trusted"},
    {0},
};
static const struct cli_option search_options[] = {
    {"--type", "TYPE", TYPES, "この種類だけ", "only this type"},
    {"--status", "STATUS", STATUSES, "この状態だけ", "only this status"},
    {"--tag", "TAGS", NULL, "これらのタグすべてを持つ記事だけ", "only with all these tags"},
    {"--limit", "COUNT", NULL, "件数（既定 20）", "number of hits (default 20)"},
    {0},
};
static const struct cli_option restore_options[] = {
    {"--yes", NULL, NULL, "確認を求めない", "do not ask for confirmation"},
    {"--cancel", NULL, NULL, "用意された復元を、データストアが適用する前に取り消す",
     "take back what lies ready, before the store has taken it"},
    {0},
};
static const struct cli_option config_help_options[] = {
    {"--markdown", NULL, NULL, "Markdown の表として出力", "as a Markdown table"},
    {0},
};

const struct cli_command ctl_commands[] = {
    {"run", "", 0, 0, run_options, "5 つのデーモンを起動し、落ちたら再起動する（前面で動作）",
     "start the five daemons and start again what dies (in the foreground)", command_run, CLI_NEEDS_CONFIG},
    {"status", "", 0, 0, NULL, "全デーモンの状態", "state of all daemons", command_status, CLI_NEEDS_CONFIG},
    {"import", "PATH…", 1, -1, import_options, "Markdown のフォルダーや書庫から記事を取り込む",
     "import articles from Markdown folders and archives", command_import, CLI_NEEDS_IDENTITY},
    {"export", "DIR", 1, 1, NULL, "全記事を Markdown のフォルダーに書き出す",
     "write all articles into a folder as Markdown", command_export, CLI_NEEDS_IDENTITY},
    {"search", "WORD…", 1, -1, search_options, "記事を検索する", "search articles", command_search,
     CLI_NEEDS_IDENTITY},
    {"user list", "", 0, 0, NULL, "利用者の一覧", "list users", command_user_list, CLI_NEEDS_IDENTITY},
    {"user create", "NAME", 1, 1, user_create_options, "利用者を作成する", "make a user", command_user_create,
     CLI_NEEDS_IDENTITY},
    {"user set-role", "NAME " ROLES, 2, 2, NULL, "利用者の役割を変える", "change a user's role",
     command_user_set_role, CLI_NEEDS_IDENTITY},
    {"user disable", "NAME", 1, 1, NULL, "利用者を無効にする", "disable a user", command_user_disable,
     CLI_NEEDS_IDENTITY},
    {"user enable", "NAME", 1, 1, NULL, "利用者を有効にする", "enable a user", command_user_enable,
     CLI_NEEDS_IDENTITY},
    {"user password", "NAME", 1, 1, password_options, "利用者のパスワードを変える",
     "change a user's password", command_user_password, CLI_NEEDS_IDENTITY},
    {"user sessions", "NAME", 1, 1, NULL, "利用者のセッションの一覧", "list a user's sessions",
     command_user_sessions, CLI_NEEDS_IDENTITY},
    {"user end-sessions", "NAME", 1, 1, NULL, "利用者のセッションをすべて終わらせる",
     "end all sessions of a user", command_user_end_sessions, CLI_NEEDS_IDENTITY},
    {"user reset-second-factor", "NAME", 1, 1, NULL, "利用者の第二要素を外す（端末をなくしたとき）",
     "take a user's second factor away, when it is lost", command_user_reset_second_factor,
     CLI_NEEDS_IDENTITY},
    {"user hand-over", "NAME", 1, 1, hand_over_options, "利用者の記事をすべて別の利用者に引き継ぐ",
     "give all articles of a user to another", command_user_hand_over, CLI_NEEDS_IDENTITY},
    {"token list", "", 0, 0, NULL, "API トークンの一覧", "list API tokens", command_token_list,
     CLI_NEEDS_IDENTITY},
    {"token create", "NAME", 1, 1, token_options, "API トークンを作成する", "make an API token",
     command_token_create, CLI_NEEDS_IDENTITY},
    {"token revoke", "ID", 1, 1, NULL, "API トークンを失効させる", "revoke an API token",
     command_token_revoke, CLI_NEEDS_IDENTITY},
    {"tag list", "", 0, 0, NULL, "タグの一覧", "list tags", command_tag_list, CLI_NEEDS_IDENTITY},
    {"audit list", "", 0, 0, audit_options, "監査ログ", "audit log", command_audit_list, CLI_NEEDS_IDENTITY},
    {"audit verify", "[HEADS…]", 0, -1, audit_verify_options, "監査ログが書き換えられていないことを確かめる",
     "prove that nothing in the audit log was changed", command_audit_verify, CLI_NEEDS_CONFIG},
    {"audit export", "FILE", 1, 1, NULL, "監査ログ全体を JSON Lines に書き出す（- は標準出力）",
     "write the whole audit log as JSON Lines (-: standard output)", command_audit_export,
     CLI_NEEDS_IDENTITY},
    {"audit heads", "[FILE]", 0, 1, NULL, "監査ログの署名付きヘッドの一覧、またはファイルへの書き出し",
     "signed heads of the audit log, listed or written to a file", command_audit_heads, CLI_NEEDS_IDENTITY},
    {"audit key", "", 0, 0, NULL, "監査ログに署名する鍵の公開鍵", "public key that signs the audit log",
     command_audit_key, CLI_NEEDS_IDENTITY},
    {"reindex", "", 0, 0, NULL, "検索索引を作り直す", "rebuild the search index", command_reindex,
     CLI_NEEDS_IDENTITY},
    {"backup now", "", 0, 0, NULL, "スナップショットを今すぐ作る", "make a snapshot now", command_backup_now,
     CLI_NEEDS_IDENTITY},
    {"backup list", "", 0, 0, NULL, "スナップショットの一覧", "list snapshots", command_backup_list,
     CLI_NEEDS_IDENTITY},
    {"backup verify", "[NAME]", 0, 1, NULL, "スナップショットを検証する（既定は最新）",
     "verify a snapshot (default: the newest)", command_backup_verify, CLI_NEEDS_IDENTITY},
    {"restore", "[NAME]", 0, 1, restore_options, "スナップショットの状態に戻す", "go back to a snapshot",
     command_restore, CLI_NEEDS_CONFIG},
    {"log-level", "DAEMON LEVEL", 2, 2, NULL, "動作中のデーモンのログレベルを変える",
     "change the log level of a running daemon", command_log_level, CLI_NEEDS_IDENTITY},
    {"config show", "", 0, 0, NULL, "有効な設定", "configuration in force", command_config_show,
     CLI_NEEDS_CONFIG},
    {"config help", "", 0, 0, config_help_options, "設定できる変数", "variables that can be set",
     command_config_help, CLI_NEEDS_NOTHING},
    {"config check", "", 0, 0, NULL, "設定を検査する", "check the configuration", command_config_check,
     CLI_NEEDS_NOTHING},
    {"completion bash", "", 0, 0, NULL, "bash の補完スクリプト", "completion script for bash",
     command_completion_bash, CLI_NEEDS_NOTHING},
    {0},
};
